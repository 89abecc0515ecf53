"""Work that costs much: estimates with the largest settings, and tables and estimates whose visitor left."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.hostile import bodies as bodies
from benchmarks.hostile.app import LIMIT, Place, Running, running, watched
from benchmarks.hostile.attack import MOST_MEMORY, MOST_SLOWER, TRAINING, Load, address
from benchmarks.hostile.visitors import Guest, Honest, Person
from benchmarks.support.report import Figure

LARGEST = {
    "train-image-size": 1022,
    "train-r": 256,
    "train-alpha": 512,
    "train-blocks": 12,
    "train-batch-size": 4096,
}
HOSTILE = 3
"""Visitors with the largest settings, or with a table, at once."""
ORDINARY_SECONDS = 30.0
"""In which another visitor's ordinary estimate has to come."""
LEAVE_SECONDS, REST_SECONDS = 5.0, 5.0
"""After which visitors leave, and in which their work has to end."""
_PATIENCE, _LOOK, _IDLE = 30.0, 1.0, 0.15
"""Seconds until it is given up, seconds of each look, and cores above the idle level that still are idle."""


def measure(place: Place, ports: Callable[[], int], load: Load, chosen: str = "") -> list[Figure]:
    """One row or two for each case whose name holds a text."""
    figures: list[Figure] = []
    for name, case in CASES.items():
        if chosen in name:
            with running(place, "demo", ports(), TRAINING, limit=LIMIT) as app:
                rows = case(app, load, name)
            for row in rows:
                print(f"{row.name}: {row.value} ({row.note})", file=sys.stderr)
            figures += rows
    return figures


def _with_data(app: Running, number: int, seconds: float) -> Guest:
    """A visitor who has the sample of digits at hand."""
    guest = Guest(app.url, address(number), seconds=_PATIENCE)
    reply = guest.press("train-sample-digits", "click", {})
    if reply.error is not None:
        raise RuntimeError(f"no sample: {reply.error}")
    guest.seconds = seconds
    return guest


def _estimate(guest: Guest, **settings: object) -> str:
    """Ask what a training takes; gives what the page says, or why it says nothing."""
    reply = guest.press("train-batch-size", "blur", settings)
    return reply.error or reply.shown("train-cost")


def _estimates(app: Running, load: Load, name: str) -> list[Figure]:
    """The largest settings of several visitors, while another asks for an ordinary estimate."""
    guests = [_with_data(app, number, load.bound) for number in range(HOSTILE)]
    other = _with_data(app, 99, ORDINARY_SECONDS)
    person = Person(app.url, "192.0.2.1")
    honest = Honest(person, "task-0")
    honest.usual(load.usual)
    usual, before = honest.usual(load.usual), app.memory()
    with watched(app) as most, honest.asking(), ThreadPoolExecutor(HOSTILE) as pool:
        told = [pool.submit(_estimate, guest, **LARGEST) for guest in guests]
        time.sleep(1.0)
        began = time.perf_counter()
        # another size each time, so that it was not measured before
        ordinary = _estimate(other, **{"train-batch-size": 24})
        seconds = time.perf_counter() - began
        sentences = sorted({one.result()[:60] for one in told})
    person.close()
    slower, more = honest.median() / usual, most() - before
    alive = app.alive()
    met = alive and more <= MOST_MEMORY and slower <= MOST_SLOWER
    value = f"{'alive' if alive else 'killed'}, {more:+.0f} MB, {slower:.1f}x"
    target = f"alive, +{MOST_MEMORY:g} MB, {MOST_SLOWER:g}x"
    came = "hung up" not in ordinary
    return [
        Figure(name, value, target, met, "; ".join(sentences)),
        Figure(
            "another visitor's ordinary estimate meanwhile",
            f"{seconds:.1f} s" if came else f"none in {seconds:.0f} s",
            f"at most {ORDINARY_SECONDS:g} s",
            came,
            ordinary[:60],
        ),
    ]


def _left(app: Running, start: Callable[[int], object], after: Callable[[], bool], name: str) -> list[Figure]:
    """Visitors who start work and leave after a while: when it ends, and whether the next one's is done."""
    idle = app.busy(2.0)
    threads = [threading.Thread(target=start, args=(number,), daemon=True) for number in range(2)]
    with watched(app) as most:
        before = app.memory()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=LEAVE_SECONDS + 10)
        began = time.monotonic()
        while (busy := app.busy(_LOOK)) > idle + _IDLE and time.monotonic() < began + _PATIENCE:
            pass
        rested = time.monotonic() - began - _LOOK
        asked = time.monotonic()
        done = after()
        waited = time.monotonic() - asked
    still = "killed" if not app.alive() else f"still {busy:.1f} cores" if busy > idle + _IDLE else ""
    return [
        Figure(
            f"{name}: work goes on for",
            f"{rested:.1f} s",
            f"at most {REST_SECONDS:g} s",
            rested <= REST_SECONDS and app.alive(),
            still,
        ),
        Figure(
            f"{name}: the next visitor's",
            f"{waited:.1f} s" if done else f"none in {waited:.0f} s",
            f"at most {_PATIENCE:g} s",
            done,
            f"{most() - before:+.0f} MB",
        ),
    ]


def _tables(app: Running, load: Load, name: str) -> list[Figure]:
    zips = [bodies.zip_of_images(load.table, first=number * load.table) for number in range(2)]

    def ask(guest: Guest, data: bytes) -> bool:
        given = {"use-many-files": [guest.upload("images.zip", data)], "use-tasks": ["task-0", "task-1"]}
        return guest.press("use-many-go", "click", given).error is None

    def start(number: int) -> None:
        ask(Guest(app.url, address(number), seconds=LEAVE_SECONDS), zips[number])

    few = bodies.zip_of_images(3, first=10**6)
    return _left(app, start, lambda: ask(Guest(app.url, address(9), seconds=_PATIENCE), few), name)


def _left_estimates(app: Running, _load: Load, name: str) -> list[Figure]:
    guests = [_with_data(app, number, LEAVE_SECONDS) for number in range(2)]
    other = _with_data(app, 99, _PATIENCE)

    def after() -> bool:
        return "hung up" not in _estimate(other, **{"train-batch-size": 24})

    return _left(app, lambda number: _estimate(guests[number], **LARGEST), after, name)


CASES: dict[str, Callable[[Running, Load, str], Sequence[Figure]]] = {
    "estimates with the largest settings": _estimates,
    "visitors who leave their tables": _tables,
    "visitors who leave their estimates": _left_estimates,
}
