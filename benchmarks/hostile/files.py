"""Connections to the limit of open files, and connections that say nothing."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from benchmarks.hostile.app import Place, Running, running
from benchmarks.hostile.attack import LIGHT, Load
from benchmarks.hostile.visitors import NETWORK_ERRORS, Person, head, noise
from benchmarks.support.homes import with_bases
from benchmarks.support.report import Figure, at_most

OPEN_FILES, CONNECTIONS = 256, 400
LOG_SECONDS, LOG_MEGABYTES = 30.0, 1.0
"""For how long the connections stay, and how much the log may grow in that time."""
ANSWER_SECONDS = 10.0
"""In which the app answers once they are gone."""
SILENT_SECONDS = 60.0
"""After which a connection that says nothing, or not all, has to be closed."""
_PATIENCE = 75.0


def measure(place: Place, ports: Callable[[], int], load: Load, chosen: str = "") -> list[Figure]:
    """The log at the limit, the first answer after it, and how long silence is borne."""
    if chosen not in "open files":
        return []
    seconds = LOG_SECONDS / 3 if load == LIGHT else LOG_SECONDS
    beside = place.root / "beside"
    beside.mkdir()
    with running(Place(beside, with_bases(beside / "home")), "demo", ports()) as app:
        silent = Silent(app)
        figures = _at_the_limit(place, ports(), seconds)
        return figures if load == LIGHT else [*figures, *silent.figures()]


def _at_the_limit(place: Place, port: int, seconds: float) -> list[Figure]:
    with running(place, "demo", port, descriptors=OPEN_FILES) as app:
        before = app.log_bytes()
        with ExitStack() as opened:
            made = sum(_connected(app, opened) for _ in range(CONNECTIONS))
            time.sleep(seconds)
            grown = (app.log_bytes() - before) / 1e6
        began, note = time.monotonic(), f"{made} of {CONNECTIONS} connections"
        answered = _answered(app, began + ANSWER_SECONDS)
        waited = time.monotonic() - began
    name = f"log at {OPEN_FILES} open files, in {seconds:g} s"
    log = at_most(name, grown, LOG_MEGABYTES, " MB", note)
    after = Figure(
        "an answer once they are gone",
        f"{waited:.1f} s" if answered else f"none in {waited:.0f} s",
        f"at most {ANSWER_SECONDS:g} s",
        answered,
    )
    print(f"log: {log.value}; answer: {after.value}", file=sys.stderr)
    return [log, after]


def _connected(app: Running, opened: ExitStack) -> bool:
    with suppress(OSError):
        opened.enter_context(socket.create_connection(("127.0.0.1", app.port), timeout=0.5))
        return True
    return False


def _answered(app: Running, until: float) -> bool:
    """Whether a question is answered by then."""
    while time.monotonic() < until:
        person = Person(app.url, "192.0.2.1", timeout=2.0)
        try:
            person.classify(person.upload("p.png", noise(1)), ["task-0"])
            return True
        except NETWORK_ERRORS:
            time.sleep(0.2)
        finally:
            person.close()
    return False


class Silent:
    """Connections of several kinds, and when the app closes each."""

    def __init__(self, app: Running) -> None:
        upload = "Content-Type: application/json", "Content-Length: 1000"
        self._said = {
            "says nothing": b"",
            "says half a head": b"GET /config HTTP/1.1\r\nHost: 127.0.0.1\r\n",
            "says half a body": head("POST", "/gradio_api/run/classify", "192.0.2.7", *upload) + b"{",
            "has had an answer": head("GET", "/robots.txt", "192.0.2.8"),
        }
        self._closed: dict[str, float] = {}
        self._threads = [
            threading.Thread(target=self._wait, args=(app.port, name, said), daemon=True)
            for name, said in self._said.items()
        ]
        for thread in self._threads:
            thread.start()

    def _wait(self, port: int, name: str, said: bytes) -> None:
        began = time.monotonic()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(said)
            connection.settimeout(_PATIENCE)
            try:
                while connection.recv(65536):
                    pass
            except ConnectionResetError:
                pass  # closed, if not politely
            self._closed[name] = time.monotonic() - began

    def figures(self) -> list[Figure]:
        """A row for each kind."""
        for thread in self._threads:
            thread.join(timeout=_PATIENCE + 5)
        return [
            Figure(
                f"a connection that {name} is closed after",
                f"{self._closed[name]:.0f} s" if name in self._closed else f"not in {_PATIENCE:.0f} s",
                f"at most {SILENT_SECONDS:g} s",
                self._closed.get(name, _PATIENCE) <= SILENT_SECONDS,
            )
            for name in self._said
        ]
