"""Runs whose process is gone are distinguished from runs whose heartbeats could not be written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pytest

from loravit_web.worker.reaper import CONFIRM_SECONDS, Reaper, reap_once
from loravit_web.worker.tracking import HEARTBEAT_SECONDS, RETRY_SECONDS, STALE_AFTER
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
        """Advance the time; live workers write heartbeats if they can."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            for run in self.alive:
                if self.away is None and run not in self.cut_off and self._due(run):
                    self.beats[run] = self.now

    def watch(self, reaper: Reaper, seconds: float, **known: Any) -> None:
        """Advance the time while an observer checks every half second."""
        end = self.now + seconds
        while self.now < end:
            self.live(0.5)
            try:
                reaper.reap(**known)
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
        self, *, silent: Mapping[str, datetime | None], dead: Mapping[str, str | None], take_ups: int
    ) -> list[Any]:
        if self.away is not None:
            raise self.away
        lost = [
            run
            for run in self.beats
            if f"of {run}" in dead or silent.get(run) == self._moment(self.beats[run])
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
def test_after_an_outage_live_workers_have_time_for_a_heartbeat(
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
    assert runs.reaped["dead"] >= back + CONFIRM_SECONDS


def test_repeated_outages_mark_no_live_run(runs: FakeRuns) -> None:
    watch = observer(runs)
    for _ in range(20):
        runs.away = GONE
        runs.watch(watch, 27)
        runs.away = None
        runs.watch(watch, 6)
    assert "live" not in runs.reaped


def test_a_check_that_waited_for_the_lock_proves_nothing_about_the_wait(runs: FakeRuns) -> None:
    watch = observer(runs)
    runs.watch(watch, 10)
    runs.cut_off, runs.wait = {"live"}, 18.0
    for _ in range(20):
        watch.reap()
    assert runs.reaped == {}


def test_an_observer_that_starts_after_an_outage_waits_for_heartbeats(runs: FakeRuns) -> None:
    runs.away = GONE
    runs.live(60)
    runs.away = None
    watch = observer(runs)
    assert watch.reap() == []
    runs.watch(watch, CONFIRM_SECONDS - 1)
    assert runs.reaped == {}
    runs.watch(watch, 2)
    assert list(runs.reaped) == ["dead"]


def test_an_observer_that_was_suspended_waits_for_heartbeats(runs: FakeRuns) -> None:
    watch = observer(runs)
    runs.watch(watch, 10)
    runs.now += 3600
    runs.watch(watch, CONFIRM_SECONDS - 1)
    assert runs.reaped == {}
    runs.watch(watch, 2)
    assert list(runs.reaped) == ["dead"]


@pytest.mark.parametrize("skew", [-3600.0, -40.0, 40.0, 3600.0])
def test_a_wrong_clock_neither_marks_live_runs_nor_hides_dead_ones(runs: FakeRuns, skew: float) -> None:
    watch = observer(runs)
    runs.watch(watch, 10)
    runs.skew = skew
    runs.watch(watch, 2 * STALE)
    assert list(runs.reaped) == ["dead"]


def test_without_a_recent_heartbeat_every_check_proves_that_one_could_be_written(runs: FakeRuns) -> None:
    runs.watch(observer(runs), STALE - 1)
    assert runs.suspected[-1] == ["dead"]
    assert runs.suspected[0] == []


def test_a_run_is_told_silent_long_before_it_is_given_up(runs: FakeRuns) -> None:
    watch = observer(runs)
    runs.watch(watch, STALE / 2)
    assert watch.silent_runs() == ["dead"]
    assert watch.silent_runs(living=["of dead"]) == []
    assert runs.reaped == {}


def test_a_live_process_gets_as_much_time_as_it_waits_for_the_registry(
    runs: FakeRuns,
) -> None:
    watch = observer(runs)
    runs.cut_off = {"live"}
    runs.watch(watch, RETRY_SECONDS, living=["of live"])
    assert list(runs.reaped) == ["dead"]
    runs.watch(watch, STALE + 1, living=["of live"])
    assert "live" in runs.reaped


def test_the_runs_of_a_worker_known_to_be_gone_are_marked_at_once(runs: FakeRuns) -> None:
    watch = observer(runs)
    runs.away = LOCKED
    runs.watch(watch, 60, dead={"of dead": None})
    runs.away = None
    watch.reap(dead={"of dead": None})
    assert list(runs.reaped) == ["dead"]


def test_a_single_check_does_not_wait_if_all_heartbeats_are_recent(runs: FakeRuns) -> None:
    del runs.beats["dead"]
    assert reap_once(registry_of(runs), clock=lambda: runs.now, sleep=runs.live) == []
    assert runs.now == 0.0


def test_a_single_check_does_not_wait_for_a_slow_clock(runs: FakeRuns) -> None:
    del runs.beats["dead"]
    runs.skew = 3600.0
    assert reap_once(registry_of(runs), clock=lambda: runs.now, sleep=runs.live) == []
    assert runs.now <= HEARTBEAT_SECONDS + 1


def test_a_single_check_waits_until_dead_runs_are_certain(runs: FakeRuns) -> None:
    runs.away = GONE
    runs.live(60)
    runs.away = None
    started = runs.now
    reap_once(registry_of(runs), clock=lambda: runs.now, sleep=runs.live)
    assert list(runs.reaped) == ["dead"]
    assert runs.now - started <= CONFIRM_SECONDS + 2
