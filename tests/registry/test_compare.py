"""Comparison of runs and versions, and their lineage."""

from collections.abc import Callable
from typing import Any

import pytest

from registry import (
    ABSENT,
    AmbiguousRun,
    Comparison,
    Dataset,
    NewDataset,
    NewEvaluation,
    NewRun,
    NewVersion,
    Registry,
    UnknownAdapter,
    UnknownDataset,
    UnknownReference,
    UnknownVersion,
    VersionWithdrawn,
)
from registry.database.models import RunRow

MakeRun = Callable[..., NewRun]
MakeVersion = Callable[..., NewVersion]


def rows(comparison: Comparison) -> dict[str, tuple[Any, ...]]:
    return {row.key: row.values for row in comparison.settings}


def numbers(comparison: Comparison) -> dict[str, tuple[Any, ...]]:
    return {row.key: row.values for row in comparison.metrics}


def test_only_settings_that_differ_are_listed_and_absent_is_not_null(
    registry: Registry, new_run: MakeRun
) -> None:
    first = registry.runs.create(new_run(config={"adapter": {"r": 8, "dropout": None}, "epochs": 5}))
    second = registry.runs.create(new_run(config={"adapter": {"r": 16}, "epochs": 5, "mirror": True}))
    comparison = registry.comparer.compare([first.id, second.id[:8]])
    assert [one.name for one in comparison.subjects] == [first.id, second.id]
    assert rows(comparison) == {
        "adapter.dropout": (None, ABSENT),
        "adapter.r": (8, 16),
        "mirror": (ABSENT, True),
    }


def test_one_and_true_are_different_values(registry: Registry, new_run: MakeRun) -> None:
    refs = [registry.runs.create(new_run(config={"a": value, "b": 1})).id for value in (1, True, 1.0)]
    assert rows(registry.comparer.compare(refs)) == {"a": (1, True, 1.0)}


def test_environment_dataset_base_and_seed_are_settings_too(
    registry: Registry, new_run: MakeRun, dataset: Dataset
) -> None:
    other = registry.datasets.ensure(NewDataset("e" * 64, "zoo", "zip", dataset.classes))
    first = registry.runs.create(new_run(environment={"torch": "2.8"}))
    second = registry.runs.create(new_run(environment={"torch": "2.9"}, dataset_id=other.id, seed=2))
    assert rows(registry.comparer.compare([first.id, second.id])) == {
        "dataset.fingerprint": ("f" * 64, "e" * 64),
        "dataset.name": ("pets", "zoo"),
        "environment.torch": ("2.8", "2.9"),
        "seed": (1, 2),
    }


def test_a_version_includes_its_run_and_a_run_its_version(
    registry: Registry, new_run: MakeRun, new_version: MakeVersion
) -> None:
    run = registry.runs.create(new_run(config={"adapter": {"r": 8}, "image_size": 112}), worker="w")
    registry.runs.log_metrics(run.id, 1, {"val_accuracy": 0.5})
    registry.runs.log_metrics(run.id, 2, {"val_accuracy": 0.25})
    evaluation = NewEvaluation("test", 10, 0.75, 0.5, 0.625)
    version = registry.catalog.publish(new_version(run_id=run.id, evaluations=(evaluation,)), actor="ann")
    comparison = registry.comparer.compare([version.ref, run.id])
    assert [one.name for one in comparison.subjects] == ["pets@1", run.id]
    assert rows(comparison) == {}
    assert numbers(comparison) == {
        "test.accuracy": (0.75, 0.75),
        "test.loss": (0.5, 0.5),
        "test.macro_f1": (0.625, 0.625),
        "val_accuracy.last": (0.25, 0.25),
        "val_accuracy.max": (0.5, 0.5),
        "val_accuracy.min": (0.25, 0.25),
    }


def test_an_imported_version_is_compared_without_a_run(
    registry: Registry, new_run: MakeRun, new_version: MakeVersion
) -> None:
    run = registry.runs.create(new_run(config={"adapter": {"r": 4}, "epochs": 5}))
    registry.catalog.publish(new_version(dataset_id=None, config={"r": 8}), actor="ann")
    comparison = registry.comparer.compare(["pets", run.id])
    assert rows(comparison)["adapter.r"] == (8, 4)
    assert rows(comparison)["epochs"] == (ABSENT, 5)
    assert rows(comparison)["dataset.fingerprint"] == (ABSENT, "f" * 64)
    assert "base.name" not in rows(comparison)


def test_a_repeated_name_is_compared_once_and_a_single_subject_lists_all_settings(
    registry: Registry, new_run: MakeRun
) -> None:
    run = registry.runs.create(new_run(config={"epochs": 5}))
    comparison = registry.comparer.compare([run.id, run.id])
    assert len(comparison.subjects) == 1
    assert rows(comparison)["epochs"] == (5,)


def test_a_withdrawn_version_can_still_be_compared(registry: Registry, new_version: MakeVersion) -> None:
    registry.catalog.publish(new_version(b"1"), actor="ann")
    registry.catalog.publish(new_version(b"2", config={"r": 4}), actor="ann")
    registry.catalog.withdraw("pets", 1, "mislabelled", actor="ann")
    assert rows(registry.comparer.compare(["pets@1", "pets"])) == {"adapter.r": (8, 4)}
    registry.catalog.withdraw("pets", 2, "also", actor="ann")
    with pytest.raises(VersionWithdrawn):
        registry.comparer.compare(["pets"])


def test_a_name_of_neither_an_adapter_nor_a_run_is_refused(
    registry: Registry, new_version: MakeVersion, new_run: MakeRun
) -> None:
    registry.catalog.publish(new_version(), actor="ann")
    for ref in ("nothing", "x", ""):
        with pytest.raises(UnknownReference, match="no adapter or run"):
            registry.comparer.compare([ref])
    with pytest.raises(UnknownVersion):
        registry.comparer.compare(["pets@9"])
    with pytest.raises(UnknownAdapter, match="Did you mean pets"):
        registry.comparer.compare(["pest@1"])


def test_the_beginning_of_several_ids_is_refused(registry: Registry, new_run: MakeRun) -> None:
    first = registry.runs.create(new_run())
    twin = first.id[:-1] + ("0" if first.id[-1] != "0" else "1")
    with registry._database.writing() as session:
        row = session.get_one(RunRow, first.id)
        columns = {column.key: getattr(row, column.key) for column in RunRow.__table__.columns}
        session.add(RunRow(**{**columns, "id": twin}))
    with pytest.raises(AmbiguousRun):
        registry.comparer.compare([first.id[:8]])


def test_lineage_leads_from_a_version_to_run_dataset_and_base_and_back(
    registry: Registry, new_run: MakeRun, new_version: MakeVersion, dataset: Dataset
) -> None:
    run, other = registry.runs.create(new_run()), registry.runs.create(new_run())
    version = registry.catalog.publish(new_version(b"1", run_id=run.id), actor="ann")
    registry.catalog.publish(new_version(b"2", run_id=run.id), actor="ann")
    registry.catalog.publish(new_version(b"3", slug="zoo", run_id=other.id), actor="ann")
    registry.catalog.publish(new_version(b"4", slug="imported", dataset_id=None), actor="ann")
    lineage = registry.lineage.of(version)
    assert (lineage.version, lineage.run_id, lineage.siblings) == ("pets@1", run.id, ("pets@2",))
    assert lineage.dataset is not None
    assert (lineage.dataset.name, lineage.base) == ("pets", version.base)
    assert lineage.same_data is not None
    assert (lineage.same_data.versions, lineage.same_data.runs) == (("zoo@1", "pets@2"), (other.id,))
    of_dataset = registry.lineage.of_dataset(dataset.fingerprint)
    assert (of_dataset.n_versions, of_dataset.versions) == (3, ("zoo@1", "pets@2", "pets@1"))
    assert (of_dataset.n_runs, of_dataset.runs) == (2, (other.id, run.id))
    for base in (version.base.name, version.base.weights_sha256):
        of_base = registry.lineage.of_base(base)
        assert (of_base.n_versions, of_base.n_runs) == (4, 2)
        assert of_base.versions[0] == "imported@1"


def test_the_lineage_of_an_imported_version_is_only_its_base(
    registry: Registry, new_version: MakeVersion
) -> None:
    version = registry.catalog.publish(new_version(dataset_id=None), actor="ann")
    lineage = registry.lineage.of(version)
    assert (lineage.run_id, lineage.siblings, lineage.dataset, lineage.same_data) == (None, (), None, None)


def test_the_lineage_of_an_unknown_dataset_is_refused(registry: Registry) -> None:
    with pytest.raises(UnknownDataset):
        registry.lineage.of_dataset("unknown")
    assert registry.lineage.of_base("unknown").versions == ()


def test_the_lineage_of_a_version_names_the_dataset_as_its_trainer_does(
    registry: Registry, new_run: MakeRun, new_version: MakeVersion, dataset: Dataset
) -> None:
    run = registry.runs.create(new_run(dataset_name="Hunde"), actor="bob")
    lineage = registry.lineage.of(registry.catalog.publish(new_version(run_id=run.id), actor="bob"))
    assert lineage.dataset is not None
    assert (lineage.dataset.name, lineage.dataset.fingerprint) == ("Hunde", dataset.fingerprint)
