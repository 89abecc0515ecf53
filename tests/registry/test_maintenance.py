"""Unreferenced, kept, and broken files."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from registry import NewRun, NewVersion, Registry, StoredFile
from registry.blobs.cache import BlobCache
from registry.blobs.remote import RemoteBlobs
from registry.catalog import publishing
from registry.database.clock import utc_now
from registry.database.models import BlobRow
from registry.maintenance import Maintenance, _referring_columns
from registry.records import BlobInfo
from tests.registry.blobs.stores import STORES, StoreFiles

HOUR = timedelta(hours=1)
NewVersionMaker = Callable[..., NewVersion]


class Clock:
    """The real time, which files have too, plus an offset that a test may set."""

    later = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.later


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=STORES)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> StoreFiles:
    return STORES[request.param](tmp_path)


@pytest.fixture
def registry(url: str, backend: StoreFiles, clock: Clock, tmp_path: Path) -> Iterator[Registry]:
    """A registry on each kind of store."""
    with Registry.open(url, tmp_path / "unused", clock=clock) as opened:
        yield Registry(opened._database, backend.store)


def removed_names(registry: Registry) -> list[str]:
    """Remove unreferenced files more than an hour old, and return their names."""
    left = registry.maintenance.unreferenced(HOUR)
    assert all(registry.maintenance.remove(file, HOUR) for file in left)
    return sorted(file.name for file in left)


def test_only_old_unreferenced_files_are_removed(
    registry: Registry, backend: StoreFiles, new_version: NewVersionMaker, clock: Clock
) -> None:
    version = registry.catalog.publish(new_version(), actor="ada")
    orphan = backend.name(backend.store.put_bytes(b"killed before the rows").sha256)
    abandoned = f"tmp/{'1' * 32}"
    backend.write(abandoned, b"killed on the way")
    backend.write("notes.txt", b"somebody's work")
    backend.write("blobs/sha256/aa/notes.txt", b"somebody's work")
    assert removed_names(registry) == []

    clock.later = 2 * HOUR
    young = backend.name(backend.store.put_bytes(b"in progress").sha256)
    backend.make_older(young, -2 * HOUR)
    assert removed_names(registry) == [orphan, abandoned]

    published = [backend.name(file.sha256) for file in version.files]
    assert backend.names() == sorted([*published, young, "notes.txt", "blobs/sha256/aa/notes.txt"])
    assert registry.catalog.read_files(version) == new_version().files


def test_files_of_withdrawn_versions_and_archived_adapters_are_kept(
    registry: Registry, backend: StoreFiles, new_version: NewVersionMaker, clock: Clock
) -> None:
    version = registry.catalog.publish(new_version(), actor="ada")
    registry.catalog.withdraw("pets", 1, "blurred", actor="ada")
    registry.catalog.archive("pets", actor="ada")
    clock.later = 24 * HOUR
    assert removed_names(registry) == []
    assert registry.catalog.read_files(version) == new_version().files


def test_rows_of_unreferenced_blobs_are_removed_with_or_without_a_file(
    registry: Registry, backend: StoreFiles, clock: Clock
) -> None:
    with_file, without = backend.store.put_bytes(b"there"), BlobInfo("0" * 64, 4)
    with registry._database.writing() as session:
        session.add_all(
            BlobRow(sha256=one.sha256, size=one.size, media_type="", created_at=utc_now())
            for one in (with_file, without)
        )
    clock.later = 2 * HOUR
    assert removed_names(registry) == sorted([backend.name(with_file.sha256), backend.name(without.sha256)])
    with registry._database.reading() as session:
        assert session.query(BlobRow).count() == 0
    assert backend.names() == []


def test_every_column_that_refers_to_a_blob_keeps_it() -> None:
    """A table that is added later is covered without a change of the maintenance."""
    assert {f"{column.table.name}.{column.name}" for column in _referring_columns()} >= {
        "adapter_versions.weights_sha256",
        "version_files.sha256",
    }


def test_a_file_that_has_come_into_use_is_not_removed(
    registry: Registry, new_version: NewVersionMaker, clock: Clock
) -> None:
    new = new_version()
    for content in new.files.values():
        assert isinstance(content, bytes)
        registry.blobs.put_bytes(content)
    clock.later = 2 * HOUR
    found = registry.maintenance.unreferenced(HOUR)
    assert len(found) == 2
    version = registry.catalog.publish(new, actor="ada")
    assert [registry.maintenance.remove(file, timedelta(days=-1)) for file in found] == [False, False]
    assert registry.catalog.read_files(version) == new.files


def test_a_file_that_was_written_again_is_not_removed(
    registry: Registry, backend: StoreFiles, clock: Clock
) -> None:
    name = backend.name(backend.store.put_bytes(b"orphan").sha256)
    backend.make_older(name, 2 * HOUR)
    (found,) = registry.maintenance.unreferenced(HOUR)
    backend.make_older(name, timedelta())
    assert not registry.maintenance.remove(found, HOUR)
    assert backend.names() == [name]


@pytest.mark.parametrize("backend", ["bucket", "server"], indirect=True)
def test_a_file_of_unknown_age_is_never_removed(
    registry: Registry, backend: StoreFiles, clock: Clock
) -> None:
    class Ageless(RemoteBlobs):
        def modified(self, file: StoredFile) -> None:
            return None

    assert isinstance(backend.store, RemoteBlobs)
    store = Ageless(backend.store._files, backend.store._path)
    store.put_bytes(b"orphan")
    clock.later = 1000 * HOUR
    assert Maintenance(registry._database, store).unreferenced(HOUR) == []


@pytest.mark.parametrize("backend", ["local"], indirect=True)
def test_a_removal_without_an_age_limit_spares_publications_in_progress(
    registry: Registry, new_version: NewVersionMaker
) -> None:
    """There is no age limit, so only the locks protect a publication in progress."""
    ended, removed, passes = threading.Event(), [], threading.Semaphore(0)

    def remove_unreferenced() -> None:
        at_once = timedelta(days=-1)
        while not ended.is_set():
            blobs = [file for file in registry.maintenance.unreferenced(at_once) if file.sha256 is not None]
            removed.extend(file for file in blobs if registry.maintenance.remove(file, at_once))
            passes.release()

    thread = threading.Thread(target=remove_unreferenced)
    thread.start()
    try:
        for _ in range(20):
            publish_without_reading_back(registry, new_version, passes)
    finally:
        ended.set()
        thread.join()
    assert list(registry.maintenance.broken()) == []
    assert len(removed) >= 20
    assert {file.sha256 for file in removed} & {file.sha256 for file in registry.blobs.list()}


def publish_without_reading_back(
    registry: Registry, new_version: NewVersionMaker, passes: threading.Semaphore
) -> None:
    """Skip the reading back, which would notice the removal, and wait for a complete pass instead."""
    new = new_version(weights=uuid4().bytes)
    stored = publishing.store_files(registry.blobs, new.files)
    while passes.acquire(blocking=False):
        pass
    for _ in range(2):  # the first pass may have begun before
        assert passes.acquire(timeout=60)
    with registry._database.writing() as session:
        publishing.publish_rows(session, new, stored, registry._database.now(), "ada")
        publishing.store_missing(registry.blobs, new.files, stored)


def test_missing_and_damaged_files_are_named_with_their_versions(
    registry: Registry, backend: StoreFiles, new_version: NewVersionMaker
) -> None:
    shared = b"the same card"
    files = {"adapter_model.safetensors": b"1", "task.json": shared}
    one = registry.catalog.publish(new_version(files=files), actor="ada")
    other = registry.catalog.publish(
        new_version(slug="zebras", files={**files, "adapter_model.safetensors": b"2"}), actor="ada"
    )
    assert list(registry.maintenance.broken()) == []
    (card,) = {file.sha256 for v in (one, other) for file in v.files if file.path == "task.json"}
    backend.remove(backend.name(other.weights_sha256))
    backend.write(backend.name(card), b"the same cart")
    broken = {found.sha256: found for found in registry.maintenance.broken()}
    assert {sha256: found.versions for sha256, found in broken.items()} == {
        card: ("pets@1", "zebras@1"),
        other.weights_sha256: ("zebras@1",),
    }
    assert "is damaged" in broken[card].reason
    assert "cannot be read" in broken[other.weights_sha256].reason


@pytest.mark.parametrize("backend", ["bucket", "server"], indirect=True)
def test_a_broken_file_is_repaired_from_the_cache(
    registry: Registry, backend: StoreFiles, new_version: NewVersionMaker, tmp_path: Path
) -> None:
    assert isinstance(backend.store, RemoteBlobs)
    cached = RemoteBlobs(backend.store._files, backend.store._path, BlobCache(tmp_path / "cache"))
    registry = Registry(registry._database, cached)
    version = registry.catalog.publish(new_version(), actor="ada")
    backend.write(backend.name(version.weights_sha256), b"?")
    (broken,) = registry.maintenance.broken()
    assert registry.maintenance.repair(broken.sha256)
    assert list(registry.maintenance.broken()) == []


def test_a_broken_file_without_a_copy_cannot_be_repaired(
    registry: Registry, backend: StoreFiles, new_version: NewVersionMaker
) -> None:
    version = registry.catalog.publish(new_version(), actor="ada")
    backend.remove(backend.name(version.weights_sha256))
    assert not registry.maintenance.repair(version.weights_sha256)


def test_files_of_ended_runs_are_removed_by_path_with_their_blobs(
    registry: Registry, new_run: Callable[..., NewRun]
) -> None:
    trains, ended = (registry.runs.create(new_run(), worker="w:1") for _ in range(2))
    waits = registry.runs.create(new_run())
    for run in (trains, ended, waits):
        registry.run_files.put(run.id, "first.zip", run.id.encode())
        registry.run_files.put(run.id, "predictions.json", b"kept")
    registry.runs.finish(ended.lease, "interrupted")
    assert registry.maintenance.remove_run_files(["first.zip", "first.json"]) == 1
    assert registry.run_files.names(ended.id) == ["predictions.json"]
    for run in (trains, waits):
        assert registry.run_files.read(run.id, "first.zip") == run.id.encode()
    assert registry.run_files.read(ended.id, "predictions.json") == b"kept"
    assert not registry.blobs.has(hashlib.sha256(ended.id.encode()).hexdigest())
    assert registry.maintenance.remove_run_files(["first.zip"]) == 0


def test_an_intact_database_has_no_problems_and_a_dangling_row_is_reported(
    tmp_path: Path, clock: Clock
) -> None:
    url = f"sqlite:///{tmp_path / 'one.db'}"
    with Registry.open(url, tmp_path / "artifacts", clock=clock) as registry:
        assert registry.maintenance.database_problems() == []
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("PRAGMA foreign_keys=OFF"))
            connection.execute(text("INSERT INTO adapter_tags (adapter_id, tag) VALUES (77, 'lost')"))
        engine.dispose()
        (problem,) = registry.maintenance.database_problems()
        assert "adapter_tags" in problem
        assert "adapters" in problem


def test_a_damaged_database_file_is_reported(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "one.db"
    with Registry.open(f"sqlite:///{file}", tmp_path / "artifacts", clock=clock) as registry:
        registry.close()
        data = bytearray(file.read_bytes())
        # the second half of every page except the first
        for page in range(4096, len(data), 4096):
            data[page : page + 64] = b"\xff" * 64
        file.write_bytes(data)
        assert registry.maintenance.database_problems() != []
