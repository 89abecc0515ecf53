"""Stuck runs and the folders of runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from loravit_web.doctor import examine
from loravit_web.settings.environment import Settings
from loravit_web.worker import reaper
from registry import Registry, Run, utc_now
from tests.doctor.conftest import about, mended, problems


def test_a_stuck_run_is_marked_as_interrupted_on_request(
    settings: Settings, registry: Registry, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "CONFIRM_SECONDS", 0.0)
    with Registry.open(
        settings.database_url, settings.artifacts, clock=lambda: utc_now() - timedelta(hours=1)
    ) as an_hour_ago:
        an_hour_ago.runs.record_heartbeat(run.lease)
    assert problems(examine(settings)) == [f"run {run.id[:8]}"]
    assert registry.runs.get(run.id).status == "running"
    report = examine(settings, mend=True)
    assert report.healthy
    assert mended(report)[0].startswith(f"marked run {run.id} of pets as interrupted")
    assert registry.runs.get(run.id).status == "interrupted"


def test_a_run_that_beats_is_left_alone(settings: Settings, registry: Registry, run: Run) -> None:
    assert examine(settings, mend=True).healthy
    assert registry.runs.get(run.id).status == "running"


def test_the_folder_of_a_completed_run_is_removed_on_request(
    settings: Settings, registry: Registry, run: Run
) -> None:
    folder = settings.work / run.id
    folder.mkdir(parents=True)
    for name in ("checkpoint.safetensors", "train.tokens"):
        (folder / name).write_bytes(b"large")
    assert examine(settings, mend=True).healthy
    assert folder.is_dir(), "the run goes on"
    registry.runs.finish(run.lease, "completed")
    assert problems(examine(settings)) == ["work folders"]
    report = examine(settings, mend=True)
    assert report.healthy
    assert mended(report) == [f"removed the work folder of the completed run {run.id}"]
    assert not folder.exists()


def test_the_folder_of_a_run_that_can_be_resumed_stays(
    settings: Settings, registry: Registry, run: Run
) -> None:
    (settings.work / run.id).mkdir(parents=True)
    registry.runs.finish(run.lease, "failed", error="It failed.")
    assert examine(settings, mend=True).healthy
    assert (settings.work / run.id).is_dir()


def test_folders_of_no_run_are_mentioned_and_never_removed(settings: Settings, registry: Registry) -> None:
    foreign, named = settings.work / ("0" * 32), settings.work / "my-notes"
    for folder in (foreign, named):
        folder.mkdir(parents=True)
    report = examine(settings, mend=True)
    assert report.healthy
    assert "1 folder" in about(report, "work folders")[0].text
    assert foreign.is_dir()
    assert named.is_dir()
