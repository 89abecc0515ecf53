"""The app saves what changed, says how well that goes, and comes back from an empty disk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from loravit_web.saver import RestoreFailed, Saved, Saver, saved_sentence
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from registry import (
    BlobStoreUnreachable,
    DatasetClass,
    Lease,
    NewBase,
    NewDataset,
    NewRun,
    NewVersion,
    Registry,
    SnapshotStore,
    newest_snapshot,
    open_snapshot_store,
)
from tests.conftest import RECIPE, ColourFolders, tiny_service, train_now

INTERVAL = timedelta(minutes=15)
NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(settings: Settings, clock: Clock) -> Iterator[Registry]:
    with Registry.open(settings.ensure_home().database_url, settings.artifacts, clock=clock) as opened:
        yield opened


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


MakeSaver = Callable[..., Saver]


@pytest.fixture
def saver_of(settings: Settings, clock: Clock, place: Path) -> MakeSaver:
    def make(
        registry: Registry,
        open_at: Callable[[str], SnapshotStore] = open_snapshot_store,
        *,
        last_copy: bool = False,
    ) -> Saver:
        return Saver(
            registry,
            str(place),
            settings.snapshot_scratch,
            interval=INTERVAL,
            last_copy=last_copy,
            clock=clock,
            open_at=open_at,
            sleep=lambda _seconds: None,
        )

    return make


@pytest.fixture
def saver(registry: Registry, saver_of: MakeSaver) -> Saver:
    return saver_of(registry)


def publish(registry: Registry, weights: bytes = b"weights") -> None:
    base = registry.bases.ensure(NewBase("vit", "a" * 64, "vit", 384, 12))
    files: dict[str, bytes | Path] = {"adapter_model.safetensors": weights}
    new = NewVersion("pets", "Pets", "", None, base.id, None, "LORA", 1, 112, ("cat", "dog"), {}, files)
    registry.catalog.publish(new, actor="ada")


def start_run(registry: Registry) -> str:
    base = registry.bases.ensure(NewBase("vit", "a" * 64, "vit", 384, 12))
    classes = (DatasetClass("cat", 1, 1, 0), DatasetClass("dog", 1, 1, 0))
    dataset = registry.datasets.ensure(NewDataset("f" * 64, "pets", "zip", classes))
    return registry.runs.create(NewRun("pets", "Pets", base.id, dataset.id, 1, {}, {}), worker="here:1").id


def snapshots(place: Path) -> int:
    return len(open_snapshot_store(str(place)).names())


def unreachable(_address: str) -> SnapshotStore:
    raise BlobStoreUnreachable("s3://bucket", "no route to host")


def test_a_publication_is_saved_at_the_next_look_and_nothing_twice(
    registry: Registry, saver: Saver, place: Path, clock: Clock
) -> None:
    publish(registry)
    saver.save_if_due()
    assert snapshots(place) == 1
    assert saver.saved == Saved(at=NOON)
    clock.now += timedelta(days=1)
    saver.save_if_due()
    assert snapshots(place) == 1
    publish(registry, b"other")
    saver.save_if_due()
    assert snapshots(place) == 2


def test_an_empty_registry_is_not_saved(saver: Saver, place: Path) -> None:
    saver.save_if_due(last=False)
    assert not place.exists()
    assert saved_sentence(saver.saved, NOON) == "Nothing to save yet."


def test_runs_that_go_on_are_saved_every_quarter_of_an_hour(
    registry: Registry, saver: Saver, place: Path, clock: Clock
) -> None:
    publish(registry)
    saver.save_if_due()
    run = start_run(registry)
    clock.now += timedelta(minutes=14)
    registry.runs.record_heartbeat(Lease(run, "here:1", 1))
    saver.save_if_due()
    assert snapshots(place) == 1
    clock.now += timedelta(minutes=1)
    saver.save_if_due()
    assert snapshots(place) == 2


def test_at_the_end_whatever_changed_is_saved(registry: Registry, saver: Saver, place: Path) -> None:
    publish(registry)
    saver.save_if_due()
    start_run(registry)
    saver.start()
    saver.close()
    assert snapshots(place) == 2


def test_a_place_that_does_not_answer_is_said_once_and_tried_again_each_minute(
    registry: Registry, saver_of: MakeSaver, place: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []
    answers = False

    def open_at(address: str) -> SnapshotStore:
        asked.append(address)
        return open_snapshot_store(address) if answers else unreachable(address)

    saver = saver_of(registry, open_at)
    publish(registry)
    saver.save_if_due()
    clock.now += timedelta(seconds=30)
    saver.save_if_due()
    assert len(asked) == 1
    clock.now += timedelta(seconds=30)
    saver.save_if_due()
    assert len(asked) == 2
    assert len(caplog.records) == 1
    assert "no route to host" in caplog.text
    assert saver.saved == Saved(None, NOON, "the snapshot storage does not respond")
    answers = True
    clock.now += timedelta(minutes=1)
    saver.save_if_due()
    assert saver.saved == Saved(at=clock.now)
    assert snapshots(place) == 1
    assert "saved" in caplog.records[-1].message


def test_a_place_that_can_not_be_written_is_said_on_the_page_without_its_folder(
    registry: Registry, saver: Saver, place: Path
) -> None:
    place.write_text("a file where a folder should be")
    publish(registry)
    saver.save_if_due()
    sentence = saved_sentence(saver.saved, NOON)
    assert sentence == "Not saved yet: the snapshot storage cannot be written."


def test_a_failure_does_not_forget_when_it_was_last_saved(
    registry: Registry, saver: Saver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(registry)
    saver.save_if_due()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    registry.catalog.tag("pets", add=["new"], actor="ada")
    clock.now += timedelta(minutes=3)
    saver.save_if_due()
    assert saved_sentence(saver.saved, clock.now) == (
        "Not saved since 2026-11-24 12:00 UTC: the disk for snapshots is full."
    )


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=50), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=3, seconds=59), "3 minutes ago"),
        (timedelta(hours=2), "2 hours ago"),
        (timedelta(days=1, hours=5), "1 day ago"),
    ],
)
def test_the_page_says_how_long_ago_it_was_saved(age: timedelta, text: str) -> None:
    assert saved_sentence(Saved(at=NOON), NOON + age) == f"Last saved {text}."


def another(tmp_path: Path, clock: Clock) -> Registry:
    folder = tmp_path / "another"
    return Registry.open(f"sqlite:///{folder / 'registry.db'}", folder / "artifacts", clock=clock)


def test_after_restoring_it_goes_on_from_the_snapshot(
    registry: Registry, saver: Saver, saver_of: MakeSaver, place: Path, tmp_path: Path, clock: Clock
) -> None:
    publish(registry)
    saver.save_if_due()
    with another(tmp_path, clock) as fresh:
        there = saver_of(fresh)
        assert there.restore() is not None
        assert there.saved == Saved(at=NOON)
        there.save_if_due()
        assert snapshots(place) == 1
        publish(fresh, b"other")
        there.save_if_due()
        assert snapshots(place) == 2


def test_a_start_with_the_same_registry_saves_nothing_again(
    registry: Registry, saver: Saver, saver_of: MakeSaver, place: Path, clock: Clock
) -> None:
    publish(registry)
    saver.save_if_due()
    again = saver_of(registry)
    assert again.restore() is None
    assert again.saved == Saved(at=NOON)
    again.save_if_due()
    assert snapshots(place) == 1


def test_what_could_not_be_read_at_the_start_is_not_pushed_out_later(
    registry: Registry, saver: Saver, saver_of: MakeSaver, place: Path, tmp_path: Path, clock: Clock
) -> None:
    publish(registry)
    saver.save_if_due()
    answers = False
    with another(tmp_path, clock) as fresh:
        there = saver_of(
            fresh, lambda address: open_snapshot_store(address) if answers else unreachable(address)
        )
        assert there.restore() is None
        answers = True
        for number in range(5):
            publish(fresh, str(number).encode())
            clock.now += timedelta(minutes=2)
            there.save_if_due()
        assert there.saved.reason.startswith("the snapshots belong to another registry")
    newest = newest_snapshot(open_snapshot_store(str(place)))
    assert newest is not None
    assert newest.state == registry.state()


def test_an_empty_registry_is_restored_when_the_place_answers_again_within_a_minute(
    registry: Registry, saver: Saver, saver_of: MakeSaver, tmp_path: Path, clock: Clock
) -> None:
    publish(registry)
    saver.save_if_due()
    asked: list[str] = []

    def open_at(address: str) -> SnapshotStore:
        asked.append(address)
        return open_snapshot_store(address) if len(asked) == 3 else unreachable(address)

    with another(tmp_path, clock) as fresh:
        there = saver_of(fresh, open_at)
        assert there.restore() is not None
        assert there.saved == Saved(at=NOON)
        assert [version.ref for version in fresh.catalog.versions("pets")] == ["pets@1"]


def test_where_all_would_be_lost_an_empty_registry_does_not_open_without_the_place(
    registry: Registry, saver_of: MakeSaver
) -> None:
    with pytest.raises(RestoreFailed, match="lost at the next restart. Start again later"):
        saver_of(registry, unreachable, last_copy=True).restore()
    publish(registry)
    assert saver_of(registry, unreachable, last_copy=True).restore() is None


def test_a_damaged_newest_is_told_in_the_log(
    registry: Registry,
    saver: Saver,
    saver_of: MakeSaver,
    place: Path,
    tmp_path: Path,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for weights in (b"one", b"two"):
        publish(registry, weights)
        saver.save_if_due()
    store = open_snapshot_store(str(place))
    newest = Path(store.root) / store.names()[0]
    newest.write_bytes(newest.read_bytes()[:100])
    with another(tmp_path, clock) as fresh, caplog.at_level(logging.WARNING):
        there = saver_of(fresh)
        assert there.restore() is not None
        assert [version.ref for version in fresh.catalog.versions("pets")] == ["pets@1"]
        assert "A snapshot was skipped" in caplog.text
        assert newest.name in caplog.text
        publish(fresh, b"three")
        there.save_if_due()
        assert there.saved.failing_since is None


def test_an_app_on_an_empty_disk_serves_every_version_that_was_published(
    settings: Settings, tmp_path: Path, colour_folders: ColourFolders
) -> None:
    data = colour_folders()
    before = replace(settings, snapshot_url=str(tmp_path / "place"))
    first = tiny_service(before)
    first.start()
    try:
        train_now(first, first.datasets.import_source(data), "Colours", RECIPE, first.new_worker())
    finally:
        first.close()
    after = replace(before, home=tmp_path / "new disk")
    second = tiny_service(after)
    second.recover()
    second.start()
    try:
        tasks = second.predictor.tasks()
        assert [(task.task, task.status) for task in tasks] == [("colours@1", "ready")]
        assert [run.status for run in second.registry.runs.list()] == ["completed"]
    finally:
        second.close()


def test_the_folder_of_snapshots_is_never_served(settings: Settings, place: Path) -> None:
    service = Service(replace(settings, snapshot_url=place.as_uri()))
    assert place in service.private_folders
    service.close()
