"""From an adapter in memory to a version that was opened again before it is listed."""

from __future__ import annotations

import json

import pytest

from loravit_web.adapters.files.format import TASK_FILE, AdapterFormatError, from_files, to_files
from loravit_web.backbones import Base
from loravit_web.catalog import publishing
from loravit_web.catalog.publishing import Origin, publish, publish_files
from registry import NewBase, Registry
from registry.blobs.local import LocalBlobs
from tests.adapters.makers import random_adapter


@pytest.fixture
def origin(registry: Registry, base: Base) -> Origin:
    record = registry.bases.ensure(
        NewBase(base.name, base.weights_sha256, base.architecture, base.embed_dim, base.depth)
    )
    return Origin("pets", "Pets", record.id, "ada")


def files_of(base: Base) -> dict[str, bytes]:
    return to_files(random_adapter(base, seed=1, classes=("cat", "dog")), base, name="pets", title="Pets")


def test_the_stored_files_are_loaded_and_asked_before_the_version_is_listed(
    registry: Registry, base: Base, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []

    def recorded(files: dict[str, bytes], base: Base) -> object:
        loaded.append((files, len(list(registry.blobs.list())), len(registry.catalog.adapters())))
        return from_files(files, base)

    monkeypatch.setattr(publishing, "from_files", recorded)
    publish(registry, random_adapter(base, seed=1, classes=("cat", "dog")), base, origin)
    (files, *before), (stored, *after) = loaded
    assert files == stored
    assert files_of(base).items() <= files.items()
    assert (before, after) == ([0, 0], [len(files), 0])


def test_an_adapter_that_answers_otherwise_than_it_says_is_neither_stored_nor_listed(
    registry: Registry, base: Base, origin: Origin
) -> None:
    files = files_of(base)
    task = json.loads(files[TASK_FILE])
    task["reference_logits"] = [one + 1 for one in task["reference_logits"]]
    with pytest.raises(AdapterFormatError, match="does not compute the reference logits"):
        publish_files(registry, {**files, TASK_FILE: json.dumps(task).encode()}, base, origin)
    assert registry.catalog.adapters() == []
    assert list(registry.blobs.list()) == []


def test_a_store_that_gives_back_another_adapter_stops_the_publication(
    registry: Registry, base: Base, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even one whose digests are right, as when a program between mixes up two files."""
    task = json.loads(files_of(base)[TASK_FILE])
    task["reference_logits"] = [one + 1 for one in task["reference_logits"]]
    other = json.dumps(task).encode()
    read = LocalBlobs.read

    def mixed_up(store: LocalBlobs, sha256: str, *, fresh: bool = False) -> bytes:
        data = read(store, sha256, fresh=fresh)
        return other if b"reference_logits" in data else data

    monkeypatch.setattr(LocalBlobs, "read", mixed_up)
    with pytest.raises(AdapterFormatError, match="does not compute the reference logits"):
        publish_files(registry, files_of(base), base, origin)
    assert registry.catalog.adapters() == []
