"""A base in the artifact store keeps its name, its weights and its facts."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from registry import (
    BaseNameTaken,
    BaseNotStored,
    BlobDamaged,
    BlobMissing,
    InvalidValue,
    NewBase,
    NewStoredBase,
    NewVersion,
    Registry,
)

BASE = NewBase("team-vit", "b" * 64, "vit_small", 384, 12)
NEW = NewStoredBase(
    BASE,
    b"weights",
    mean=(0.5, 0.25, 0.5),
    std=(0.2, 0.2, 0.1),
    patch_size=14,
    parameters=22_000_000,
    license="MIT",
    card="# Team ViT",
)
AGES_AGO = timedelta(days=-3650)
"""Any file is older than this."""


def blob_path(registry: Registry, data: bytes) -> Path:
    return Path(registry.blobs.where(hashlib.sha256(data).hexdigest()))


def test_a_base_is_stored_with_its_file_its_facts_and_its_card(registry: Registry) -> None:
    stored = registry.base_files.add(NEW, actor="ann")
    assert registry.base_files.get("team-vit") == stored
    assert registry.base_files.list() == [stored]
    assert (stored.base.name, stored.base.weights_sha256) == ("team-vit", "b" * 64)
    assert (stored.mean, stored.std) == (NEW.mean, NEW.std)
    assert (stored.license, stored.patch_size, stored.added_by) == ("MIT", 14, "ann")
    assert registry.base_files.weights(stored) == b"weights"
    assert registry.base_files.card(stored) == "# Team ViT"
    (event,) = registry.catalog.events()
    assert (event.actor, event.kind, event.entity, event.entity_id) == ("ann", "added", "base", "team-vit")


def test_a_base_that_runs_use_already_stays_the_same_row(registry: Registry) -> None:
    known = registry.bases.ensure(BASE)
    assert registry.base_files.find("team-vit") is None
    assert registry.base_files.add(NEW, actor="ann").base == known


def test_adding_the_same_base_again_changes_nothing(registry: Registry) -> None:
    first = registry.base_files.add(NEW, actor="ann")
    revision = registry.revision()
    assert registry.base_files.add(NEW, actor="bob") == first
    assert registry.revision() == revision


def test_a_license_and_a_card_can_be_given_later_and_stay(registry: Registry) -> None:
    registry.base_files.add(replace(NEW, license="", card=""), actor="ann")
    assert registry.base_files.card(registry.base_files.get("team-vit")) == ""
    registry.base_files.add(NEW, actor="bob")
    later = registry.base_files.add(replace(NEW, license="", card=""), actor="bob")
    assert (later.license, later.added_by) == ("MIT", "ann")
    assert registry.base_files.card(later) == "# Team ViT"


@pytest.mark.parametrize(
    "other",
    [replace(NEW, base=replace(BASE, weights_sha256="c" * 64)), replace(NEW, mean=(0.5, 0.5, 0.5))],
    ids=["other weights", "another mean"],
)
def test_a_name_never_stands_for_another_base(registry: Registry, other: NewStoredBase) -> None:
    registry.base_files.add(NEW, actor="ann")
    with pytest.raises(BaseNameTaken, match=r"another base 'team-vit' \(weights bbbbbbbbbbbb\)"):
        registry.base_files.add(replace(other, weights=b"others"), actor="bob")
    assert not blob_path(registry, b"others").exists()


@pytest.mark.parametrize("name", ["", "-vit", "a/b", "../vit", "vit\n", "v" * 129])
def test_a_name_that_no_file_could_have_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises(InvalidValue, match="Choose another name"):
        registry.base_files.add(replace(NEW, base=replace(BASE, name=name)), actor="ann")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("license", "x" * 101),
        ("card", "x" * 100_001),
        ("card", "\udce4"),
        ("mean", (2.0, 0.5, 0.5)),
        ("std", (0.0, 0.5, 0.5)),
    ],
)
def test_a_fact_that_cannot_be_stored_is_refused(registry: Registry, field: str, value: object) -> None:
    with pytest.raises(InvalidValue, match="team-vit"):
        registry.base_files.add(replace(NEW, **{field: value}), actor="ann")  # type: ignore[arg-type]
    assert registry.base_files.list() == []


def test_an_unknown_base_is_not_found(registry: Registry) -> None:
    with pytest.raises(BaseNotStored, match="no base 'team-vit'"):
        registry.base_files.get("team-vit")


def test_the_files_of_a_base_are_not_removed_as_unreferenced(registry: Registry) -> None:
    stored = registry.base_files.add(NEW, actor="ann")
    assert registry.maintenance.unreferenced(AGES_AGO) == []
    registry.maintenance.remove_released()
    assert registry.base_files.weights(stored) == b"weights"


def test_a_damaged_or_missing_file_is_found_and_stored_again(registry: Registry) -> None:
    stored = registry.base_files.add(NEW, actor="ann")
    path = blob_path(registry, b"weights")
    path.write_bytes(b"altered")
    with pytest.raises(BlobDamaged):
        registry.base_files.weights(stored)
    (broken,) = registry.maintenance.broken()
    assert (broken.bases, broken.versions) == (("team-vit",), ())
    path.unlink()
    with pytest.raises(BlobMissing):
        registry.base_files.weights(stored)
    registry.base_files.add(NEW, actor="ann")
    assert registry.base_files.weights(stored) == b"weights"


def test_a_backup_brings_the_files_of_a_base_along(
    registry: Registry, tmp_path: Path, new_version: Callable[..., NewVersion]
) -> None:
    registry.catalog.publish(new_version(), actor="ann")
    stored = registry.base_files.add(NEW, actor="ann")
    registry.backup(tmp_path / "backup.zip")
    with Registry.open(f"sqlite:///{tmp_path / 'other.db'}", tmp_path / "other") as other:
        other.restore(tmp_path / "backup.zip", replace=False, keep_in=tmp_path / "kept", actor="bob")
        assert other.base_files.list() == [stored]
        assert other.base_files.weights(stored) == b"weights"
