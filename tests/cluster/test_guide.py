"""The process that tells the app where the replicas are, and the app without it. Ray is played."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import pytest

from loravit_web.cluster import guide, guide_job, known
from loravit_web.cluster.channel import Address, ChannelLost
from loravit_web.cluster.cluster import NoRay, NotForRay
from loravit_web.cluster.guide import Guide
from loravit_web.cluster.guide_job import followed, message, tell
from loravit_web.cluster.serving import NoReplicas
from loravit_web.settings.environment import Settings

SECONDS = 30.0
X, Y = Address("10.0.0.1", 4001, b"kx"), Address("10.0.0.2", 4002, b"ky")


class Processes:
    """Processes that say what a test wants, and nothing more.

    Attributes:
        ended: Number of those that were ended.
    """

    def __init__(self, *scripts: list[dict[str, Any]]) -> None:
        self._scripts, self.ended, self._kept = [*scripts], 0, list[Connection]()
        self.started, self.exhausted = 0, threading.Event()

    def __call__(self, tells: Connection) -> Any:
        self.started += 1
        script = self._scripts.pop(0) if self._scripts else []
        for one in script:
            tells.send_bytes(json.dumps(one).encode())
        if not self._scripts:
            self.exhausted.set()
        return self

    def kill(self) -> None:
        self.ended += 1

    def wait(self) -> int:
        return 0


@contextmanager
def opened(processes: Processes) -> Iterator[Guide]:
    made = Guide(processes, retry=0.001)
    made.open(SECONDS)
    yield made
    made.close()


def test_the_app_learns_where_the_replicas_are_and_keeps_it_when_the_process_ends() -> None:
    processes = Processes([message({"x": X, "y": Y})])
    with opened(processes) as guide:
        assert guide.names() == {"x", "y"}
        assert guide.channel("y")._address == Y


def test_replicas_that_are_gone_are_forgotten_when_another_process_says_so() -> None:
    processes = Processes([message({"x": X})], [message({"y": Y})])
    with opened(processes) as guide:
        assert processes.exhausted.wait(SECONDS)
        while guide.names() != {"y"}:
            threading.Event().wait(0.001)
        with pytest.raises(ChannelLost):
            guide.channel("x")


def test_without_a_cluster_the_app_says_why_and_looks_again(caplog: pytest.LogCaptureFixture) -> None:
    problem = {"problem": "No Ray cluster answers at head:6379."}
    processes = Processes([problem], [problem], [message({"x": X})])
    with opened(processes) as guide:
        assert processes.exhausted.wait(SECONDS)
        while not guide.names():
            threading.Event().wait(0.001)
    assert caplog.text.count("No Ray cluster answers at head:6379. The app looks for replicas again.") == 1
    assert processes.ended >= processes.started - 1


def test_a_process_that_says_nothing_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[Connection] = []
    processes = Processes()

    def silent(tells: Connection) -> Any:
        if not kept:
            kept.append(Connection(os.dup(tells.fileno())))  # it never ends by itself
            return processes
        return processes(tells)

    made = Guide(silent, silent=0.01, retry=0.001)
    made.open(0)
    assert processes.exhausted.wait(SECONDS)
    made.close()
    kept[0].close()
    assert "The Ray cluster does not answer. The app looks for replicas again." in caplog.text


def test_only_new_replicas_are_asked_where_they_are_and_those_that_do_not_tell_again() -> None:
    asked: list[str] = []

    def find(name: str) -> Address:
        asked.append(name)
        if name == "z":
            raise ChannelLost
        return Y

    addresses = followed({"x": X, "gone": X}, frozenset({"x", "y", "z"}), find)
    assert addresses == {"x": X, "y": Y}
    assert sorted(asked) == ["y", "z"]


def test_the_process_tells_until_the_replicas_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def connected(_address: str) -> Iterator[None]:
        yield

    looks: Callable[[], bool] = iter([True, False]).__next__
    monkeypatch.setattr(guide_job, "connected", connected)
    monkeypatch.setattr(guide_job, "finder", lambda: lambda _name: X)
    monkeypatch.setattr(guide_job, "has_replicas", looks)
    monkeypatch.setattr(guide_job, "TELL_SECONDS", 0)
    monkeypatch.setattr(known._Known, "names", frozenset({"x"}))
    sent: list[bytes] = []

    class Pipe:
        def send_bytes(self, told: bytes) -> None:
            sent.append(told)

    with pytest.raises(NoReplicas, match="cluster start"):
        tell(Pipe())  # type: ignore[arg-type]
    assert {*map(bytes.decode, sent)} == {json.dumps(message({"x": X}))}


def test_an_app_needs_ray_and_what_replicas_elsewhere_reach(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guide, "find_spec", lambda _name: None)
    with pytest.raises(NoRay, match="pip install"), guide.asking(settings):
        pass
    monkeypatch.setattr(guide, "find_spec", lambda name: name)
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    with pytest.raises(NotForRay, match="LORAVIT_DATABASE_URL"), guide.asking(settings):
        pass
