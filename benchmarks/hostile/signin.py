"""Guessing at the sign-in while members sign in, and sessions that should have ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import httpx

from benchmarks.hostile.app import Place, Running, running
from benchmarks.hostile.attack import LIGHT, Load, add_team
from benchmarks.hostile.visitors import NETWORK_ERRORS, PASSWORD, Person
from benchmarks.support.forks import ROOT
from benchmarks.support.report import Figure
from registry import Role

TRIES_A_MINUTE = 200
RIGHT_TRIES, RIGHT_SECONDS = 10, 2.0
"""Right sign-ins of a member meanwhile, and the longest that each may take."""
_EVERY = 2.5
"""Seconds between two of them."""
_NEW_PASSWORD = "another long password"
_GUESSERS = 20


def measure_signin(place: Place, ports: Callable[[], int], load: Load, chosen: str = "") -> list[Figure]:
    """A row for guesses from other addresses, and one for guesses from the member's own."""
    members: dict[str, Role] = {"ann": "viewer", "nina": "viewer", "otto": "viewer"}
    add_team(place, members)
    figures = []
    tries = RIGHT_TRIES // 2 if load == LIGHT else RIGHT_TRIES
    with running(place, "team", ports()) as app:
        for name, member, own in (
            ("guesses from other addresses", "nina", False),
            ("guesses from the member's own address", "otto", True),
        ):
            if chosen in name:
                figures.append(_guessed(app, name, member, own_address=own, tries=tries))
                print(f"{name}: {figures[-1].value} ({figures[-1].note})", file=sys.stderr)
    return figures


def _guessed(app: Running, name: str, member: str, *, own_address: bool, tries: int) -> Figure:
    """A member signs in rightly while somebody tries made-up names and the member's own."""
    stop, numbers = threading.Event(), count()
    waits: list[float] = []
    refused: list[int] = []

    def guess() -> None:
        number = next(numbers)
        address = "192.0.2.1" if own_address else f"198.51.100.{number % 250 + 1}"
        names = (f"made-up-{number}", member, "ann", f"someone-{number}")
        person = Person(app.url, address)
        try:
            person.sign_in(names[number % len(names)], f"guess {number}")
        except NETWORK_ERRORS as error:
            print(f"a guess: {error!r}", file=sys.stderr)
        finally:
            person.close()

    def guesses() -> None:
        with ThreadPoolExecutor(_GUESSERS) as pool:
            while not stop.wait(60 / TRIES_A_MINUTE):
                pool.submit(guess)
            pool.shutdown(cancel_futures=True)

    thread = threading.Thread(target=guesses, daemon=True)
    thread.start()
    try:
        time.sleep(3.0)
        for _ in range(tries):
            began = time.perf_counter()
            person = Person(app.url, "192.0.2.1")
            try:
                status = person.sign_in(member)
            except NETWORK_ERRORS as error:
                print(f"a right sign-in: {error!r}", file=sys.stderr)
                status = 0
            waits.append(time.perf_counter() - began)
            person.close()
            if status != httpx.codes.OK:
                refused.append(status)
            time.sleep(max(0.0, _EVERY - waits[-1]))
    finally:
        stop.set()
        thread.join(timeout=60)
    return Figure(
        name,
        f"{max(waits):.1f} s, {len(refused)} of {tries} refused",
        f"{RIGHT_SECONDS:g} s, 0 refused",
        max(waits) <= RIGHT_SECONDS and not refused,
        f"{next(numbers)} guesses; " + ", ".join(f"{wait:.1f}" for wait in waits),
    )


def measure_sessions(place: Place, ports: Callable[[], int], _load: Load, chosen: str = "") -> list[Figure]:
    """A row for each way in which a session ends."""
    members: dict[str, Role] = {f"member-{number}": "editor" for number in range(len(_ENDS))}
    add_team(place, members)
    figures = []
    with running(place, "team", ports()) as app:
        for member, (name, end) in zip(members, _ENDS.items(), strict=True):
            if chosen in name:
                figures.append(_ended(app, name, member, end))
                print(f"{name}: {figures[-1].value}", file=sys.stderr)
    return figures


def _ended(app: Running, name: str, member: str, end: Callable[[Running, str, Person], None]) -> Figure:
    """What an older session gets after its end."""
    old, new = Person(app.url, "192.0.2.1"), Person(app.url, "192.0.2.2")
    try:
        assert old.sign_in(member) == new.sign_in(member) == httpx.codes.OK
        assert _reads(old), "the session did not work before"
        end(app, member, new)
        still = [what for what in (_reads(old), _calls(old)) if what]
    finally:
        old.close()
        new.close()
    value = ", ".join(still) or "ended"
    return Figure(name, value, "ended", not still)


def _reads(person: Person) -> str:
    """Whether the page's description is shown."""
    answer = person.client.get("/config")
    shown = answer.status_code == httpx.codes.OK and "components" in answer.json()
    return "reads" if shown else ""


def _calls(person: Person) -> str:
    """Whether tasks are listed."""
    answer = person.client.post("/gradio_api/run/tasks", json={"data": [], "session_hash": "s"})
    return "calls" if answer.status_code == httpx.codes.OK else ""


def _users(app: Running, *words: str, password: str = "") -> None:
    """``python -m loravit_web users …`` as a process of its own."""
    subprocess.run(
        [sys.executable, "-m", "loravit_web", "users", *words],
        cwd=ROOT,
        env={**os.environ, "LORAVIT_HOME": str(app.place.home), "LORAVIT_MODE": "team"},
        input=password + "\n",
        stdout=subprocess.DEVNULL,
        text=True,
        check=True,
        timeout=60,
    )


def _password(app: Running, member: str, _new: Person) -> None:
    _users(app, "add", member, "--role", "editor", "--password-stdin", password=_NEW_PASSWORD)


def _role(app: Running, member: str, _new: Person) -> None:
    _users(app, "role", member, "viewer")


def _removed(app: Running, member: str, _new: Person) -> None:
    _users(app, "remove", member)


def _added_again(app: Running, member: str, _new: Person) -> None:
    _users(app, "remove", member)
    _users(app, "add", member, "--role", "viewer", "--password-stdin", password=PASSWORD)


def _signed_out(_app: Running, _member: str, new: Person) -> None:
    answer = new.client.post("/logout")
    if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED):
        new.client.get("/logout")


_ENDS: dict[str, Callable[[Running, str, Person], None]] = {
    "password changed": _password,
    "role lowered": _role,
    "removed": _removed,
    "removed and added again as a viewer": _added_again,
    "signed out elsewhere": _signed_out,
}
