"""The server holds so many connections, closes silent ones, and writes no log that a flood could fill."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import gradio as gr
import httpx
import pytest
from starlette.types import ASGIApp

from loravit_web.ui.gate import connections
from loravit_web.ui.gate.connections import Seldom, most_connections, served_through


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    """A page of one word behind a server with little patience and few places."""

    def ungated(app: ASGIApp) -> ASGIApp:
        return app

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "HEAD_SECONDS", 0.5)
        patch.setattr(connections, "KEEP_ALIVE_SECONDS", 0.5)
        patch.setattr(connections, "most_connections", lambda: 5)
        with gr.Blocks(analytics_enabled=False) as demo:
            gr.Textbox("hello")
        with served_through(ungated):
            demo.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
        assert demo.server_port is not None
        yield "127.0.0.1", demo.server_port
        demo.close(verbose=False)


def closed_after(connection: socket.socket, *, within: float = 9.0) -> float:
    """Seconds until the server closes a connection."""
    connection.settimeout(within)
    started = time.monotonic()
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - started


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /"])
def test_a_connection_that_does_not_say_what_it_wants_is_closed(
    server: tuple[str, int], begun: bytes
) -> None:
    with socket.create_connection(server) as connection:
        connection.sendall(begun)
        assert closed_after(connection) < 4


def test_a_head_that_comes_byte_by_byte_has_no_more_time(server: tuple[str, int]) -> None:
    with (
        socket.create_connection(server) as connection,
        pytest.raises((BrokenPipeError, ConnectionResetError)),
    ):
        for _ in range(40):
            connection.sendall(b"G")
            time.sleep(0.05)


def test_connections_beyond_those_that_there_is_room_for_are_closed_at_once(server: tuple[str, int]) -> None:
    with ExitStack() as opened:
        held = [opened.enter_context(socket.create_connection(server)) for _ in range(5)]
        time.sleep(0.1)
        with socket.create_connection(server) as one_more:
            assert closed_after(one_more) < 0.4
        assert len(held) == 5
    time.sleep(0.2)
    assert httpx.get(f"http://{server[0]}:{server[1]}/").status_code == 200


def test_a_request_that_takes_long_is_not_cut_off(server: tuple[str, int]) -> None:
    with (
        httpx.Client(base_url=f"http://{server[0]}:{server[1]}") as client,
        client.stream("GET", "/gradio_api/heartbeat/abc") as stream,
    ):
        assert next(stream.iter_text()).startswith("data: ALIVE")
        time.sleep(1.2)
        assert client.get("/config").status_code == 200
        assert not stream.is_closed


def test_there_are_files_left_beside_the_connections() -> None:
    import resource

    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert most_connections() <= max(connections.LEAST, soft - connections.SPARE_FILES)


def test_a_message_is_written_a_few_times_a_minute_and_then_counted() -> None:
    now = 0.0
    seldom = Seldom(clock=lambda: now)

    def written(text: str) -> str | None:
        record = logging.LogRecord("asyncio", logging.ERROR, "", 0, text, (), None)
        return str(record.msg) if seldom.filter(record) else None

    assert [written("no more files") for _ in range(7)] == ["no more files"] * 5 + [None] * 2
    assert written("something else") == "something else"
    now = 60.0
    assert written("no more files") == "no more files (2 similar messages omitted)"
    assert written("no more files") == "no more files"


def test_small_answers_are_sent_at_once() -> None:
    listener, port = connections._listening("127.0.0.1", None)
    with listener:
        assert port > 0
        assert listener.proto == socket.IPPROTO_TCP  # else asyncio leaves them for 40 ms, until others follow
