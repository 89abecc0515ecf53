"""Changes of stored datasets by a visitor. Each action checks the right that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loravit_web.access.guard import needs
from loravit_web.access.rights import NotAllowed, Visitor
from loravit_web.errors import LoraVitError
from loravit_web.util.text import listed, plural
from registry import Descendants, Registry, UnknownDataset

if TYPE_CHECKING:
    from loravit_web.datasets import DatasetStore, ImageDataset

_ACTIVE = ("queued", "running")
_MANY = 10_000
_NAMED = 5
"""Maximum number of versions that are named."""


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


class DataActions:
    """Changes of stored datasets by one visitor. They do not import torch.

    Args:
        registry: Registry as the visitor sees it.
        visitor: Visitor who makes the changes.
        stored: Stored images as the visitor sees them.
    """

    def __init__(self, registry: Registry, visitor: Visitor, stored: DatasetStore) -> None:
        self.visitor = visitor
        self._registry, self._stored = registry, stored

    @needs("train")
    def delete_dataset(self, dataset: str) -> DatasetDeletion:
        """Delete the images of a dataset; see `dataset_deletion`. Runs and versions stay.

        An admin deletes the dataset for everyone. Another visitor deletes their own import, and the images if
        no one else imported them.

        Args:
            dataset: Title of the dataset, or the beginning of its fingerprint.

        Returns:
            What was removed, and what still refers to it.

        Raises:
            NotAllowed: If the visitor may not train, or did not import the dataset.
            DatasetInUse: If a queued or running training needs it.
            DatasetError: If there is no such dataset, or it cannot be deleted.
        """
        deletion = self.dataset_deletion(dataset)
        everywhere = self.visitor.may("manage")
        self._stored.delete(deletion.fingerprint, importer=None if everywhere else self.visitor.name)
        if deletion.images and self._registry.dataset_files.remove(deletion.fingerprint):
            self._registry.maintenance.remove_released()
        if deletion.images and not self.visitor.is_guest:
            self._registry.datasets.record_deletion(
                deletion.fingerprint, images=deletion.images, actor=self.visitor.name
            )
        return deletion

    @needs("train")
    def dataset_deletion(self, dataset: str) -> DatasetDeletion:
        """Return what `delete_dataset` would remove, and check that the visitor may do it now.

        Args:
            dataset: Title of the dataset, or the beginning of its fingerprint.

        Raises:
            NotAllowed: If the visitor may not train, or did not import the dataset.
            DatasetInUse: If a queued or running training needs it.
            DatasetError: If there is no such dataset.
        """
        fingerprint = self._stored.resolve(dataset)
        found = self._readable(fingerprint)
        name = found.title if found is not None else fingerprint[:12]
        others: list[str] = []
        if not self.visitor.may("manage"):
            importers = [record.importer for record in self._stored.imports(fingerprint)]
            others = [importer for importer in importers if importer != self.visitor.name]
            if self.visitor.name not in importers:
                raise NotAllowed(_not_imported(name, [one for one in importers if one]))
        if others:
            people = listed([importer or "the app" for importer in others])
            kept = f"The images stay, because {people} imported them too."
            return DatasetDeletion(name, fingerprint, 0, (kept,))
        active = [
            run
            for run in self._registry.runs.list(status=_ACTIVE, limit=_MANY)
            if run.dataset.fingerprint == fingerprint
        ]
        if active:
            raise DatasetInUse(
                f"“{name}” is needed by {plural(len(active), 'unfinished run')}, such as that of "
                f"{active[0].title}. Cancel the run, or wait until it ends."
            )
        images = self._stored.count_files(fingerprint)
        return DatasetDeletion(name, fingerprint, images, self._kept(fingerprint, found))

    def _readable(self, fingerprint: str) -> ImageDataset | None:
        from loravit_web.datasets import DatasetDamaged

        try:
            return self._stored.load(fingerprint)
        except DatasetDamaged:
            return None

    def _kept(self, fingerprint: str, dataset: ImageDataset | None) -> tuple[str, ...]:
        """Return sentences about what still refers to a dataset or has its images."""
        kept = []
        used = self._used_by(fingerprint)
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
        for other in self._stored.datasets():
            common = len(hashes & {item.sha256 for item in other.items})
            if common and other.fingerprint != fingerprint:
                kept.append(
                    f"The dataset “{other.title}” ({other.fingerprint[:12]}) has copies of "
                    f"{plural(common, 'image')}."
                )
        return tuple(kept)

    def _used_by(self, fingerprint: str) -> Descendants | None:
        try:
            return self._registry.lineage.of_dataset(fingerprint)
        except UnknownDataset:
            return None


def _not_imported(name: str, importers: list[str]) -> str:
    if not importers:
        return f"It is not recorded who imported “{name}”. Ask an admin to delete it."
    people = listed(importers)
    return f"“{name}” was imported by {people}. Ask {people} or an admin to delete it."
