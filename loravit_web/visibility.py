"""The parts of the app that a visitor sees. Hidden things cannot be reached through them.

The page and the HTTP interface only read through this module. A service has another type, so mypy reports
code that passes on everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loravit_web.access.rights import NotAllowed, Visitor
from loravit_web.backbones import Base
from loravit_web.catalog.exchange import exported, thumbnail_of
from loravit_web.catalog.hub_presence import HubPresence, is_cached
from loravit_web.catalog.offered_bases import OfferedBase, offered_bases
from loravit_web.datasets import DatasetStore, ImageDataset, Uploader
from loravit_web.datasets.pool.store import PoolStore
from loravit_web.export.summary import Format
from loravit_web.runtime.layout import Precision
from loravit_web.serving.collecting import Collector
from loravit_web.serving.image_cache import RecentImages
from loravit_web.serving.predictor import Predictor
from loravit_web.serving.prefetch import Prefetcher
from loravit_web.settings.environment import Settings
from loravit_web.training.estimate import Estimate
from loravit_web.training.recipe import Recipe
from loravit_web.util.cancellation import IsCancelled, never_cancelled
from loravit_web.worker.keeping import stored_log
from loravit_web.worker.run_log import TAIL_BYTES, last_lines, log_of, tail
from registry import Registry, RegistryError, Version


class Estimating(Protocol):
    """Estimates the cost of a training; see `Estimates.of`."""

    def __call__(self, dataset: ImageDataset, recipe: Recipe, *, is_cancelled: IsCancelled) -> Estimate:
        """Return the estimate of a training."""


@dataclass(frozen=True)
class Seen:
    """The parts of the app as a visitor sees them.

    Attributes:
        visitor: The visitor.
        settings: Settings of the app.
        registry: Registry without what is hidden from the visitor.
        datasets: Stored images without what is hidden; in a demo only the visitor's own.
        pools: Images without labels, by task; none of them belongs to a visitor of a demo.
        collector: Keeps images of requests in pools, where an admin switched that on.
        images: Cache of uploaded images, which are accessible to anyone who knows their path.
        prefetcher: Computes answers in advance.
        answering: Returns the predictor; loads the base first if needed.
        estimating: Estimates a training.
        known_estimate: Returns the estimate of a training, or None if its settings were not measured before.
        hub: Tells whether the Hugging Face Hub can be reached.
    """

    visitor: Visitor
    settings: Settings
    registry: Registry
    datasets: DatasetStore
    pools: PoolStore
    collector: Collector
    images: RecentImages
    prefetcher: Prefetcher
    answering: Callable[[], Predictor]
    estimating: Estimating
    known_estimate: Callable[[ImageDataset, Recipe], Estimate | None]
    hub: HubPresence

    def log_of(self, run_id: str) -> str:
        """Return the last lines of a run's log, or an empty string. Other machines store theirs in parts."""
        here = tail(log_of(self.settings.run_logs, run_id))
        if self.settings.executor == "local":
            return here
        try:
            return last_lines(stored_log(self.registry, run_id, TAIL_BYTES)) or here
        except RegistryError as error:
            return error.in_public

    @property
    def shows_nodes(self) -> bool:
        """Whether the visitor sees which nodes train runs; not if the app trains, and not in a demo."""
        return self.settings.executor != "local" and not self.visitor.is_guest

    @property
    def predictor(self) -> Predictor:
        """Predictor of the tasks that the visitor sees."""
        everything = self.answering()
        if self.visitor.visibility.sees_everything:
            return everything
        return everything.seen_by(self.registry, self.visitor.sees)

    def bases(self) -> tuple[OfferedBase, ...]:
        """Return the bases that the visitor can train on, the configured one first; a guest has only that."""
        offered = offered_bases(self.registry, self.settings.base, is_cached)
        return offered[:1] if self.visitor.is_guest else offered

    def estimate(
        self, fingerprint: str, recipe: Recipe, *, is_cancelled: IsCancelled = never_cancelled
    ) -> Estimate:
        """Estimate a training on stored images; see `Estimates.of`.

        Args:
            fingerprint: Fingerprint of the dataset.
            recipe: Settings of the training.
            is_cancelled: Returns whether to stop estimating.

        Raises:
            DatasetError: If the visitor sees no such dataset.
            LoraVitError: If the recipe does not fit the base, or as in `Estimates.of`.
        """
        return self.estimating(self.datasets.load(fingerprint), recipe, is_cancelled=is_cancelled)

    def export(self, ref: str) -> tuple[str, bytes]:
        """Return the file name and the bytes of a version's bundle; see `exchange.exported`."""
        return exported(self.registry, ref)

    def export_zip(self, refs: Sequence[str], file: Path, form: Format, precision: Precision) -> None:
        """Write versions for use without this app as a zip; see `portable.export_zip`.

        Raises:
            NotAllowed: If the visitor is a guest, because an export takes much time and space.
        """
        if self.visitor.is_guest:
            raise NotAllowed("Visitors of this demo cannot export. Run the app yourself to export tasks.")

        from loravit_web.catalog.portable import export_zip  # imports onnx, which the start need not

        def base_for(name: str, weights_sha256: str) -> Base:
            return self.answering().engines.get(name, weights_sha256).master

        export_zip(
            self.registry,
            base_for,
            refs,
            file,
            form=form,
            precision=precision,
            packages=self.settings.packages,
        )

    def thumbnail(self, version: Version) -> bytes | None:
        """Return the thumbnail of a version; see `exchange.thumbnail_of`."""
        return thumbnail_of(self.registry, version)


def shown_to(visitor: Visitor) -> Callable[[Uploader | None], bool]:
    """Return a function that tells whether a dataset of an uploader is visible to a visitor."""

    def shows(uploader: Uploader | None) -> bool:
        if visitor.is_guest:
            return uploader is not None and uploader.name == visitor.name
        return uploader is None or visitor.sees(uploader.name)

    return shows
