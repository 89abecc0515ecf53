"""Runs without a heartbeat are told from runs whose machine was asleep."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from loravit_web.training.reaper import Reaper
from loravit_web.training.tracking import HEARTBEAT_SECONDS, STALE_AFTER
from registry import Registry


@pytest.fixture
def allowed(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """How much silence each look allowed."""
    looks: list[timedelta] = []

    def reap(*, stale_after: timedelta, **_: Any) -> list[Any]:
        looks.append(stale_after)
        return []

    monkeypatch.setattr(registry.runs, "reap", reap)
    return looks


def test_a_reaper_that_was_asleep_itself_lets_the_others_beat_first(
    registry: Registry, allowed: list[timedelta]
) -> None:
    now = [1000.0]
    reaper = Reaper(registry, clock=lambda: now[0])
    for step in (0.5, 0.5, 3600.0, 0.5, 3 * HEARTBEAT_SECONDS):
        now[0] += step
        reaper.look()
    asleep = STALE_AFTER + timedelta(seconds=3600)
    assert allowed == [STALE_AFTER, STALE_AFTER, asleep, asleep, STALE_AFTER]
