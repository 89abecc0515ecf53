"""The doctor says whether the registry is saved elsewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from loravit_web.doctor import Report, examine
from loravit_web.doctor.snapshots import SNAPSHOTS
from loravit_web.settings.environment import Settings
from registry import Registry, open_snapshot_store, utc_now
from tests.doctor.conftest import Publish, about


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


def look(settings: Settings, place: Path, *, later: timedelta = timedelta(0)) -> Report:
    saved = replace(settings, snapshot_url=str(place))
    return examine(saved, checks=[SNAPSHOTS], clock=lambda: utc_now() + later)


def save(registry: Registry, place: Path, settings: Settings) -> None:
    registry.save_snapshot(open_snapshot_store(str(place)), scratch=settings.snapshot_scratch)


def said(report: Report) -> tuple[str, str]:
    (finding,) = about(report, "snapshots")
    return finding.state, finding.text


def test_a_saved_registry_is_well(
    registry: Registry, settings: Settings, publish: Publish, place: Path
) -> None:
    publish()
    save(registry, place, settings)
    state, text = said(look(settings, place, later=timedelta(days=1)))
    assert state == "ok"
    assert text.startswith("last saved 20")


def test_a_change_that_was_never_saved_is_a_problem(
    registry: Registry, settings: Settings, publish: Publish, place: Path
) -> None:
    publish()
    save(registry, place, settings)
    publish("dogs")
    assert said(look(settings, place))[0] == "note"
    state, text = said(look(settings, place, later=timedelta(hours=1)))
    assert state == "problem"
    assert "Later changes are not saved" in text


def test_an_empty_registry_will_get_what_is_saved(
    registry: Registry, settings: Settings, publish: Publish, place: Path, tmp_path: Path
) -> None:
    publish()
    save(registry, place, settings)
    fresh = replace(settings, home=tmp_path / "fresh").ensure_home()
    Registry.open(fresh.database_url, fresh.artifacts).close()
    state, text = said(look(fresh, place))
    assert state == "note"
    assert "restores it" in text


def test_a_place_that_is_not_there_is_a_problem(
    registry: Registry, settings: Settings, publish: Publish, place: Path
) -> None:
    publish()
    state, text = said(look(settings, place))
    assert state == "problem"
    assert "Check that the disk is mounted" in text
    assert not place.exists()


def test_an_address_that_can_not_be_used_is_a_problem(registry: Registry, settings: Settings) -> None:
    report = examine(replace(settings, snapshot_url="nonsense://place"), checks=[SNAPSHOTS])
    assert said(report)[0] == "problem"


def test_a_disk_that_a_restart_empties_is_noted(registry: Registry, settings: Settings) -> None:
    report = examine(replace(settings, ephemeral=True), checks=[SNAPSHOTS])
    state, text = said(report)
    assert state == "note"
    assert "LORAVIT_SNAPSHOT_URL" in text


def test_nothing_is_said_where_nothing_is_asked_for(registry: Registry, settings: Settings) -> None:
    assert about(examine(settings, checks=[SNAPSHOTS]), "snapshots") == []
