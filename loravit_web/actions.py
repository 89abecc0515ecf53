"""Everything that a visitor can change, each action behind the right that it needs."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from loravit_web.access.guard import needs
from loravit_web.access.rates import TooManyRequests
from loravit_web.access.rights import Visitor
from loravit_web.adapters.files.bundle import read_bundle_file
from loravit_web.catalog.actions import CatalogActions
from loravit_web.catalog.exports import bundle_of
from loravit_web.catalog.hub import Pushed, pull, push
from loravit_web.datasets import (
    ArchiveLimits,
    Changes,
    DatasetStore,
    ImageDataset,
    from_hub,
    open_source,
    relabeled,
)
from loravit_web.datasets.sources.opening import Source
from loravit_web.runs.demo import (
    BeyondDemo,
    check_data,
    check_interrupted,
    check_name,
    check_plan,
    check_time,
    check_turns,
    no_more_turns,
)
from loravit_web.runs.queue_limit import check_waiting
from loravit_web.runs.retry import retried
from loravit_web.service import STORED_PREFIX, Progress, Service
from loravit_web.settings.quota import MIB
from loravit_web.training.recipe import Recipe
from registry import Run, Version, utc_now, validate_slug

ENTRIES_PER_IMAGE, MORE_ENTRIES = 4, 1000
"""Of a zip of a demo's visitor: folders, and what some systems add for each file."""


class Actions(CatalogActions):
    """What one visitor does to a service's data; their name is written beside each change."""

    def __init__(self, service: Service, visitor: Visitor, *, uploads: Sequence[Path] = ()) -> None:
        """
        Args:
            uploads: the files that the visitor gives, in a demo deleted together with what comes of them.
        """
        super().__init__(service.registry_of(visitor), visitor)
        self._service, self._uploads = service, uploads

    @functools.cached_property
    def _datasets(self) -> DatasetStore:
        return self._service.datasets_of(self.visitor, self._uploads)

    @property
    def archive_limits(self) -> ArchiveLimits:
        """How much one import may hold."""
        usual = self._datasets.archive_limits
        if not self._in_demo:
            return usual
        rules = self._service.settings.demo
        return replace(
            usual,
            max_entries=min(usual.max_entries, ENTRIES_PER_IMAGE * rules.images + MORE_ENTRIES),
            max_total_bytes=min(usual.max_total_bytes, int(rules.mib * MIB)),
        )

    @needs("train")
    def import_dataset(
        self, data: str | Path, *, name: str | None = None, progress: Progress | None = None
    ) -> ImageDataset:
        """Take in images; see `Service.import_dataset`.

        Raises:
            DatasetError: with what is wrong with the data.
            BeyondDemo, AllowanceExceeded: if these are more than a visitor of a demo may give.
        """
        if str(data).startswith(STORED_PREFIX):
            return self._datasets.find(str(data).removeprefix(STORED_PREFIX))
        with open_source(data, self.archive_limits) as source:
            return self.import_opened(source, name=name, progress=progress)

    @needs("train")
    def import_opened(
        self, source: Source, *, name: str | None = None, progress: Progress | None = None
    ) -> ImageDataset:
        """Take in the images of an opened source; see `DatasetStore.import_opened`.

        Raises:
            BeyondDemo, AllowanceExceeded: if these are more than a visitor of a demo may give.
        """
        if self._in_demo:
            check_plan(self._service.settings.demo, source.plan)
        with self._storing() as datasets:
            return datasets.import_opened(source, name=name, progress=progress)

    @needs("train")
    def import_from_hub(self, repo: str, *, progress: Progress | None = None) -> ImageDataset:
        """Take in an image dataset of the Hugging Face Hub.

        Raises:
            BeyondDemo: in a demo, as all of a dataset is fetched before its size is known.
            DatasetError: if there is no such dataset, or the package for it is missing.
        """
        if self._in_demo:
            raise BeyondDemo("This demo fetches no datasets of the Hub: upload a zip of your images.")
        return self.import_opened(from_hub(repo, limits=self.archive_limits), progress=progress)

    @needs("train")
    def correct(self, fingerprint: str, changes: Changes) -> ImageDataset:
        """Another dataset in which some images have another class or are left out.

        Raises:
            QuotaReached, AllowanceExceeded: if there is no room for another dataset.
            DatasetError: if nothing is changed, or a class would have too few images left.
        """
        self._service.quota.room()
        with self._storing() as datasets:
            return relabeled(datasets, datasets.load(fingerprint), changes)

    @needs("train")
    def queue_training(self, dataset: ImageDataset, name: str, recipe: Recipe) -> Run:
        """Queue a run for the worker.

        Args:
            name: for people, or a slug; the adapter's slug is made from it.

        Raises:
            LoraVitError, RegistryError: if the name or a setting can't be used.
        """
        if self._in_demo:
            dataset = self._datasets.load(dataset.fingerprint)  # which refuses what is somebody else's
        self._check_size_in_demo(dataset, recipe)
        with self._service.queueing:
            self._check_room_to_train()
            self._check_turn_in_demo(name)
            return self._service.create_run(dataset, name, recipe, actor=self.visitor.name)

    @needs("train")
    def stop(self, run_id: str, *, keep: bool) -> Run:
        """Ask a run to end: with the best so far published, or without a trace in the catalog."""
        return self._registry.runs.request_stop(self._own_run(run_id), "keep" if keep else "cancel")

    @needs("train")
    def resume(self, run_id: str) -> Run:
        """Queue an ended, unfinished run again; it goes on from its last checkpoint where it has one.

        Raises:
            BeyondDemo: in a demo, unless the app itself interrupted the run.
        """
        run = self._registry.runs.get(self._own_run(run_id))
        with self._service.queueing:
            self._check_room_to_train()
            if self._in_demo:
                check_interrupted(run)
                check_name(self._service.registry, self.visitor.name, run.slug)
            return self._registry.runs.requeue(run.id)

    @needs("train")
    def retry(self, run_id: str, *, batch_size: int | None = None) -> Run:
        """Queue a new run like an ended one, with half its batch unless told otherwise.

        Raises:
            RunNotRetryable: if the run has not ended, or its batch is one image already.
            LoraVitError: if its images are no longer stored, or the batch size can't be used.
        """
        old = self._registry.runs.get(self._own_run(run_id))
        new = retried(old, batch_size, self._service.environment())
        dataset = self._datasets.load(old.dataset.fingerprint)
        self._check_size_in_demo(dataset, Recipe.from_json(new.config))
        with self._service.queueing:
            self._check_room_to_train()
            self._check_turn_in_demo(new.slug)
            return self._registry.runs.create(new, actor=self.visitor.name)

    @needs("import")
    def import_bundle(self, path: Path) -> Version:
        """Publish a bundle that was exported here or elsewhere; the same bundle stays one version.

        Raises:
            LoraVitError, RegistryError: if it is damaged or altered, or its base can't be loaded.
        """
        self._service.quota.room()
        return self._service.take_in(read_bundle_file(path), self.visitor.name)

    @needs("import")
    def pull(self, repo: str, *, revision: str | None = None, name: str | None = None) -> Version:
        """Publish the adapter in a repository of the Hugging Face Hub; the same files stay one version.

        Args:
            name: the slug to publish it under; its own when None.

        Raises:
            LoraVitError, RegistryError: if the Hub has no such adapter, or as `import_bundle`.
        """
        if name is not None:
            validate_slug(name)
        self._service.quota.room()
        return self._service.take_in(pull(repo, revision=revision), self.visitor.name, name)

    @needs("share")
    def push(self, ref: str, repo: str, *, private: bool = False, revision: str | None = None) -> Pushed:
        """Put a version into a repository of the Hugging Face Hub; see `hub.push`.

        Raises:
            LoraVitError, RegistryError: if there is no such version, or the Hub refuses it.
        """
        version, bundle = bundle_of(self._registry, ref)
        return push(bundle, repo, message=version.ref, private=private, revision=revision)

    def _check_room_to_train(self) -> None:
        self._service.quota.room()
        check_waiting(self._service.registry, self._service.settings.limits.queued_runs)

    @property
    def _in_demo(self) -> bool:
        return self.visitor.is_guest

    @contextmanager
    def _storing(self) -> Iterator[DatasetStore]:
        """The stored images, to be added to as far as a visitor may."""
        uploader = self._datasets.uploader
        if uploader is None:
            yield self._datasets
            return
        with self._service.allowances.importing(uploader) as count:
            yield replace(self._datasets, on_stored=count)

    def _check_size_in_demo(self, dataset: ImageDataset, recipe: Recipe) -> None:
        if self._in_demo:
            rules = self._service.settings.demo
            check_data(rules, dataset)
            check_time(rules, self._service.estimate(dataset, recipe))

    def _check_turn_in_demo(self, name: str) -> None:
        if not self._in_demo:
            return
        rules = self._service.settings.demo
        check_turns(rules, self._service.registry, self.visitor.name, utc_now())
        check_name(self._service.registry, self.visitor.name, name)
        try:  # last, as it counts
            self._service.turns.admit(self.visitor.counted_by)
        except TooManyRequests as error:
            raise no_more_turns(rules) from error

    def _own_run(self, run_id: str) -> str:
        run = self._registry.runs.get(run_id)
        self.visitor.must_own(run.created_by, f"The run of {run.title}")
        return run.id
