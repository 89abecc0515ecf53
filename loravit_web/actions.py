"""Everything that a visitor can change. Each action checks the right that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from loravit_web.access.guard import needs
from loravit_web.access.rights import Visitor
from loravit_web.adapters.files.bundle import Bundle, read_bundle_file
from loravit_web.catalog.actions import CatalogActions
from loravit_web.catalog.exchange import bundle_of, take_in
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
from loravit_web.runs.actions import RunActions
from loravit_web.runs.demo import BeyondDemo, check_plan
from loravit_web.runs.queueing import create_run
from loravit_web.service import Progress, Service
from loravit_web.settings.quota import MIB
from loravit_web.training.recipe import Recipe
from loravit_web.worker.worker import Worker
from registry import Run, Version, validate_slug

STORED_PREFIX = "dataset:"
ENTRIES_PER_IMAGE, MORE_ENTRIES = 4, 1000
"""Of a zip of a demo's visitor: folders, and what some systems add for each file."""


class Actions(CatalogActions, RunActions):
    """Every change of a service's data by one visitor; their name is recorded with each change."""

    def __init__(self, service: Service, visitor: Visitor, *, uploads: Sequence[Path] = ()) -> None:
        """Act for a visitor.

        Args:
            service: The opened data folder.
            visitor: Whose rights count.
            uploads: The files that the visitor gives. A demo deletes them together with what is made of them.
        """
        registry = service.registry_of(visitor)
        CatalogActions.__init__(self, registry, visitor)
        self._service, self._stored = service, service.datasets_of(visitor, uploads)
        RunActions.__init__(
            self,
            registry,
            visitor,
            service.settings,
            admission=service.admission,
            datasets=self._stored,
        )

    @property
    def archive_limits(self) -> ArchiveLimits:
        """How much one import may hold."""
        usual = self._stored.archive_limits
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
        """Import a zip, a folder, a CSV or ``sample:NAME``; the same images give the same dataset.

        Args:
            data: A path or the name of a sample. ``dataset:FINGERPRINT`` names a stored dataset; the
                beginning of the fingerprint is enough.
            name: A name for people. By default that of the source.
            progress: Told a fraction and a sentence from time to time.

        Raises:
            DatasetError: If something is wrong with the data.
            BeyondDemo, AllowanceExceeded: If these are more than a visitor of a demo may give.
        """
        if str(data).startswith(STORED_PREFIX):
            return self._stored.find(str(data).removeprefix(STORED_PREFIX))
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
        self._service.admission.quota.free_bytes()
        with self._storing() as datasets:
            return relabeled(datasets, datasets.load(fingerprint), changes)

    @needs("train")
    def queue_training(self, dataset: ImageDataset, name: str, recipe: Recipe) -> Run:
        """Queue a run for the worker.

        Args:
            dataset: The images to train on.
            name: A title for people, or a slug. The slug of the adapter is made from it.
            recipe: The settings.

        Raises:
            LoraVitError, RegistryError: If the name or a setting cannot be used, or the data folder or the
                queue is full.
            BeyondDemo: If this is more than a guest may train.
        """
        service = self._service
        if self._in_demo:
            dataset = self._stored.load(dataset.fingerprint)  # which refuses what is somebody else's
        service.admission.check_size(self.visitor, dataset, recipe)
        with service.admission.queueing(self.visitor, name):
            return create_run(service.registry, service.base, dataset, name, recipe, actor=self.visitor.name)

    @needs("manage")
    def train_now(self, dataset: ImageDataset, name: str, recipe: Recipe, worker: Worker) -> Run:
        """Train in this process, past the queue, and return the ended run.

        Args:
            dataset: The images to train on.
            name: A title for people, or a slug. The slug of the adapter is made from it.
            recipe: The settings.
            worker: Of this process; see `Service.new_worker`.

        Raises:
            QuotaReached: If the data folder is full.
            LoraVitError, RegistryError: If the name or a setting cannot be used.
        """
        service = self._service
        service.admission.quota.free_bytes()
        run = create_run(
            service.registry,
            service.base,
            dataset,
            name,
            recipe,
            actor=self.visitor.name,
            worker=worker.name,
        )
        worker.add_base(*service.loaded)
        return worker.execute(run)

    @needs("import")
    def import_bundle(self, path: Path) -> Version:
        """Publish a bundle that was exported here or elsewhere; the same bundle stays one version.

        Raises:
            LoraVitError, RegistryError: if it is damaged or altered, or its base can't be loaded.
        """
        self._service.admission.quota.free_bytes()
        return self._take_in(read_bundle_file(path))

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
        self._service.admission.quota.free_bytes()
        return self._take_in(pull(repo, revision=revision), name)

    @needs("share")
    def push(self, ref: str, repo: str, *, private: bool = False, revision: str | None = None) -> Pushed:
        """Put a version into a repository of the Hugging Face Hub; see `hub.push`.

        Raises:
            LoraVitError, RegistryError: if there is no such version, or the Hub refuses it.
        """
        version, bundle = bundle_of(self._registry, ref)
        return push(bundle, repo, message=version.ref, private=private, revision=revision)

    def _take_in(self, bundle: Bundle, name: str | None = None) -> Version:
        service = self._service
        return take_in(service.registry, service.base_for, bundle, actor=self.visitor.name, name=name)

    @property
    def _in_demo(self) -> bool:
        return self.visitor.is_guest

    @contextmanager
    def _storing(self) -> Iterator[DatasetStore]:
        """The stored images, to be added to as far as a visitor may."""
        uploader = self._stored.uploader
        if uploader is None:
            yield self._stored
            return
        with self._service.allowances.importing(uploader) as count:
            yield replace(self._stored, on_stored=count)
