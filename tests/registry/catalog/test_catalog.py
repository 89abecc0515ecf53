"""Publishing, finding, withdrawing and archiving adapters."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError

from registry import (
    BlobDamaged,
    BlobMissing,
    InvalidSlug,
    InvalidValue,
    NewEvaluation,
    NewVersion,
    Registry,
    UnknownAdapter,
    UnknownBase,
    UnknownDataset,
    UnknownRun,
    UnknownVersion,
    VersionWithdrawn,
)
from registry.catalog import lookup
from registry.catalog import publishing as publishing_module
from registry.database.db import Database
from registry.database.models import Table

MakeVersion = Callable[..., NewVersion]


def test_a_published_version_is_read_as_it_was_given(
    registry: Registry, new_version: MakeVersion, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"weights")
    evaluation = NewEvaluation("validation", 20, 0.9, 0.3, 0.88, 0.8)
    files = {"adapter_model.safetensors": weights, "extra/task.json": b"{}"}
    version = registry.catalog.publish(new_version(files=files, evaluations=(evaluation,)), actor="ann")

    assert (version.ref, version.title, version.description) == ("pets@1", "Pets", "Cats and dogs.")
    assert (version.class_names, version.config, version.size_bytes) == (("cat", "dog"), {"r": 8}, 9)
    assert (version.base.name, version.dataset_fingerprint) == ("vit_small", "f" * 64)
    assert version.weights_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert [file.path for file in version.files] == ["adapter_model.safetensors", "extra/task.json"]
    assert registry.catalog.read_files(version) == {
        "adapter_model.safetensors": b"weights",
        "extra/task.json": b"{}",
    }
    found = version.evaluation("validation")
    assert found is not None
    assert (found.n, found.accuracy, found.linear_probe_accuracy) == (20, 0.9, 0.8)
    assert version.evaluation("test") is None
    assert registry.catalog.resolve("pets@1") == version


def test_a_file_is_found_by_its_path_in_the_versions_that_have_it(
    registry: Registry, new_version: MakeVersion
) -> None:
    catalog = registry.catalog
    for slug, weights, extra in (("pets", b"1", b"one"), ("pets", b"2", b"two"), ("cars", b"3", None)):
        files = {"adapter_model.safetensors": weights, **({} if extra is None else {"extra": extra})}
        catalog.publish(new_version(slug=slug, files=files), actor="ann")
    found = catalog.files_named("extra", {"pets": 1, "cars": 1, "gone": 1})
    assert found == {"pets": hashlib.sha256(b"one").hexdigest()}
    assert catalog.read_blob(found["pets"]) == b"one"
    assert catalog.files_named("extra", {}) == {}


def test_the_manifest_hash_is_that_of_the_canonical_json_of_the_files(
    registry: Registry, new_version: MakeVersion
) -> None:
    version = registry.catalog.publish(new_version(), actor="ann")
    digests = {file.path: file.sha256 for file in version.files}
    canonical = json.dumps(digests, sort_keys=True, separators=(",", ":")).encode()
    assert version.manifest_sha256 == hashlib.sha256(canonical).hexdigest()


def test_publishing_the_same_files_again_returns_the_same_version_without_an_event(
    registry: Registry, new_version: MakeVersion
) -> None:
    first = registry.catalog.publish(new_version(), actor="ann")
    revision = registry.revision()
    assert registry.catalog.publish(new_version(title="Other"), actor="bob") == first
    assert registry.revision() == revision
    assert registry.catalog.publish(new_version(b"other"), actor="bob").version == 2


def test_two_adapters_may_share_the_same_files(registry: Registry, new_version: MakeVersion) -> None:
    registry.catalog.publish(new_version(), actor="ann")
    assert registry.catalog.publish(new_version(slug="other"), actor="ann").ref == "other@1"


def test_concurrent_publications_get_consecutive_numbers(
    registry: Registry, new_version: MakeVersion
) -> None:
    with ThreadPoolExecutor(8) as pool:
        versions = pool.map(
            lambda i: registry.catalog.publish(new_version(str(i).encode()), actor="ann").version, range(16)
        )
        assert sorted(versions) == list(range(1, 17))


def test_a_new_version_sets_title_and_description_unless_they_are_empty(
    registry: Registry, new_version: MakeVersion
) -> None:
    registry.catalog.publish(new_version(b"1"), actor="ann")
    version = registry.catalog.publish(new_version(b"2", title="Pets again", description=""), actor="ann")
    assert (version.title, version.description) == ("Pets again", "Cats and dogs.")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"slug": "No Slug"}, InvalidSlug),
        ({"slug": "pets\n"}, InvalidSlug),
        ({"base_id": 99}, UnknownBase),
        ({"dataset_id": 99}, UnknownDataset),
        ({"run_id": "missing"}, UnknownRun),
        ({"weights_file": "other.safetensors"}, InvalidValue),
        ({"class_names": ("cat", "cat")}, InvalidValue),
        ({"config": {"alpha": float("inf")}}, InvalidValue),
        ({"files": {"adapter_model.safetensors": Path("/nowhere")}}, InvalidValue),
        ({"evaluations": (NewEvaluation("test", 1, 0.5, float("nan"), 0.5),)}, InvalidValue),
        ({"evaluations": (NewEvaluation("test", 1, 1.5, 0.1, 0.5),)}, InvalidValue),
        ({"evaluations": (NewEvaluation("train", 1, 0.5, 0.1, 0.5),)}, InvalidValue),  # type: ignore[arg-type]
        ({"evaluations": (NewEvaluation("test", 1, 0.5, 0.1, 0.5),) * 2}, InvalidValue),
    ],
)
def test_an_invalid_publication_leaves_the_catalog_empty(
    registry: Registry, new_version: MakeVersion, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        registry.catalog.publish(new_version(**changes), actor="ann")
    assert registry.catalog.adapters() == []
    assert registry.revision() == 0


@pytest.mark.parametrize("path", ["../x", "/x", "a/../x", "a//x", "./x", "a\\x", "C:x", "", "x/", "a\0b"])
def test_a_file_path_that_could_leave_its_folder_is_refused(
    registry: Registry, new_version: MakeVersion, path: str
) -> None:
    files = {"adapter_model.safetensors": b"weights", path: b"x"}
    with pytest.raises(InvalidValue, match="relative"):
        registry.catalog.publish(new_version(files=files), actor="ann")


def test_a_failure_between_files_and_rows_lists_nothing_and_uses_no_number(
    registry: Registry, new_version: MakeVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(publishing_module, "record_event", fail)
        registry.catalog.publish(new_version(), actor="ann")
    assert registry.catalog.adapters() == []
    assert registry.catalog.publish(new_version(), actor="ann").version == 1


def test_a_slug_resolves_to_the_newest_version_that_is_not_withdrawn(
    registry: Registry, new_version: MakeVersion
) -> None:
    for number in range(3):
        registry.catalog.publish(new_version(str(number).encode()), actor="ann")
    assert registry.catalog.resolve("pets").version == 3
    registry.catalog.withdraw("pets", 3, "mislabelled", actor="ann")
    assert registry.catalog.resolve("pets").version == 2
    assert [version.version for version in registry.catalog.versions("pets")] == [3, 2, 1]


def test_a_withdrawn_version_is_refused_with_its_reason(registry: Registry, new_version: MakeVersion) -> None:
    registry.catalog.publish(new_version(), actor="ann")
    withdrawn = registry.catalog.withdraw("pets", 1, "mislabelled", actor="ann")
    assert withdrawn.withdrawn_at is not None
    for ref in ("pets@1", "pets"):
        with pytest.raises(VersionWithdrawn, match="mislabelled") as caught:
            registry.catalog.resolve(ref)
        assert caught.value.reason == "mislabelled"


def test_withdrawing_again_keeps_the_first_reason_and_writes_no_event(
    registry: Registry, new_version: MakeVersion
) -> None:
    registry.catalog.publish(new_version(), actor="ann")
    first = registry.catalog.withdraw("pets", 1, "mislabelled", actor="ann")
    assert registry.catalog.withdraw("pets", 1, "other", actor="bob") == first
    assert registry.revision() == 2


def test_a_withdrawal_without_a_reason_is_refused(registry: Registry, new_version: MakeVersion) -> None:
    registry.catalog.publish(new_version(), actor="ann")
    with pytest.raises(InvalidValue, match="has no reason"):
        registry.catalog.withdraw("pets", 1, " ", actor="ann")


def test_an_unknown_adapter_is_answered_with_close_names(
    registry: Registry, new_version: MakeVersion
) -> None:
    with pytest.raises(UnknownAdapter, match="Look up its name in the catalog"):
        registry.catalog.resolve("pest")
    registry.catalog.publish(new_version(), actor="ann")
    with pytest.raises(UnknownAdapter, match="Did you mean pets"):
        registry.catalog.resolve("pest@1")
    with pytest.raises(UnknownAdapter):
        registry.catalog.versions("pest")


def test_among_many_adapters_those_with_the_same_prefix_are_suggested_first(
    registry: Registry, new_version: MakeVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "MAX_COMPARED", 2)
    for slug in ("aaa", "abc", "zebras", "zoo"):
        registry.catalog.publish(new_version(slug=slug), actor="ann")
    with pytest.raises(UnknownAdapter, match="Did you mean zebras"):
        registry.catalog.resolve("zebrsa")


@pytest.mark.parametrize("number", ["0", "2", "-1", "01", "1 ", "production", "", "²", "9" * 40])
def test_an_unknown_version_is_answered_with_the_newest_one(
    registry: Registry, new_version: MakeVersion, number: str
) -> None:
    registry.catalog.publish(new_version(), actor="ann")
    with pytest.raises(UnknownVersion, match="Its newest version is pets@1"):
        registry.catalog.resolve(f"pets@{number}")


def test_an_archived_adapter_is_hidden_but_still_resolves(
    registry: Registry, new_version: MakeVersion
) -> None:
    version = registry.catalog.publish(new_version(), actor="ann")
    archived = registry.catalog.archive("pets", actor="bob")
    assert archived.archived_at is not None
    assert registry.catalog.archive("pets", actor="bob") == archived
    assert registry.revision() == 2
    assert registry.catalog.adapters() == []
    assert registry.catalog.current() == []
    assert registry.catalog.adapters(include_archived=True) == [archived]
    assert registry.catalog.resolve("pets") == version


def test_a_new_version_unarchives_its_adapter(registry: Registry, new_version: MakeVersion) -> None:
    registry.catalog.publish(new_version(b"1"), actor="ann")
    registry.catalog.archive("pets", actor="ann")
    registry.catalog.publish(new_version(b"2"), actor="ann")
    assert [version.ref for version in registry.catalog.current()] == ["pets@2"]


def test_current_holds_one_version_per_adapter_in_a_fixed_number_of_queries(
    registry: Registry, new_version: MakeVersion
) -> None:
    def statements_of_current() -> int:
        seen: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("SELECT"):
                seen.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            registry.catalog.current()
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        return len(seen)

    registry.catalog.publish(new_version(slug="a"), actor="ann")
    for_one = statements_of_current()
    for slug in ("b", "c", "d"):
        registry.catalog.publish(new_version(b"1", slug=slug), actor="ann")
        registry.catalog.publish(new_version(b"2", slug=slug), actor="ann")
    registry.catalog.withdraw("d", 2, "bad", actor="ann")
    assert [version.ref for version in registry.catalog.current()] == ["a@1", "b@2", "c@2", "d@1"]
    assert statements_of_current() == for_one == 3


def test_an_adapter_whose_versions_are_all_withdrawn_is_listed_without_one(
    registry: Registry, new_version: MakeVersion
) -> None:
    registry.catalog.publish(new_version(), actor="ann")
    registry.catalog.withdraw("pets", 1, "bad", actor="ann")
    (adapter,) = registry.catalog.adapters()
    assert (adapter.slug, adapter.newest) == ("pets", None)
    assert registry.catalog.current() == []


def test_damaged_and_missing_files_are_reported_instead_of_returned(
    registry: Registry, new_version: MakeVersion
) -> None:
    version = registry.catalog.publish(new_version(), actor="ann")
    path = registry.blobs.path(version.weights_sha256)
    path.write_bytes(b"weighty")
    with pytest.raises(BlobDamaged, match=str(path)):
        registry.catalog.read_files(version)
    path.unlink()
    with pytest.raises(BlobMissing, match=str(path)):
        registry.catalog.read_files(version)


def test_every_change_is_recorded_with_its_author_newest_first(
    registry: Registry, new_version: MakeVersion
) -> None:
    version = registry.catalog.publish(new_version(), actor="ann")
    registry.catalog.withdraw("pets", 1, "mislabelled", actor="bob")
    registry.catalog.archive("pets", actor="eve")
    archived, withdrawn, published = registry.catalog.events()
    assert (archived.kind, archived.actor, archived.entity_id) == ("archived", "eve", "pets")
    assert (withdrawn.kind, withdrawn.actor, withdrawn.payload) == (
        "withdrawn",
        "bob",
        {"reason": "mislabelled"},
    )
    assert (published.kind, published.entity, published.entity_id) == ("published", "version", "pets@1")
    assert published.payload["manifest_sha256"] == version.manifest_sha256
    assert published.ts == version.created_at
    assert registry.catalog.events(limit=1) == [archived]
    assert registry.revision() == archived.id


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE adapter_versions SET weights_sha256 = weights_sha256", "can not be changed"),
        ("UPDATE adapter_versions SET class_names = '[]'", "can not be changed"),
        ("UPDATE adapter_versions SET config = '{}'", "can not be changed"),
        ("DELETE FROM adapter_versions", "only withdrawn"),
        ("UPDATE audit_events SET actor = 'x'", "event can not be changed"),
        ("DELETE FROM audit_events", "event can not be deleted"),
    ],
)
def test_the_database_itself_refuses_to_rewrite_history(
    registry: Registry, new_version: MakeVersion, database: Database, statement: str, message: str
) -> None:
    registry.catalog.publish(new_version(), actor="ann")
    with pytest.raises(IntegrityError, match=message), database.writing() as session:
        session.execute(text(statement))


def test_every_content_column_of_a_version_is_protected(
    registry: Registry, new_version: MakeVersion, database: Database
) -> None:
    registry.catalog.publish(new_version(), actor="ann")

    def refused(column: str) -> bool:
        try:
            with database.writing() as session:
                session.execute(text(f"UPDATE adapter_versions SET {column} = {column}"))
        except IntegrityError:
            return True
        return False

    columns = [column.name for column in Table.metadata.tables["adapter_versions"].columns]
    assert [column for column in columns if not refused(column)] == ["withdrawn_at", "withdrawn_reason"]
