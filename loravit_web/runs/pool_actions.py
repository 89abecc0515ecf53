"""Changes of the pools of tasks by a visitor. Each action checks the right that it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loravit_web.access.guard import needs
from loravit_web.access.rights import Visitor
from loravit_web.errors import LoraVitError
from loravit_web.runs.demo import BeyondDemo
from loravit_web.runs.revision_actions import RevisionActions
from loravit_web.runs.taught import taught_dataset
from loravit_web.util.text import plural
from registry import Registry

if TYPE_CHECKING:  # commands start without the libraries for images
    from loravit_web.datasets import DatasetStore, ImageDataset
    from loravit_web.datasets.pool.record import PoolImage
    from loravit_web.datasets.pool.store import Added, PoolStore
    from loravit_web.datasets.sources.opening import Source

Progress = Callable[[float, str], None]
"""Called with a fraction from 0 to 1 and a sentence."""


class NothingConfirmed(LoraVitError):
    """A pool without a confirmed image."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Confirmed images that joined the training data of a task.

    Attributes:
        dataset: The next revision of the training data.
        images: Number of images that were added.
        task: Slug of the task.
    """

    dataset: ImageDataset
    images: int
    task: str


class PoolActions:
    """Changes of pools by one visitor.

    Args:
        registry: Registry as the visitor sees it.
        visitor: Visitor who makes the changes.
        pools: Pools on disk.
        stored: Stored images as the visitor sees them.
    """

    def __init__(self, registry: Registry, visitor: Visitor, pools: PoolStore, stored: DatasetStore) -> None:
        self.visitor = visitor
        self._registry, self._pools, self._stored = registry, pools, stored

    @needs("train")
    def add_to_pool(self, task: str, source: Source, *, progress: Progress | None = None) -> Added:
        """Add images without labels to the pool of a task.

        Args:
            task: Slug of the task.
            source: Open source of the images.
            progress: Called with the completed fraction (0 to 1) and a sentence.

        Returns:
            What was added.

        Raises:
            NotAllowed: If the visitor may not train.
            BeyondDemo: If the visitor uses a demo.
            QuotaReached: If the data folder is full.
            DatasetError: If the pool would have too many images, or they cannot be stored.
            RegistryError: If there is no such task.
        """
        return self._pools.add(self._task(task), source, by=self.visitor.name, progress=progress)

    @needs("train")
    def confirm(self, task: str, image: str, class_name: str | None) -> PoolImage:
        """Record the class of an image of a pool, or that it was skipped; errors as of `add_to_pool`.

        Args:
            task: Slug of the task.
            image: Beginning of the hash of the image, or its path.
            class_name: The class, which may be new, or None to skip the image.

        Returns:
            The image with its label.
        """
        from loravit_web.datasets.errors import CardIncomplete
        from loravit_web.datasets.sources.scan import clean_class_name

        slug = self._task(task)
        name = None if class_name is None else clean_class_name(class_name)
        if name == "":
            raise CardIncomplete("The image has no class. Choose one, or type the name of a new one.")
        return self._pools.decide(slug, image, name, by=self.visitor.name, is_skipped=name is None)

    @needs("train")
    def reopen(self, task: str, image: str) -> PoolImage:
        """Undo `confirm`; errors as of `add_to_pool`.

        Args:
            task: Slug of the task.
            image: Beginning of the hash of the image, or its path.

        Returns:
            The image without a decision.
        """
        return self._pools.decide(self._task(task), image, None, by=self.visitor.name)

    @needs("train")
    def join_pool(self, task: str) -> Joined:
        """Add the confirmed images of a pool to the training data of its task, as the next revision.

        They leave the pool. Errors as of `add_to_pool` and of `RevisionActions.extend`.

        Args:
            task: Slug of the task.

        Returns:
            The revision.

        Raises:
            NothingConfirmed: If no image is confirmed.
            NotTrainedHere: If the task was trained elsewhere.
        """
        from loravit_web.datasets.pool.source import confirmed_source

        slug = self._task(task)
        confirmed = [one for one in self._pools.images(slug) if one.label is not None]
        if not confirmed:
            raise NothingConfirmed(f"No image of the pool of {slug} is confirmed. Confirm some first.")
        dataset, _version = taught_dataset(self._registry, self._stored, slug)
        files = [(one, self._pools.image_path(slug, one)) for one in confirmed]
        revisions = RevisionActions(self._registry, self.visitor, self._stored)
        revision = revisions.extend(dataset.fingerprint, confirmed_source(slug, files))
        self._pools.remove(slug, [one.sha256 for one in confirmed])
        return Joined(revision, len(revision.items) - len(dataset.items), slug)

    @needs("train")
    def delete_from_pool(self, task: str, images: Sequence[str] | None = None) -> int:
        """Delete images of a pool, or the whole pool; errors as of `add_to_pool`.

        With the whole pool, an admin also ends the keeping of images of requests; see `collect`.

        Args:
            task: Slug of the task.
            images: Beginnings of the hashes of the images, or their paths; None for the whole pool.

        Returns:
            The number of deleted images.
        """
        self._check_not_in_demo()
        slug = task if task in self._pools.tasks() else self._task(task)  # also of a task that was deleted
        hashes = None if images is None else [self._pools.find(slug, text).sha256 for text in images]
        is_kept = self._pools.is_collecting(slug) and not self.visitor.may("manage")
        count = self._pools.remove(slug, hashes)
        if is_kept:
            self._pools.collect(slug, True)
        return count

    @needs("manage")
    def collect(self, task: str, *, on: bool) -> None:
        """Switch on or off that images of requests are kept, if the answer of a task is unsure or unlike.

        Args:
            task: Slug of the task.
            on: Whether to keep them.

        Raises:
            NotAllowed: If the visitor is not an admin.
            BeyondDemo: If the visitor uses a demo.
            DatasetError: If the data folder cannot be written.
            RegistryError: If there is no such task.
        """
        self._pools.collect(self._task(task), on)

    def _task(self, task: str) -> str:
        self._check_not_in_demo()
        return self._registry.catalog.adapter(task.partition("@")[0]).slug

    def _check_not_in_demo(self) -> None:
        if self.visitor.is_guest:
            raise BeyondDemo("This demo keeps no images without labels. Run the app yourself.")


def joined_text(joined: Joined) -> str:
    """Return what joined the training data as a sentence."""
    return f"{plural(joined.images, 'image')} joined “{joined.dataset.title}”."
