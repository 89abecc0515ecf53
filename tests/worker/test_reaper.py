"""Runs whose process is gone are told from runs whose heartbeats could not be written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pytest

from loravit_web.worker.reaper import SURE_SECONDS, Reaper, reap_once
from loravit_web.worker.tracking import HEARTBEAT_SECONDS, PATIENCE_SECONDS, STALE_AFTER
from registry import DatabaseNotReadable, DatabaseNotWritable, Heartbeat, Registry, RegistryError

STALE = STALE_AFTER.total_seconds()
EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)
LOCKED = DatabaseNotWritable("database is locked")
GONE = DatabaseNotReadable("postgresql://host/name", "connection refused")


@dataclass
class FakeRuns:
    """Running runs of several workers, on a database that can be away.

    Attributes:
        now: seconds on the observer's clock.
        skew: how far the workers' clocks are behind the observer's.
        beats: when each run last wrote a heartbeat; `alive` ones write every `HEARTBEAT_SECONDS`.
        away: what every call raises, if the database is away.
    """

    now: float = 0.0
    skew: float = 0.0
    beats: dict[str, float] = field(default_factory=dict)
    alive: set[str] = field(default_factory=set)
    away: RegistryError | None = None
    cut_off: set[str] = field(default_factory=set)
    reaped: dict[str, float] = field(default_factory=dict)
    suspected: list[list[str]] = field(default_factory=list)
    wait: float = 0.0

    def live(self, seconds: float) -> None:
        """Let time pass, in which the living write heartbeats if they can."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            for run in self.alive:
                if self.away is None and run not in self.cut_off and self._due(run):
                    self.beats[run] = self.now

    def watch(self, reaper: Reaper, seconds: float, **known: Any) -> None:
        """Let time pass while an observer looks every half second."""
        end = self.now + seconds
        while self.now < end:
            self.live(0.5)
            try:
                reaper.look(**known)
            except RegistryError as error:
                assert error is self.away

    def heartbeats(self, *, suspected: Collection[str] = ()) -> list[Heartbeat]:
        self.suspected.append(list(suspected))
        self.now += self.wait
        if self.away is not None:
            raise self.away
        return [
            Heartbeat(run, f"of {run}", self._moment(beat), timedelta(seconds=self.now - beat + self.skew))
            for run, beat in self.beats.items()
        ]

    def reap(
        self, *, silent: Mapping[str, datetime | None], dead_worker: str | None, error: str | None
    ) -> list[Any]:
        if self.away is not None:
            raise self.away
        lost = [
            run
            for run in self.beats
            if f"of {run}" == dead_worker or silent.get(run) == self._moment(self.beats[run])
        ]
        for run in lost:
            del self.beats[run]
            self.reaped[run] = self.now
        return lost

    def _due(self, run: str) -> bool:
        return self.now - self.beats[run] >= HEARTBEAT_SECONDS

    def _moment(self, beat: float) -> datetime:
        return EPOCH + timedelta(seconds=beat - self.skew)


@pytest.fixture
def runs() -> FakeRuns:
    return FakeRuns(beats={"live": 0.0, "dead": 0.0}, alive={"live"})


def registry_of(runs: FakeRuns) -> Registry:
    @dataclass
    class FakeRegistry:
        runs: FakeRuns

    return cast(Registry, FakeRegistry(runs))


def observer(runs: FakeRuns) -> Reaper:
    return Reaper(registry_of(runs), clock=lambda: runs.now)


def test_a_run_without_heartbeats_is_marked_after_thirty_seconds_and_a_live_one_never(runs: FakeRuns) -> None:
    runs.watch(observer(runs), 3600)
    assert list(runs.reaped) == ["dead"]
    assert STALE <= runs.reaped["dead"] <= STALE + 1


@pytest.mark.parametrize("reason", [LOCKED, GONE], ids=["writes fail", "reads fail"])
@pytest.mark.parametrize("seconds", [1, 29, 31, 60, 3600])
def test_after_an_outage_the_living_have_time_to_beat_again(
    runs: FakeRuns, reason: RegistryError, seconds: float
) -> None:
    watch = observer(runs)
    runs.watch(watch, 10)
    runs.away = reason
    runs.watch(watch, seconds)
    assert runs.reaped == {}
    runs.away, back = None, runs.now
    runs.watch(watch, 120)
    assert list(runs.reaped) == ["dead"]
    assert runs.reaped["dead"] >= back + SURE_SECONDS


def test_an_outage_that_comes_again_and_again_kills_nobody(runs: FakeRuns) -> None:
    watch = observer(runs)
    for _ in range(20):
        runs.away = GONE
        runs.watch(watch, 27)
        runs.away = None
        runs.watch(watch, 6)
    assert "live" not in runs.reaped


def test_a_look_that_waited_for_the_lock_proves_nothing_of_the_time_before(runs: FakeRuns) -> None:
    watch = observer(runs)
    runs.watch(watch, 10)
    runs.cut_off, runs.wait = {"live"}, 18.0
    for _ in range(20):
        watch.look()
    assert runs.reaped == {}


def test_an_observer_that_starts_right_after_an_outage_lets_the_others_beat_first(runs: FakeRuns) -> None:
    runs.away = GONE
    runs.live(60)
    runs.away = None
    watch = observer(runs)
    assert watch.look() == []
    runs.watch(watch, SURE_SECONDS - 1)
    assert runs.reaped == {}
    runs.watch(watch, 2)
    assert list(runs.reaped) == ["dead"]


def test_an_observer_that_slept_lets_the_others_beat_first(runs: FakeRuns) -> None:
    watch = observer(runs)
    runs.watch(watch, 10)
    runs.now += 3600
    runs.watch(watch, SURE_SECONDS - 1)
    assert runs.reaped == {}
    runs.watch(watch, 2)
    assert list(runs.reaped) == ["dead"]


@pytest.mark.parametrize("skew", [-3600.0, -40.0, 40.0, 3600.0])
def test_a_clock_that_is_wrong_or_jumps_kills_nobody_and_hides_nobody(runs: FakeRuns, skew: float) -> None:
    watch = observer(runs)
    runs.watch(watch, 10)
    runs.skew = skew
    runs.watch(watch, 2 * STALE)
    assert list(runs.reaped) == ["dead"]


def test_while_a_heart_stands_still_every_look_proves_that_it_could_beat(runs: FakeRuns) -> None:
    runs.watch(observer(runs), STALE - 1)
    assert runs.suspected[-1] == ["dead"]
    assert runs.suspected[0] == []


def test_a_worker_whose_process_lives_is_waited_for_as_long_as_it_waits_for_the_registry(
    runs: FakeRuns,
) -> None:
    watch = observer(runs)
    runs.cut_off = {"live"}
    runs.watch(watch, PATIENCE_SECONDS, living_worker="of live")
    assert list(runs.reaped) == ["dead"]
    runs.watch(watch, STALE + 1, living_worker="of live")
    assert "live" in runs.reaped


def test_a_worker_known_to_be_gone_is_told_at_once_also_right_after_an_outage(runs: FakeRuns) -> None:
    watch = observer(runs)
    runs.away = LOCKED
    runs.watch(watch, 60, dead_worker="of dead")
    runs.away = None
    watch.look(dead_worker="of dead")
    assert list(runs.reaped) == ["dead"]


def test_a_single_look_does_not_wait_while_every_heart_beats(runs: FakeRuns) -> None:
    del runs.beats["dead"]
    assert reap_once(registry_of(runs), clock=lambda: runs.now, sleep=runs.live) == []
    assert runs.now == 0.0


def test_a_single_look_does_not_wait_for_a_clock_that_is_behind(runs: FakeRuns) -> None:
    del runs.beats["dead"]
    runs.skew = 3600.0
    assert reap_once(registry_of(runs), clock=lambda: runs.now, sleep=runs.live) == []
    assert runs.now <= HEARTBEAT_SECONDS + 1


def test_a_single_look_waits_until_it_knows_the_dead_from_the_living(runs: FakeRuns) -> None:
    runs.away = GONE
    runs.live(60)
    runs.away = None
    started = runs.now
    reap_once(registry_of(runs), clock=lambda: runs.now, sleep=runs.live)
    assert list(runs.reaped) == ["dead"]
    assert runs.now - started <= SURE_SECONDS + 2
