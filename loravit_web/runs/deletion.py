"""Deletions of runs and of stored datasets, to be confirmed before they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loravit_web.access.rights import NotAllowed, Visitor
from loravit_web.errors import LoraVitError
from loravit_web.runs.next_steps import title_and_owner
from loravit_web.util.text import listed, plural
from registry import Descendants, Registry, UnknownDataset

if TYPE_CHECKING:
    from loravit_web.datasets import DatasetStore, ImageDataset

_MOST_RUNS = 500
"""Maximum number of runs among which later attempts are looked for."""
_ACTIVE = ("queued", "running")
_MANY = 10_000
_NAMED = 5
"""Maximum number of versions that are named."""


@dataclass(frozen=True)
class RunDeletion:
    """A requested deletion with its current consequences.

    Attributes:
        run_id: Id of the run.
        consequences: Consequences, one sentence each.
        confirm: Label of the button that confirms the deletion.
        note: Additional information.
    """

    run_id: str
    consequences: tuple[str, ...]
    confirm: str = "Delete run for good"
    note: str = ""


def deletion_of(registry: Registry, run_id: str) -> RunDeletion:
    """Return what the deletion of a run would do now.

    Args:
        registry: Registry as the visitor sees it.
        run_id: Id of the run.

    Raises:
        RegistryError: If there is no such run, it has not ended, or it made versions that exist.
    """
    run = registry.deletions.deletable_run(run_id)
    sentences = [f"The run of {title_and_owner(run)} is deleted with its curves, files and log."]
    if run.status != "completed":
        sentences.append("It can no longer be resumed.")
    others = registry.runs.list(slug=run.slug, limit=_MOST_RUNS)
    retried = [one.id[:8] for one in others if one.environment.get("retry_of") == run.id]
    sentences += [f"Run {run_id} is a retry of it, and is kept." for run_id in retried]
    return RunDeletion(run.id, (*sentences, "Its training images are kept.", "This cannot be undone."))


class DatasetInUse(LoraVitError):
    """A dataset that a queued or running training needs."""


@dataclass(frozen=True, slots=True)
class DatasetDeletion:
    """What the deletion of a dataset removes, and what still refers to it.

    Attributes:
        name: Title of the dataset, or the beginning of its fingerprint if it is damaged.
        fingerprint: Fingerprint of the dataset.
        images: Number of image files that are removed; 0 if they stay, because others imported them too.
        kept: Sentences about what stays.
    """

    name: str
    fingerprint: str
    images: int
    kept: tuple[str, ...]


def dataset_deletion_of(
    registry: Registry, stored: DatasetStore, visitor: Visitor, dataset: str
) -> DatasetDeletion:
    """Return what `DataActions.delete_dataset` would remove, and check that the visitor may do it now.

    Args:
        registry: Registry as the visitor sees it.
        stored: Stored images as the visitor sees them.
        visitor: Visitor who deletes.
        dataset: Title of the dataset, or the beginning of its fingerprint.

    Raises:
        NotAllowed: If the visitor may not train, or did not import the dataset.
        DatasetInUse: If a queued or running training needs it.
        DatasetError: If there is no such dataset.
    """
    visitor.must("train")
    fingerprint = stored.resolve(dataset)
    found = _readable(stored, fingerprint)
    name = found.title if found is not None else fingerprint[:12]
    others: list[str] = []
    if not visitor.may("manage"):
        importers = [record.importer for record in stored.imports(fingerprint)]
        others = [importer for importer in importers if importer != visitor.name]
        if visitor.name not in importers:
            raise NotAllowed(_not_imported(name, [one for one in importers if one]))
    if others:
        people = listed([importer or "the app" for importer in others])
        kept = f"The images stay, because {people} imported them too."
        return DatasetDeletion(name, fingerprint, 0, (kept,))
    active = [
        run
        for run in registry.runs.list(status=_ACTIVE, limit=_MANY)
        if run.dataset.fingerprint == fingerprint
    ]
    if active:
        raise DatasetInUse(
            f"“{name}” is needed by {plural(len(active), 'unfinished run')}, such as that of "
            f"{active[0].title}. Cancel the run, or wait until it ends."
        )
    images = stored.count_files(fingerprint)
    return DatasetDeletion(name, fingerprint, images, _kept(registry, stored, fingerprint, found))


def _readable(stored: DatasetStore, fingerprint: str) -> ImageDataset | None:
    from loravit_web.datasets import DatasetDamaged

    try:
        return stored.load(fingerprint)
    except DatasetDamaged:
        return None


def _kept(
    registry: Registry, stored: DatasetStore, fingerprint: str, dataset: ImageDataset | None
) -> tuple[str, ...]:
    """Return sentences about what still refers to a dataset or has its images."""
    kept = []
    used = _used_by(registry, fingerprint)
    if used is not None and used.n_runs:
        kept.append(
            f"The history keeps {plural(used.n_runs, 'run')} and the names of the classes. No run on "
            "these images can be resumed or retried."
        )
    if used is not None and used.n_versions:
        more = used.n_versions - _NAMED
        names = [*used.versions[:_NAMED], *([f"{more} more"] if more > 0 else [])]
        kept.append(
            f"The catalog keeps {listed(names, most=_NAMED + 1)}. Thumbnails of versions show training "
            "images."
        )
    hashes = {item.sha256 for item in dataset.items} if dataset is not None else set()
    for other in stored.datasets():
        common = len(hashes & {item.sha256 for item in other.items})
        if common and other.fingerprint != fingerprint:
            kept.append(
                f"The dataset “{other.title}” ({other.fingerprint[:12]}) has copies of "
                f"{plural(common, 'image')}."
            )
    return tuple(kept)


def _used_by(registry: Registry, fingerprint: str) -> Descendants | None:
    try:
        return registry.lineage.of_dataset(fingerprint)
    except UnknownDataset:
        return None


def _not_imported(name: str, importers: list[str]) -> str:
    if not importers:
        return f"It is not recorded who imported “{name}”. Ask an admin to delete it."
    people = listed(importers)
    return f"“{name}” was imported by {people}. Ask {people} or an admin to delete it."
