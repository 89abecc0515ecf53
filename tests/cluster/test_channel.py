"""Requests to a replica on a direct connection: replies, lost ones, errors, and who may send them."""

from __future__ import annotations

import pickle
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import pytest

from loravit_web.cluster.channel import Channel, ChannelLost, Listener, ReplyFailed

SECONDS = 30.0


class Replies:
    """A listener's code: `echo` returns its arguments, `wait` waits, `fail` has a bug."""

    def __init__(self) -> None:
        self.waiting, self.go_on = threading.Semaphore(0), threading.Event()

    def __call__(self, method: str, arguments: tuple[Any, ...]) -> object:
        if method == "wait":
            self.waiting.release()
            assert self.go_on.wait(SECONDS)
        if method == "fail":
            raise TypeError("a bug")
        return arguments


@pytest.fixture
def replies() -> Iterator[Replies]:
    made = Replies()
    yield made
    made.go_on.set()


@pytest.fixture
def listener(replies: Replies) -> Iterator[Listener]:
    made = Listener("127.0.0.1", replies, at_once=2)
    yield made
    made.close()


@pytest.fixture
def channel(listener: Listener) -> Iterator[Channel]:
    made = Channel(listener.address)
    yield made
    made.close()


def test_a_request_returns_what_the_other_side_replies(channel: Channel) -> None:
    assert channel.ask("echo", ("a", b"b" * 300_000), SECONDS) == ("a", b"b" * 300_000)
    assert channel.ask("echo", (), SECONDS) == ()


def test_requests_after_each_other_share_a_connection(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel.ask("echo", (), SECONDS)
    monkeypatch.delattr(socket, "create_connection")
    for _ in range(3):
        channel.ask("echo", (), SECONDS)


def test_requests_are_answered_at_once_up_to_a_number(
    channel: Channel, listener: Listener, replies: Replies
) -> None:
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(channel.ask, "wait", (n,), SECONDS) for n in range(3)]
        for _ in range(2):
            assert replies.waiting.acquire(timeout=SECONDS)
        assert not replies.waiting.acquire(blocking=False)
        replies.go_on.set()
        assert [one.result() for one in asked] == [(0,), (1,), (2,)]
    assert listener.requests == 0


def test_an_error_of_the_other_side_is_told_and_the_connection_stays(channel: Channel) -> None:
    with pytest.raises(ReplyFailed, match="TypeError: a bug"):
        channel.ask("fail", (), SECONDS)
    assert channel.ask("echo", (1,), SECONDS) == (1,)


def test_a_late_reply_is_not_taken_for_that_of_the_next_request(
    channel: Channel, listener: Listener, replies: Replies
) -> None:
    with pytest.raises(TimeoutError):
        channel.ask("wait", ("late",), 0.01)
    replies.go_on.set()
    assert channel.ask("echo", ("next",), SECONDS) == ("next",)


def test_a_listener_that_is_gone_is_told_from_a_slow_one(channel: Channel, listener: Listener) -> None:
    listener.close()
    with pytest.raises(ChannelLost):
        channel.ask("echo", (), SECONDS)


def test_a_connection_that_ends_before_the_reply_is_lost(listener: Listener) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = Channel(replace(listener.address, port=server.getsockname()[1]))
        ending = threading.Thread(target=lambda: server.accept()[0].close())
        ending.start()
        with pytest.raises(ChannelLost):
            gone.ask("echo", (), SECONDS)
        ending.join()


def test_without_the_key_no_message_is_read_on_either_side(listener: Listener, replies: Replies) -> None:
    stranger = Channel(replace(listener.address, key=b"guessed"))
    with pytest.raises(ChannelLost):
        stranger.ask("wait", (), SECONDS)
    made = socket.create_connection((listener.address.host, listener.address.port))
    with Connection(made.detach()) as raw:
        raw.recv_bytes()
        raw.send_bytes(b"x" * 32)
        proof = raw.recv_bytes()
        raw.send_bytes(proof)  # sent back, it proves nothing
        with pytest.raises((EOFError, OSError)):
            raw.send_bytes(pickle.dumps(("wait", ())))
            raw.recv_bytes()
    assert not replies.waiting.acquire(blocking=False)


def test_an_address_does_not_show_its_key(listener: Listener) -> None:
    assert repr(listener.address.key) not in repr(listener.address)
