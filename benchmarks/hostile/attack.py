"""A case of an attack: ten askers at once on an app held to 4 GB, while an honest visitor is timed."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.hostile.app import LIMIT, Place, Running, running, watched
from benchmarks.hostile.visitors import PASSWORD, Honest, Person, Send, crowd
from benchmarks.support.report import Figure
from loravit_web.access.actions import UserActions
from loravit_web.access.rights import SHELL
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from registry import Role

MEGABYTE = 1_000_000
ASKERS = 10
MOST_MEMORY, MOST_SLOWER = 300.0, 3.0
"""Megabytes more than before a case, and times that an honest answer may take."""
LONGEST_SECONDS = 10.0
"""That no honest answer may exceed, as in the corpus of bad input: a median does not see one long hang."""
_SETTLE_SECONDS, _IDLE = 8.0, 0.2
"""In which an app has to come to rest after a case, and cores of which fewer are busy then."""
TARGET = f"alive, +{MOST_MEMORY:g} MB, {MOST_SLOWER:g}x"
TEAM: Mapping[str, Role] = {"ann": "viewer", "ed": "editor"}
API = "/gradio_api"
TRAINING = {"LORAVIT_DEMO_TRAINING": "yes"}


@dataclass(frozen=True)
class Load:
    """How much is sent, and for how long.

    Attributes:
        body: bytes of a JSON body.
        text: bytes of a name or an id.
        seconds: in which a case sends.
        bound: after which a case is over whatever is unanswered.
        usual: in which the honest visitor is timed alone before each case.
        table: images of a table.
    """

    body: int = 100 * MEGABYTE
    text: int = 20 * MEGABYTE
    seconds: float = 4.0
    bound: float = 25.0
    usual: float = 2.5
    table: int = 5000


LIGHT = Load(20 * MEGABYTE, 4 * MEGABYTE, 2.0, 12.0, 2.0, 1000)


@dataclass(frozen=True)
class Case:
    """One way to harm.

    Attributes:
        make: prepares it on a running app and gives what each asker sends.
        mode: for whom the app runs.
        times: that each asker sends at most.
    """

    name: str
    make: Callable[[Running, Load], Send]
    mode: str = "demo"
    times: int = 1000


class Attacked:
    """An app in one mode, started again whenever a case has ended it."""

    def __init__(self, place: Place, ports: Callable[[], int], load: Load) -> None:
        self._place, self._ports, self._load = place, ports, load
        self._mode, self._stack = "", ExitStack()
        self._app: Running | None = None
        self._honest: Honest | None = None
        self.held = ""

    def close(self) -> None:
        """End the app."""
        self._app = None
        self._stack.close()

    def suffer(self, case: Case) -> Figure:
        """Send what a case sends while an honest visitor asks."""
        app, honest = self._started(case.mode)
        load = self._load
        try:
            send = case.make(app, load)
        except Exception:  # noqa: BLE001 - a case that can't begin is a row of its own, not the end of all
            traceback.print_exc()
            return Figure(case.name, "could not begin", TARGET, False)
        usual, before = honest.usual(load.usual), app.memory()
        began = time.monotonic()
        with watched(app) as most, honest.asking():
            outcomes = crowd(send, ASKERS, seconds=load.seconds, bound=load.bound, times=case.times)
            time.sleep(max(0.0, began + 2.0 - time.monotonic()))  # for at least a few honest answers
            more = most() - before
        with watched(app) as most:
            rests = _rests(app)
            more = max(more, most() - before)
        figure = self._row(case, app, honest, more, usual, outcomes)
        if not rests:  # the next case is to begin on an app that does nothing
            self.close()
        return figure

    def _row(
        self,
        case: Case,
        app: Running,
        honest: Honest,
        more: float,
        usual: float,
        outcomes: Mapping[str, int],
    ) -> Figure:
        alive, slower = app.alive(), honest.median() / usual
        note = ", ".join(f"{outcome}: {n}" for outcome, n in sorted(outcomes.items()))
        if (longest := max(honest.seconds, default=float("inf"))) > LONGEST_SECONDS:
            note += f"; the honest visitor waited {longest:.0f} s"
        if honest.refusals:
            note += f"; the honest visitor was told {len(honest.refusals)} times: {honest.refusals[0][:60]}"
        value = f"{'alive' if alive else 'killed'}, {more:+.0f} MB, {slower:.1f}x"
        quick = slower <= MOST_SLOWER and longest <= LONGEST_SECONDS
        met = alive and more <= MOST_MEMORY and quick and not honest.refusals
        return Figure(case.name, value, TARGET, met, note)

    def _started(self, mode: str) -> tuple[Running, Honest]:
        if self._app is not None and mode == self._mode and self._app.alive():
            assert self._honest is not None
            return self._app, self._honest
        self.close()
        self._mode = mode
        self._app = self._stack.enter_context(
            running(self._place, mode, self._ports(), TRAINING, limit=LIMIT)
        )
        self.held = self._app.held
        person = Person(self._app.url, "192.0.2.1")
        self._stack.callback(person.close)
        if mode == "team":
            assert person.sign_in("ann") == 200
        self._honest = Honest(person, "task-0")
        self._honest.usual(self._load.usual)  # the first questions fill caches
        return self._app, self._honest


def _rests(app: Running) -> bool:
    """Whether the app comes to rest soon."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while app.alive() and time.monotonic() < deadline:
        if app.busy(0.5) < _IDLE:
            return app.alive()
    return False


def suffered(place: Place, ports: Callable[[], int], load: Load, cases: Sequence[Case]) -> list[Figure]:
    """One row for each case, printed as it comes."""
    add_team(place, TEAM)
    attacked, figures = Attacked(place, ports, load), []
    try:
        for case in sorted(cases, key=lambda case: case.mode):  # one start of the app for each mode
            figures.append(attacked.suffer(case))
            print(f"{case.name}: {figures[-1].value} ({figures[-1].note})", file=sys.stderr)
    finally:
        attacked.close()
    return [Figure("what held the app to 4 GB", attacked.held), *figures]


def add_team(place: Place, members: Mapping[str, Role]) -> None:
    """Let people sign in, each with a role and `PASSWORD`."""
    service = Service(Settings(home=place.home, bundled=False))
    try:
        for name, role in members.items():
            UserActions(service.registry, SHELL).add(name, PASSWORD, role)
    finally:
        service.close()


def address(number: int) -> str:
    """Where a hostile asker sits."""
    return f"203.0.113.{number + 1}"
