"""Everything that a visitor can change. Each action checks the right that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from loravit_web.access.guard import needs
from loravit_web.access.rights import Visitor
from loravit_web.adapters.files.bundle import Bundle, read_bundle_file
from loravit_web.backbones import Base
from loravit_web.catalog.actions import CatalogActions
from loravit_web.catalog.exchange import bundle_of, publish_bundle
from loravit_web.catalog.hub import Pushed, pull, push
from loravit_web.catalog.offered_bases import check_offered
from loravit_web.catalog.stored_bases import new_stored_base
from loravit_web.datasets import ArchiveLimits, DatasetStore, ImageDataset, from_hub, open_source
from loravit_web.datasets.layout.plan import ClassLevel, Level
from loravit_web.datasets.sources.csv_table.rows import FIND_COLUMNS, Columns
from loravit_web.datasets.sources.opening import Source
from loravit_web.runs.actions import RunActions
from loravit_web.runs.data_actions import DataActions
from loravit_web.runs.demo import BeyondDemo, check_plan
from loravit_web.runs.pool_actions import PoolActions
from loravit_web.runs.queueing import create_run
from loravit_web.runs.revision_actions import RevisionActions
from loravit_web.runs.sweeps import KEPT, Try, queue_tries
from loravit_web.service import Progress, Service
from loravit_web.settings.quota import MIB
from loravit_web.training.recipe import Recipe
from loravit_web.worker.worker import Worker
from registry import Deletion, Run, StoredBase, Version, validate_slug

STORED_PREFIX = "dataset:"
ENTRIES_PER_IMAGE, MORE_ENTRIES = 4, 1000
"""Zip entries that a demo accepts: per image, and in addition for folders and files that systems add."""


@dataclass(frozen=True, slots=True)
class Imported:
    """An imported dataset with the other ways to read its folders.

    Attributes:
        dataset: The stored dataset.
        levels: Levels of folders that can be the classes; none if there is no choice.
        at: Level that was used.
    """

    dataset: ImageDataset
    levels: tuple[Level, ...] = ()
    at: ClassLevel = None


class Actions(CatalogActions, RunActions, DataActions, RevisionActions, PoolActions):
    """All changes of a service's data by one visitor, whose name is recorded with each change.

    Args:
        service: The opened data folder.
        visitor: Visitor who makes the changes.
        uploads: Uploaded files of the visitor. A demo deletes them together with the data that is imported
            from them.
    """

    def __init__(self, service: Service, visitor: Visitor, *, uploads: Sequence[Path] = ()) -> None:
        registry = service.registry_of(visitor)
        CatalogActions.__init__(self, registry, visitor)
        self._service = service
        DataActions.__init__(self, registry, visitor, service.datasets_of(visitor, uploads))
        RevisionActions.__init__(self, registry, visitor, self._stored, self._storing)
        PoolActions.__init__(self, registry, visitor, service.pools, self._stored)
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
        """Maximum size of one import; lower for visitors of a demo."""
        usual = self._stored.archive_limits
        if not self._in_demo:
            return usual
        rules = self._service.settings.demo
        return replace(
            usual,
            max_entries=min(usual.max_entries, ENTRIES_PER_IMAGE * rules.images + MORE_ENTRIES),
            max_total_bytes=min(usual.max_total_bytes, int(rules.mib * MIB)),
        )

    @needs("manage")
    def delete_adapter(self, slug: str) -> Deletion:
        """Delete an adapter with its pool of images without labels; see `CatalogActions.delete_adapter`."""
        deletion = super().delete_adapter(slug)
        self._service.pools.remove(slug)
        return deletion

    @needs("train")
    def import_dataset(
        self,
        data: str | Path,
        *,
        name: str | None = None,
        progress: Progress | None = None,
        classes_at: ClassLevel = None,
        encoding: str | None = None,
        columns: Columns | None = None,
    ) -> ImageDataset:
        """Import a zip, a folder, a CSV or ``sample:NAME``. The same images give the same dataset.

        Args:
            data: Path of the data, or the name of a sample. ``dataset:FINGERPRINT`` names a stored dataset;
                the beginning of the fingerprint is enough.
            name: Name to show, or None for the name of the source.
            progress: Called with the completed fraction (0 to 1) and a sentence.
            classes_at: Level of the class folders, or None to find it; see `interpret`.
            encoding: Encoding of the names in a zip that do not tell it, or None to find it.
            columns: Columns of a table that a person chose, or None to find them.

        Returns:
            The stored dataset.

        Raises:
            NotAllowed: If the visitor may not train.
            DatasetError: If the data cannot be used.
            BeyondDemo: If the classes or images exceed what a visitor of a demo may train on.
            AllowanceExceeded: If a visitor of a demo may not store so much.
        """
        if str(data).startswith(STORED_PREFIX):
            return self._stored.find(str(data).removeprefix(STORED_PREFIX))
        imported = self.import_levels(
            data, name=name, progress=progress, classes_at=classes_at, encoding=encoding, columns=columns
        )
        return imported.dataset

    @needs("train")
    def import_levels(
        self,
        data: str | Path,
        *,
        name: str | None = None,
        progress: Progress | None = None,
        classes_at: ClassLevel = None,
        encoding: str | None = None,
        columns: Columns | None = None,
    ) -> Imported:
        """Import data as `import_dataset` does, and return the levels that could be the classes too."""
        with open_source(
            data,
            self.archive_limits,
            classes_at=classes_at,
            encoding=encoding,
            columns=columns or FIND_COLUMNS,
        ) as source:
            dataset = self.import_opened(source, name=name, progress=progress)
            return Imported(dataset, source.plan.levels, source.plan.at)

    @needs("train")
    def import_opened(
        self, source: Source, *, name: str | None = None, progress: Progress | None = None
    ) -> ImageDataset:
        """Import the images of an opened source; see `DatasetStore.import_opened`.

        Args:
            source: The opened source.
            name: Name to show, or None for the name of the source.
            progress: Called with the completed fraction (0 to 1) and a sentence.

        Returns:
            The stored dataset.

        Raises:
            NotAllowed: If the visitor may not train.
            DatasetError: If the data cannot be used.
            BeyondDemo: If the classes or images exceed what a visitor of a demo may train on.
            AllowanceExceeded: If a visitor of a demo may not store so much.
        """
        if self._in_demo:
            check_plan(self._service.settings.demo, source.plan)
        with self._storing() as datasets:
            return datasets.import_opened(source, name=name, progress=progress)

    @needs("train")
    def import_from_hub(self, repo: str, *, progress: Progress | None = None) -> ImageDataset:
        """Import an image dataset from the Hugging Face Hub.

        Args:
            repo: Name of the dataset's repository, ``owner/name``.
            progress: Called with the completed fraction (0 to 1) and a sentence.

        Returns:
            The stored dataset.

        Raises:
            NotAllowed: If the visitor may not train.
            BeyondDemo: If the visitor uses a demo: a dataset is downloaded before its size is known.
            DatasetError: If there is no such dataset, or the package for the Hub's datasets is missing.
        """
        if self._in_demo:
            raise BeyondDemo("This demo cannot import datasets from the Hub. Upload a zip of your images.")
        return self.import_opened(from_hub(repo, limits=self.archive_limits), progress=progress)

    @needs("train")
    def queue_training(
        self, dataset: ImageDataset, name: str, recipe: Recipe, *, base: str | None = None
    ) -> Run:
        """Queue a run for the worker.

        Args:
            dataset: Training images.
            name: Title or slug of the adapter. The slug is derived from a title.
            recipe: Settings of the training; for another base, the image size is rounded to its patches.
            base: Name of a base that the app offers, or None for the configured one.

        Returns:
            The queued run.

        Raises:
            NotAllowed: If the visitor may not train.
            BaseNotOffered: If the app does not offer the base to this visitor.
            BeyondDemo: If the training exceeds the limits of the demo.
            LoraVitError: If a setting is invalid, or the data folder or the queue is full.
            RegistryError: If the name is invalid.
        """
        service = self._service
        other = self._other_base(base)
        recipe = recipe if other is None else recipe.fitted(other.patch_size)
        if self._in_demo:
            dataset = self._stored.load(dataset.fingerprint)  # rejects datasets of other visitors
        service.admission.check_size(self.visitor, dataset, recipe)
        service.offer(dataset)
        with service.admission.queueing(self.visitor, name):
            return create_run(
                service.registry, other or service.base, dataset, name, recipe, actor=self.visitor.name
            )

    @needs("train")
    def queue_sweep(
        self, dataset: ImageDataset, name: str, tries: Sequence[Try], *, keep: float = KEPT
    ) -> list[Run]:
        """Queue the runs of a sweep, or none if the queue has no room for all; see `queue_tries`.

        Raises:
            NotAllowed: If the visitor may not train.
            BeyondDemo: If a training exceeds the limits of the demo.
            LoraVitError: If a setting is invalid, or the data folder or the queue is full.
            RegistryError: If the name is invalid.
        """
        service, actor = self._service, self.visitor.name
        for one in tries:
            service.admission.check_size(self.visitor, dataset, one.recipe)
        service.offer(dataset)
        with service.admission.queueing(self.visitor, name, runs=len(tries)):
            return queue_tries(service.registry, service.base, dataset, name, tries, actor=actor, keep=keep)

    @needs("manage")
    def train_now(self, dataset: ImageDataset, name: str, recipe: Recipe, worker: Worker) -> Run:
        """Train in this process without the queue.

        Args:
            dataset: Training images.
            name: Title or slug of the adapter. The slug is derived from a title.
            recipe: Settings of the training.
            worker: Worker of this process; see `Service.new_worker`.

        Returns:
            The ended run.

        Raises:
            NotAllowed: If the visitor is not an admin.
            QuotaReached: If the data folder is full.
            LoraVitError: If a setting is invalid.
            RegistryError: If the name is invalid.
        """
        service = self._service
        service.admission.quota.free_bytes()
        service.offer(dataset)
        run = create_run(
            service.registry,
            service.base,
            dataset,
            name,
            recipe,
            actor=self.visitor.name,
            worker=worker.id,
        )
        worker.add_base(*service.loaded)
        return worker.execute(run)

    @needs("import")
    def import_bundle(self, path: Path) -> Version:
        """Publish a bundle that was exported by this app or another one.

        Args:
            path: Path of the bundle.

        Returns:
            The published version, or the existing one with the same files.

        Raises:
            NotAllowed: If the visitor may not import.
            QuotaReached: If the data folder is full.
            LoraVitError: If the bundle is damaged or altered, or its base cannot be loaded.
            RegistryError: If the version cannot be published.
        """
        self._service.admission.quota.free_bytes()
        return self._take_in(read_bundle_file(path))

    @needs("import")
    def pull(self, repo: str, *, revision: str | None = None, name: str | None = None) -> Version:
        """Publish the adapter of a repository of the Hugging Face Hub.

        Args:
            repo: Name of the repository, ``owner/name``.
            revision: Branch, tag or commit, or None for the default branch.
            name: Slug to publish under, or None for the adapter's own slug.

        Returns:
            The published version, or the existing one with the same files.

        Raises:
            NotAllowed: If the visitor may not import.
            QuotaReached: If the data folder is full.
            LoraVitError: If the Hub has no such adapter, or as in `import_bundle`.
            RegistryError: If the slug is invalid, or the version cannot be published.
        """
        if name is not None:
            validate_slug(name)
        self._service.admission.quota.free_bytes()
        return self._take_in(pull(repo, revision=revision), name)

    @needs("manage")
    def add_base(self, name: str, base: Base, *, license: str = "", card: str = "") -> StoredBase:
        """Put a base into the artifact store, from which every machine over this registry can load it.

        Args:
            name: Name to store it under.
            base: The base, in float32.
            license: Name of the license of its weights; empty if it is not known.
            card: Markdown for people; empty for none.

        Raises:
            QuotaReached: If the data folder is full.
            LoraVitError, RegistryError: If the name cannot be used or stands for another base, or the store
                refuses the files.
        """
        self._service.admission.quota.free_bytes()
        new = new_stored_base(base, name, license=license, card=card)
        return self._registry.base_files.add(new, actor=self.visitor.name)

    @needs("share")
    def push(self, ref: str, repo: str, *, private: bool = False, revision: str | None = None) -> Pushed:
        """Upload a version to a repository of the Hugging Face Hub; see `hub.push`.

        Args:
            ref: Reference of the version, such as ``slug@2``.
            repo: Name of the repository, ``owner/name``.
            private: Whether a new repository is private.
            revision: Branch to upload to, or None for the default branch.

        Returns:
            The uploaded commit.

        Raises:
            NotAllowed: If the visitor is not an admin.
            LoraVitError: If the Hub rejects the upload.
            RegistryError: If there is no such version.
        """
        version, bundle = bundle_of(self._registry, ref)
        return push(bundle, repo, message=version.ref, private=private, revision=revision)

    def _other_base(self, name: str | None) -> Base | None:
        """Load a base that the visitor chose; None for the configured one."""
        service = self._service
        if name is None or name == service.settings.base:
            return None
        check_offered(service.seen_by(self.visitor).bases(), name)
        return service.base_named(name)

    def _take_in(self, bundle: Bundle, name: str | None = None) -> Version:
        service = self._service
        return publish_bundle(service.registry, service.base_for, bundle, actor=self.visitor.name, name=name)

    @property
    def _in_demo(self) -> bool:
        return self.visitor.is_guest

    @contextmanager
    def _storing(self) -> Iterator[DatasetStore]:
        """Yield the store, which counts imported images towards the allowance of a visitor of a demo."""
        uploader = self._stored.uploader
        if uploader is None:
            yield self._stored
            return
        with self._service.allowances.importing(uploader) as count:
            yield replace(self._stored, on_stored=count)
