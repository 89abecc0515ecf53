"""What one visitor sees of the app: what is hidden from them can't be reached through it.

The page and the HTTP interface read through this alone; a service is of another type, so that mypy finds
whoever passes on all that there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from loravit_web.access.rights import Visitor
from loravit_web.catalog.exchange import exported, thumbnail_of
from loravit_web.datasets import DatasetStore, ImageDataset, Uploader
from loravit_web.serving.decoded import RecentPictures
from loravit_web.serving.predictor import Predictor
from loravit_web.serving.prefetch import Ahead
from loravit_web.settings.environment import Settings
from loravit_web.training.estimate import Estimate
from loravit_web.training.recipe import Recipe
from loravit_web.util.abandonment import IsGone, never_gone
from registry import Registry, Version


class Estimating(Protocol):
    """Says what a training will take; see `Estimates.of`."""

    def __call__(self, dataset: ImageDataset, recipe: Recipe, *, is_gone: IsGone) -> Estimate:
        """Return the estimate."""


@dataclass(frozen=True)
class Seen:
    """The parts of the app as a visitor sees them.

    Attributes:
        registry: without what is hidden from them.
        datasets: the stored images likewise; in a demo a visitor's own alone.
        pictures, ahead: of uploads, which belong to whoever knows their path.
        answering: gives the tasks of the catalog, loading the base first if need be.
        estimating: says what a training will take.
    """

    visitor: Visitor
    settings: Settings
    registry: Registry
    datasets: DatasetStore
    pictures: RecentPictures
    ahead: Ahead
    answering: Callable[[], Predictor]
    estimating: Estimating

    @property
    def predictor(self) -> Predictor:
        """The tasks that they can ask."""
        everything = self.answering()
        if self.visitor.visibility.sees_everything:
            return everything
        return everything.seen_by(self.registry, self.visitor.sees)

    def estimate(self, fingerprint: str, recipe: Recipe, *, is_gone: IsGone = never_gone) -> Estimate:
        """Say what a training on stored images will take; see `Estimates.of`.

        Raises:
            DatasetError: if there are no such images for them.
            LoraVitError: if the recipe does not fit, or as `Estimates.of`.
        """
        return self.estimating(self.datasets.load(fingerprint), recipe, is_gone=is_gone)

    def export(self, ref: str) -> tuple[str, bytes]:
        """Return file name and bytes of a version's bundle; see `exchange.exported`."""
        return exported(self.registry, ref)

    def thumbnail(self, version: Version) -> bytes | None:
        """Return a version's picture; see `exchange.thumbnail_of`."""
        return thumbnail_of(self.registry, version)


def shown_to(visitor: Visitor) -> Callable[[Uploader | None], bool]:
    """Return whether images that were given by somebody, or by nobody in particular, exist for a visitor."""

    def shows(uploader: Uploader | None) -> bool:
        if visitor.is_guest:
            return uploader is not None and uploader.name == visitor.name
        return uploader is None or visitor.sees(uploader.name)

    return shows
