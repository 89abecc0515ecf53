"""Changes of stored datasets that make their next revision. Each action checks the right that it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loravit_web.access.guard import needs
from loravit_web.access.rights import Visitor
from registry import Registry, UnknownDataset, VersionWithdrawn

if TYPE_CHECKING:  # commands start without the libraries for images
    from pathlib import Path

    from loravit_web.datasets import Changes, DatasetStore, ImageDataset
    from loravit_web.datasets.revisions.next import Draft
    from loravit_web.datasets.sources.opening import Source
    from loravit_web.datasets.store import Progress

    Storing = Callable[[], AbstractContextManager[DatasetStore]]


@dataclass(frozen=True, slots=True)
class Renamed:
    """A revision in which a class has another name.

    Attributes:
        dataset: The revision.
        versions: Versions whose answers have the new name.
    """

    dataset: ImageDataset
    versions: tuple[str, ...]


class RevisionActions:
    """Corrections and extensions of stored datasets by one visitor.

    Args:
        registry: Registry as the visitor sees it.
        visitor: Visitor who makes the changes.
        stored: Stored images as the visitor sees them.
        storing: Opens the store for an import, and counts what it stores; None for ``stored``.
    """

    def __init__(
        self, registry: Registry, visitor: Visitor, stored: DatasetStore, storing: Storing | None = None
    ) -> None:
        self.visitor = visitor
        self._registry, self._stored = registry, stored
        self._storing_revision: Storing = storing or (lambda: nullcontext(stored))

    @needs("train")
    def correct(self, fingerprint: str, changes: Changes) -> ImageDataset:
        """Store the next revision of a dataset, in which images have another class or are removed.

        Args:
            fingerprint: Fingerprint of the stored dataset.
            changes: New classes of images, and images to remove.

        Returns:
            The stored revision.

        Raises:
            NotAllowed: If the visitor may not train.
            QuotaReached: If the data folder is full.
            AllowanceExceeded: If a visitor of a demo may not store so much.
            DatasetError: If there is no change, or if a class would have too few images.
        """
        from loravit_web.datasets import relabeled

        self._check_room()
        with self._storing_revision() as datasets:
            return relabeled(datasets, datasets.load(fingerprint), changes)

    @needs("train")
    def add_image(self, fingerprint: str, image: Path, class_name: str) -> ImageDataset:
        """Store the next revision of a dataset, with one more training image; errors as of `correct`.

        Raises:
            ImageError: If the image cannot be read.
        """
        from loravit_web.datasets import with_image

        self._check_room()
        with self._storing_revision() as datasets:
            return with_image(datasets, datasets.load(fingerprint), image, class_name)

    @needs("train")
    def extend(self, fingerprint: str, source: Source, *, progress: Progress | None = None) -> ImageDataset:
        """Store the next revision of a dataset, with the images of an open source; errors as of `correct`.

        Args:
            fingerprint: Fingerprint of the stored dataset.
            source: Source of the images. Its classes may be new.
            progress: Called with the completed fraction (0 to 1) and a sentence.

        Returns:
            The stored revision.
        """
        self._check_room()
        with self._storing_revision() as datasets:
            return datasets.extend(datasets.load(fingerprint), source, progress=progress)

    @needs("train")
    def rename_class(self, fingerprint: str, old: str, new: str, *, in_answers: bool = False) -> Renamed:
        """Store the next revision of a dataset, in which a class has another name; errors as of `correct`.

        Args:
            fingerprint: Fingerprint of the stored dataset.
            old: Name of the class.
            new: New name.
            in_answers: Whether the versions that were trained on the dataset also answer with the new name.

        Returns:
            The stored revision, and the versions whose answers changed.

        Raises:
            RegistryError: If the new name cannot be used in answers.
        """
        from loravit_web.datasets.revisions.classes import renaming

        if in_answers:
            self.visitor.must("curate")
        revision = self._revise(fingerprint, lambda dataset: renaming(dataset, old, new))
        return Renamed(revision, self._titled(fingerprint, old, new) if in_answers else ())

    @needs("train")
    def merge_classes(self, fingerprint: str, names: Sequence[str], into: str) -> ImageDataset:
        """Store the next revision of a dataset, in which several classes are one; errors as of `correct`.

        Args:
            fingerprint: Fingerprint of the stored dataset.
            names: Names of the classes.
            into: Name of the one class.
        """
        from loravit_web.datasets.revisions.classes import merging

        return self._revise(fingerprint, lambda dataset: merging(dataset, names, into))

    def _revise(self, fingerprint: str, draft_of: Callable[[ImageDataset], Draft]) -> ImageDataset:
        self._check_room()
        with self._storing_revision() as datasets:
            dataset = datasets.load(fingerprint)
            return datasets.derive(dataset, draft_of(dataset))

    def _titled(self, fingerprint: str, old: str, new: str) -> tuple[str, ...]:
        """Give a class of all versions that were trained on a dataset a title, and return the versions."""
        try:
            versions = self._registry.lineage.of_dataset(fingerprint).versions
        except UnknownDataset:  # nothing was trained on it
            return ()
        titled = []
        for ref in versions:
            try:
                titled.append(self._registry.class_titles.put(ref, old, new, actor=self.visitor.name).ref)
            except VersionWithdrawn:  # it does not answer any more
                continue
        return tuple(titled)

    def _check_room(self) -> None:
        if self._stored.quota is not None:
            self._stored.quota.free_bytes()
