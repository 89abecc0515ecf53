"""Stored datasets are deleted by whom they belong to, and what still refers to them is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loravit_web.access.rights import LOCAL, SHELL, NotAllowed, Visitor, member
from loravit_web.actions import Actions
from loravit_web.datasets import DatasetNotFound, DatasetStore
from loravit_web.runs.data_actions import DataActions
from loravit_web.runs.deletion import DatasetDeletion, DatasetInUse, dataset_deletion_of
from loravit_web.service import Service
from registry import Run
from tests.conftest import RECIPE, ColourFolders

ANN, BOB = member("ann", "editor"), member("bob", "editor")
ADMIN = member("ada", "admin")


def import_as(service: Service, visitor: Visitor, data: Path, name: str = "Hues") -> str:
    """Import images for a person, and return the fingerprint."""
    return Actions(service, visitor).import_dataset(data, name=name).fingerprint


def planned_by(service: Service, visitor: Visitor, dataset: str) -> DatasetDeletion:
    """What a person's deletion would remove."""
    seen = service.seen_by(visitor)
    return dataset_deletion_of(seen.registry, seen.datasets, visitor, dataset)


def stored_files(service: Service) -> list[str]:
    return [path.name for path in service.settings.datasets.rglob("*") if path.is_file()]


@pytest.mark.parametrize("visitor", [ANN, ADMIN, LOCAL, SHELL], ids=lambda one: str(one.name))
def test_the_person_who_imported_a_dataset_and_admins_delete_it_with_all_files(
    service: Service, colour_folders: ColourFolders, visitor: Visitor
) -> None:
    fingerprint = import_as(service, ANN, colour_folders())
    with pytest.raises(NotAllowed, match="“Hues” was imported by ann. Ask ann or an admin to delete it"):
        Actions(service, BOB).delete_dataset(fingerprint)
    deletion = Actions(service, visitor).delete_dataset(fingerprint[:10])
    assert (deletion.name, deletion.fingerprint, deletion.images) == ("Hues", fingerprint, 24)
    assert deletion.kept == ()
    assert stored_files(service) == []
    with pytest.raises(DatasetNotFound):
        service.datasets.load(fingerprint)
    (event,) = service.registry.catalog.events()
    assert (event.actor, event.kind, event.entity_id) == (visitor.name, "deleted", fingerprint)


def test_images_that_others_imported_too_stay_without_the_names_of_who_left(
    service: Service, colour_folders: ColourFolders, tmp_path: Path
) -> None:
    folder = colour_folders()
    fingerprint = import_as(service, ANN, folder, "Secret of ann")
    renamed = folder.rename(tmp_path / "renamed")
    for path in renamed.rglob("*.png"):
        path.rename(path.with_name(f"b{path.name}"))
    import_as(service, BOB, renamed, "Of bob")
    deletion = Actions(service, ANN).delete_dataset("Secret of ann")
    assert (deletion.images, deletion.kept) == (0, ("The images stay, because bob imported them too.",))
    for visitor in (ANN, BOB, ADMIN):
        dataset = service.datasets_of(visitor).load(fingerprint)
        assert dataset.name == "Of bob"
        assert all(item.path.rpartition("/")[2].startswith("b") for item in dataset.items)
        assert all(dataset.image_path(item).is_file() for item in dataset.items)
    assert not any(b"ann" in path.read_bytes() for path in service.settings.datasets.rglob("*.json"))
    assert service.registry.catalog.events() == []
    Actions(service, BOB).delete_dataset("Of bob")
    assert stored_files(service) == []


def test_an_admin_deletes_the_images_of_everyone(service: Service, colour_folders: ColourFolders) -> None:
    folder = colour_folders()
    for visitor in (ANN, BOB):
        fingerprint = import_as(service, visitor, folder)
    assert Actions(service, ADMIN).delete_dataset(fingerprint).images == 24
    assert stored_files(service) == []


def test_images_that_the_app_imported_are_deleted_by_admins(
    service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.datasets.import_source(colour_folders())
    with pytest.raises(NotAllowed, match="It is not recorded who imported “train”. Ask an admin"):
        Actions(service, ANN).delete_dataset(dataset.fingerprint)
    assert Actions(service, ADMIN).delete_dataset(dataset.fingerprint).images == 24


def test_a_dataset_of_an_unfinished_run_stays(service: Service, colour_folders: ColourFolders) -> None:
    actions = Actions(service, ANN)
    dataset = actions.import_dataset(colour_folders(), name="Hues")
    run = actions.queue_training(dataset, "Colours", RECIPE)
    for visitor in (ANN, ADMIN):
        with pytest.raises(DatasetInUse, match="needed by 1 unfinished run, such as that of Colours"):
            Actions(service, visitor).delete_dataset("Hues")
    assert service.datasets.load(dataset.fingerprint)
    actions.stop(run.id, keep=False)
    actions.delete_dataset("Hues")
    with pytest.raises(DatasetNotFound):
        actions.retry(run.id)


def test_runs_versions_and_corrected_copies_are_told_and_stay(service: Service, colours: Run) -> None:
    fingerprint = colours.dataset.fingerprint
    dataset = service.datasets.load(fingerprint)
    first = dataset.items[0]
    Actions(service, LOCAL).correct(fingerprint, {(first.sha256, first.label): None})
    planned = planned_by(service, LOCAL, fingerprint)
    assert service.datasets.load(fingerprint) == dataset
    deletion = Actions(service, LOCAL).delete_dataset(fingerprint)
    assert deletion == planned
    runs, versions, copies = deletion.kept
    assert runs.startswith("The history keeps 1 run and the names of the classes")
    assert versions.startswith("The catalog keeps colours@1")
    assert copies.startswith(f"The dataset “{dataset.name[:4]}")
    assert copies.endswith(f"has copies of {len(dataset.items) - 1} images.")
    assert service.registry.catalog.resolve("colours").ref == "colours@1"
    assert service.registry.runs.get(colours.id).published == "colours@1"
    (copy,) = service.datasets.datasets()
    assert all(copy.image_path(item).read_bytes() for item in copy.items)


def test_a_damaged_dataset_is_deleted_by_its_fingerprint(
    service: Service, colour_folders: ColourFolders
) -> None:
    fingerprint = import_as(service, ANN, colour_folders())
    (service.settings.datasets / fingerprint / "manifest.json").write_text("{")
    deletion = Actions(service, ADMIN).delete_dataset(fingerprint[:12])
    assert (deletion.name, deletion.images) == (fingerprint[:12], 24)
    assert stored_files(service) == []


def test_only_who_may_delete_a_dataset_is_told_what_would_be_deleted(
    service: Service, colour_folders: ColourFolders
) -> None:
    fingerprint = import_as(service, ANN, colour_folders())
    with pytest.raises(NotAllowed, match="needs an editor, but vera is a viewer"):
        planned_by(service, member("vera", "viewer"), fingerprint)
    with pytest.raises(NotAllowed, match="“Hues” was imported by ann. Ask ann or an admin to delete it"):
        planned_by(service, BOB, fingerprint)
    assert planned_by(service, ANN, fingerprint) == planned_by(service, ADMIN, fingerprint)
    assert service.datasets.list() == [fingerprint]


def test_the_same_title_twice_asks_for_the_fingerprint(
    service: Service, colour_folders: ColourFolders
) -> None:
    folder = colour_folders()
    first = import_as(service, ANN, folder)
    next(folder.rglob("*.png")).unlink()
    second = import_as(service, ANN, folder)
    with pytest.raises(DatasetNotFound, match="2 stored datasets are called “Hues”") as refused:
        Actions(service, ANN).delete_dataset("Hues")
    assert first[:12] in str(refused.value)
    assert second[:12] in str(refused.value)
    for name in ("", "Nothing", "*", "../.."):
        with pytest.raises(DatasetNotFound):
            Actions(service, ANN).delete_dataset(name)
    assert service.datasets.list() == sorted([first, second])


def test_a_deletion_that_was_interrupted_is_completed_by_the_sweep(
    service: Service, colour_folders: ColourFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = import_as(service, ANN, colour_folders())

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("shutil.rmtree", killed)
        Actions(service, ANN).delete_dataset(fingerprint)
    assert service.datasets.list() == []
    assert service.datasets.sweep(3600) == 1
    assert stored_files(service) == []


def test_a_visitor_of_a_demo_deletes_their_own_images_and_leaves_no_trace(
    service: Service, colour_folders: ColourFolders
) -> None:
    service.settings = replace(
        service.settings, mode="demo", demo=replace(service.settings.demo, training=True)
    )
    first, second = service.visitor("guest-1"), service.visitor("guest-2")
    fingerprint = import_as(service, first, colour_folders())
    with pytest.raises(DatasetNotFound):
        Actions(service, second).delete_dataset(fingerprint)
    assert Actions(service, first).delete_dataset(fingerprint).images == 24
    assert stored_files(service) == []
    assert service.registry.catalog.events() == []


def test_the_shell_deletes_without_a_service(service: Service, colour_folders: ColourFolders) -> None:
    import_as(service, ANN, colour_folders())
    stored = DatasetStore.of(service.settings)
    assert DataActions(service.registry, SHELL, stored).delete_dataset("Hues").images == 24
