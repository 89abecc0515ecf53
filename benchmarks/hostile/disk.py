"""What uploads, recordings and kills leave on the disk of an app."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.hostile.app import Place, Running, running, sizes
from benchmarks.hostile.attack import API, LIGHT, TRAINING, Load, address
from benchmarks.hostile.visitors import NETWORK_ERRORS, Person, head
from benchmarks.support.report import Figure, at_most
from benchmarks.support.sampling import highest

QUOTA_VARIABLE, QUOTA_MIB = "LORAVIT_MAX_UPLOADS_MIB", 100
"""The setting of the most that uploads of all visitors may take together, and its value here."""
AGE_VARIABLE, AGE_MINUTES = "LORAVIT_MAX_UPLOAD_MINUTES", 1
"""The setting of how long an upload is kept, and its value for the periodic sweep."""
SWEEP_SECONDS = 150.0
"""In which the periodic sweep has to have come, with the age before it."""
KILLED = 20
"""Uploads in the middle of which the app is killed."""
_SIZE = 1_000_000
_BOUNDARY = "hostile"
_SAMPLE_SECONDS = 0.2


def measure(place: Place, ports: Callable[[], int], load: Load, chosen: str = "") -> list[Figure]:
    """Bytes while uploads come, after a kill and a new start, and after a periodic sweep."""
    if chosen not in "uploads":
        return []
    count, figures = (40 if load == LIGHT else 200), list[Figure]()
    quota = {QUOTA_VARIABLE: str(QUOTA_MIB)}
    with running(place, "demo", ports(), {**TRAINING, **quota}) as app:
        known, steps = frozenset(sizes(place)), dict[str, Callable[[int], str]]()
        steps[f"{count} broken-off uploads"] = partial(_broken_off, app)
        steps[f"{count} complete uploads"] = partial(_upload, app)
        steps["20 recordings"] = partial(_record, app)
        for name, send in steps.items():
            times = 20 if send == steps["20 recordings"] else count
            with highest(partial(_given, place, known), every=_SAMPLE_SECONDS) as most:
                outcomes = _each(send, times)
                time.sleep(2 * _SAMPLE_SECONDS)
            print(f"{name}: {most() / 1e6:.0f} MB, {outcomes}", file=sys.stderr)
            figures.append(_megabytes(f"most while {name} come", most(), QUOTA_MIB * 1.048576, outcomes))
        threads = [
            threading.Thread(target=_broken_off, args=(app, n), kwargs={"seconds": 5.0}, daemon=True)
            for n in range(KILLED)
        ]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        app.process.send_signal(signal.SIGKILL)
        app.process.wait()
        for thread in threads:
            thread.join(timeout=10)
    left = _given(place, known)
    with running(place, "demo", ports(), quota):
        time.sleep(3.0)
        new = sorted(path.name[:24] for path in sizes(place).keys() - known)
        note = f"{left / 1e6:.0f} MB before; new files: {', '.join(new[:6])}"
        figures.append(_megabytes("left after a kill and a new start", _given(place, known), 0, note))
    age = {AGE_VARIABLE: str(AGE_MINUTES)}
    with running(place, "demo", ports(), {**quota, **age}) as app:
        earlier = frozenset(sizes(place))
        _each(partial(_upload, app), 20)
        _each(partial(_broken_off, app), 20)
        came, began = _given(place, earlier), time.monotonic()
        while _given(place, earlier) and time.monotonic() < began + SWEEP_SECONDS:
            time.sleep(1.0)
        note = f"{came / 1e6:.0f} MB before, {time.monotonic() - began:.0f} s"
        figures.append(_megabytes("left after the periodic sweep", _given(place, earlier), 0, note))
    return figures


def _megabytes(name: str, found: int, target: float, note: object) -> Figure:
    return at_most(name, found / 1e6, target, " MB", str(note))


def _given(place: Place, known: frozenset[Path]) -> int:
    """Bytes of what visitors gave: files that were not there before, without the database and its log.

    Nor the example images, which each start lays into its own folder.
    """
    found = sizes(place)
    given = [path for path in found.keys() - known if path.parent.name != "examples"]
    return sum(found[path] for path in given if not path.name.startswith("registry.db"))


def _each(send: Callable[[int], str], times: int) -> dict[str, int]:
    """Ten at once; how often each outcome came."""
    with ThreadPoolExecutor(10) as pool:
        outcomes = list(pool.map(send, range(times)))
    return {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}


def _content(number: int, size: int = _SIZE) -> bytes:
    return f"upload {number} ".encode() * (size // 10)


def _broken_off(app: Running, number: int, *, seconds: float = 0.0) -> str:
    """An upload of which only a half is sent.

    Args:
        seconds: that the connection stays open in the middle.
    """
    fields = f"Content-Type: multipart/form-data; boundary={_BOUNDARY}", f"Content-Length: {4 * _SIZE}"
    start = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{number}.png"\r\n\r\n'
    request = head("POST", f"{API}/upload", address(number % 50), *fields) + start.encode()
    try:
        with socket.create_connection(("127.0.0.1", app.port), timeout=10) as connection:
            connection.sendall(request + _content(number)[: 2 * _SIZE])
            time.sleep(seconds or 0.1)
    except OSError:
        return "cut off"
    return "broken off"


def _upload(app: Running, number: int) -> str:
    person = Person(app.url, address(number % 50))
    try:
        person.upload(f"{number}.png", _content(number))
        return "taken"
    except NETWORK_ERRORS:
        return "refused"
    finally:
        person.close()


def _record(app: Running, number: int) -> str:
    """Send a recording, as the page of another app would."""
    person = Person(app.url, address(number))
    try:
        files = {"video": ("recording.webm", _content(number), "video/webm")}
        return str(person.client.post(f"{API}/process_recording", files=files).status_code)
    except NETWORK_ERRORS:
        return "cut off"
    finally:
        person.close()
