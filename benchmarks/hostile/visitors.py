"""Visitors of an app under attack: an honest one, whose answers are timed, and crowds that mean no good."""

from __future__ import annotations

import json
import random
import select
import socket
import statistics
import threading
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from benchmarks.support.http import Asker, Refused
from tests.corpus.images import png
from tests.corpus.visitor import PATIENCE, Reply, Visitor

PASSWORD = "a long password"
"""Of every member of a team."""
PAUSE = 0.2
"""Seconds between two questions of a visitor, honest or not: the load, not the clients, takes the cores."""
_PIECE = 1 << 18
NETWORK_ERRORS = (httpx.HTTPError, OSError, Refused, ValueError)


def noise(seed: int, side: int = 96) -> bytes:
    """A small image that nobody asked about before."""
    pixels = random.Random(seed).randbytes(3 * side * side)
    rows = b"".join(b"\0" + pixels[3 * side * row : 3 * side * (row + 1)] for row in range(side))
    return png(side, side, zlib.compress(rows, 1))


def from_address(address: str) -> dict[str, str]:
    """The header by which the proxy on this machine tells where a request comes from."""
    return {"X-Forwarded-For": address}


class Person(Asker):
    """Somebody at an address, with a connection and cookies of their own."""

    def __init__(self, url: str, address: str, *, timeout: float = 60.0) -> None:
        super().__init__(url, timeout=timeout)
        self._http.headers.update(from_address(address))

    @property
    def client(self) -> httpx.Client:
        """The connection."""
        return self._http

    def sign_in(self, name: str, password: str = PASSWORD) -> int:
        """Sign in; gives the status of the answer."""
        return self._http.post("/login", data={"username": name, "password": password}).status_code


class Guest(Visitor):
    """A visitor at an address who uses the page, and hangs up when the time is over."""

    def __init__(
        self, url: str, address: str, *, seconds: float = 30.0, cookies: Mapping[str, str] | None = None
    ) -> None:
        """
        Args:
            seconds: after which it hangs up.
            cookies: of a member who signed in before.
        """
        self.url, self.session, self.seconds = url.rstrip("/"), uuid.uuid4().hex, seconds
        self.http = httpx.Client(
            base_url=self.url, timeout=PATIENCE, headers=from_address(address), cookies=dict(cookies or {})
        )
        self.config = self.http.get("/config").json()
        self._components = {one["id"]: one for one in self.config["components"]}

    def call(self, function: int, data: list[Any], target: int | None = None) -> Reply:
        """Start an event by its number and follow it; the reply says "hung up" when it took too long."""
        try:
            if self._called(function)["queue"] is False:
                return super().call(function, data, target)
            return self._queued(function, data, target)
        except httpx.HTTPError as error:
            return Reply("", f"hung up: {type(error).__name__}")

    def _queued(self, function: int, data: list[Any], target: int | None) -> Reply:
        body = {"data": data, "fn_index": function, "session_hash": self.session, "trigger_id": target}
        joined = self.http.post("/gradio_api/queue/join", json=body)
        if joined.status_code != httpx.codes.OK:
            return Reply(joined.text, joined.text)
        query = {"session_hash": self.session}
        with (
            self.http.stream("GET", "/gradio_api/queue/data", params=query) as answer,
            _hung_up_after(answer, self.seconds),
        ):
            return self._followed(answer, joined.json()["event_id"], function)

    def _followed(self, answer: httpx.Response, event: str, function: int) -> Reply:
        for line in answer.iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if message.get("event_id") == event and message["msg"] == "process_completed":
                return self._reply(function, message)
        return Reply("", "hung up")


@contextmanager
def _hung_up_after(answer: httpx.Response, seconds: float) -> Iterator[None]:
    """Close the connection of an answer after a while, as a browser does whose tab is closed."""
    connection: socket.socket = answer.extensions["network_stream"].get_extra_info("socket")
    timer = threading.Timer(seconds, connection.shutdown, [socket.SHUT_RDWR])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Honest:
    """Asks one question after the other on a thread of its own, and notes how long each answer took."""

    def __init__(self, person: Person, task: str) -> None:
        self._person, self._task, self._seed = person, task, 0
        self._stop, self._began = threading.Event(), 0.0
        self.seconds: list[float] = []
        self.refusals: list[str] = []

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask while the block lasts; a question that is open at its end counts with its wait so far."""
        self.seconds, self.refusals = [], []
        self._stop.clear()
        thread = threading.Thread(target=self._ask, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(timeout=1.0)
            if thread.is_alive():
                self.seconds = [*self.seconds, time.perf_counter() - self._began]

    def median(self) -> float:
        """Median of the answers of the last block, in seconds; infinite where none came."""
        return statistics.median(self.seconds) if self.seconds else float("inf")

    def usual(self, seconds: float) -> float:
        """Median over a while in which nobody else asks."""
        with self.asking():
            time.sleep(seconds)
        return self.median()

    def _ask(self) -> None:
        seconds, refusals = self.seconds, self.refusals
        while not self._stop.is_set():
            self._seed += 1
            image = noise(self._seed)
            self._began = time.perf_counter()
            try:
                answer = self._person.classify(self._person.upload("p.png", image), [self._task])
                if answer["results"][0]["error"] is not None:
                    refusals.append(answer["results"][0]["error"])
                seconds.append(time.perf_counter() - self._began)
            except NETWORK_ERRORS as error:
                refusals.append(str(error) or type(error).__name__)
            self._stop.wait(PAUSE)  # two requests each, so fewer than the 600 a minute that one visitor has


Send = Callable[[int, float], str]
"""Sends what asker number so-and-so sends, by a moment of `time.monotonic`; the outcome in a word."""


def crowd(send: Send, askers: int, *, seconds: float, bound: float, times: int = 1000) -> Counter[str]:
    """Askers who send again and again, all at once; how often each outcome came.

    Args:
        seconds: after which nobody sends again.
        bound: after which nobody is waited for any more.
        times: that each sends at most.
    """
    outcomes: Counter[str] = Counter()
    begun = time.monotonic()
    lock = threading.Lock()

    def asker(number: int) -> None:
        for _ in range(times):
            try:
                outcome = send(number, begun + bound)
            except NETWORK_ERRORS as error:
                outcome = type(error).__name__
            with lock:
                outcomes[outcome] += 1
            if time.monotonic() > begun + seconds:
                return
            time.sleep(PAUSE)

    threads = [threading.Thread(target=asker, args=(number,), daemon=True) for number in range(askers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=max(0.0, begun + bound - time.monotonic()))
    with lock:
        late = sum(thread.is_alive() for thread in threads)
        return outcomes + Counter({"unanswered": late})


def head(method: str, path: str, address: str, *fields: str) -> bytes:
    """The head of a request."""
    forwarded = (f"{name}: {value}" for name, value in from_address(address).items())
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *forwarded, *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def exchange(port: int, request: Iterable[bytes], until: float) -> str:
    """Send a request in pieces until the app answers; its status, or how the connection ended.

    Args:
        until: moment of `time.monotonic` at which it is given up.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            for piece in request:
                for start in range(0, len(piece), _PIECE):
                    connection.settimeout(max(0.1, until - time.monotonic()))
                    connection.sendall(piece[start : start + _PIECE])
                    if select.select([connection], [], [], 0)[0]:
                        return _status(connection)
            connection.settimeout(max(0.1, until - time.monotonic()))
            return _status(connection)
        except TimeoutError:
            return "unanswered"
        except OSError:
            return "cut off"


def chunked(body: bytes) -> Iterator[bytes]:
    """A body of unknown length, as HTTP sends it."""
    for start in range(0, len(body), _PIECE):
        piece = body[start : start + _PIECE]
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    yield b"0\r\n\r\n"


def slowly(head_: bytes, until: float) -> Iterator[bytes]:
    """A body of a byte a second."""
    yield head_
    while time.monotonic() < until - 1:
        time.sleep(1)
        yield b" "


def _status(connection: socket.socket) -> str:
    line = connection.recv(4096).partition(b"\r\n")[0].split()
    return line[1].decode() if len(line) > 1 else "cut off"
