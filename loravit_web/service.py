"""The use cases that the pages, the HTTP interface and the shell share."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import torch

from loravit_web import __version__
from loravit_web.access.members import Members
from loravit_web.access.rates import RateLimit
from loravit_web.access.rights import APP, GUEST, LOCAL, Visitor, guest
from loravit_web.access.secret import secret_of
from loravit_web.adapters.files.bundle import Bundle, read_bundle_file
from loravit_web.adapters.files.format import base_of
from loravit_web.backbones import Base, LoadBase, fastest_dtype, load_base
from loravit_web.backbones.loading import EMBEDDED, check_size
from loravit_web.backbones.timm_import import import_timm
from loravit_web.catalog.bundled import bundles
from loravit_web.catalog.exports import exported, thumbnail_of
from loravit_web.catalog.naming import slugified
from loravit_web.catalog.publishing import Origin, publish_files
from loravit_web.datasets import DatasetStore, ImageDataset, Split, Uploader
from loravit_web.datasets.allowances import Allowances
from loravit_web.engine import EnginePool, MultiLoRAViT, fastest_engine
from loravit_web.expiry import Expiry
from loravit_web.runs.demo import slug_of
from loravit_web.runs.estimates import Estimates
from loravit_web.saver import saver_of
from loravit_web.serving.image_cache import RecentImages
from loravit_web.serving.predictor import Predictor, stored_adapters
from loravit_web.serving.prefetch import Prefetcher
from loravit_web.serving.usage import UsageCounter
from loravit_web.settings.environment import Settings
from loravit_web.settings.quota import GIB, Quota
from loravit_web.training.blocks import trainable_blocks
from loravit_web.training.estimate import Estimate
from loravit_web.training.recipe import Recipe
from loravit_web.util.cancellation import IsCancelled, never_cancelled
from loravit_web.util.cores import on_all_cores
from loravit_web.util.periodic import Periodic
from loravit_web.visibility import Seen, shown_to
from loravit_web.worker.supervisor import Supervisor
from loravit_web.worker.worker import Worker
from registry import (
    UNKNOWN,
    DatasetClass,
    Forgotten,
    NewBase,
    NewDataset,
    NewRun,
    Registry,
    Run,
    UnknownAdapter,
    Version,
    utc_now,
    validate_slug,
)
from registry import Base as BaseRecord

Progress = Callable[[float, str], None]
STORED_PREFIX = "dataset:"
LEAST_EXPIRY_SECONDS, MOST_EXPIRY_SECONDS = 1.0, 60.0
"""Between two looks at what visitors of a demo gave: a hundredth of the time for which it is kept."""
ABANDONED_SECONDS = A_DAY = 24 * 3600.0


class Service:
    """One data folder: its catalog, datasets, base and runs.

    Opening is cheap. The base is loaded when it is first needed, or at once by `start`.

    Attributes:
        uploads: the web server's folder of what goes in and out through the page, where there is one.
        queueing: held from looking whether somebody may train once more to queueing it, so that of several
            at one moment no more pass than may.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        progress: Progress = lambda _fraction, _stage: None,
        load: LoadBase = load_base,
    ) -> None:
        """
        Args:
            progress: told what is being done while a base is fetched or loaded.
            load: gives the base of a name.

        Raises:
            SettingsError, RegistryError: if the data folder or its database can't be used.
        """
        self.settings = settings.made()
        self.registry = Registry.open(
            settings.database_url, settings.artifacts, cache=settings.artifact_cache
        )
        self._at_close = ExitStack()
        self.uploads = settings.uploads
        self.members = Members(self.registry.users)
        limits = settings.limits
        self.quota = Quota(settings.home, limits.disk_gib * GIB)
        self.rates = RateLimit(limits.requests_per_minute)
        self.images = RecentImages(limits.pixels)
        self.datasets = DatasetStore(settings.datasets, limits=limits, quota=self.quota)
        self.allowances = Allowances(self.datasets, settings.demo)
        self.turns = RateLimit(settings.demo.runs, seconds=A_DAY)
        self.usage = UsageCounter(self.registry.usage.add)
        self.saver = saver_of(self.settings, self.registry)
        self._progress, self._load = progress, load
        self.queueing = threading.Lock()
        self._lock = threading.RLock()
        self._base: tuple[Base, torch.dtype] | None = None
        self._predictor: Predictor | None = None
        self.prefetcher = Prefetcher(lambda image, task: self.predictor.prepare(image, task))
        self._supervisor: Supervisor | None = None
        self._expiry = Periodic("expiry", self.expire, _expiry_seconds(settings.demo.hours))
        self._estimates = Estimates()

    def recover(self) -> None:
        """Fill an empty registry from its newest snapshot, where there is one; call it before `start`.

        Raises:
            RestoreFailed: if all that is made now would be lost, see `Saver.restore`.
        """
        if self.saver is not None and (restored := self.saver.restore()) is not None:
            self._progress(1.0, f"Restored {restored.contents} from {restored.snapshot}")

    def start(self) -> None:
        """Preload base and newest adapters, those that come with the app too; clean up after killed imports,
        watch the queue of runs, write down what is counted and save all of it from time to time.
        """
        self.datasets.sweep(ABANDONED_SECONDS)
        self._expiry.run_once()
        self.offer_bundled()
        self.predictor.refresh()
        self.usage.start()
        self._expiry.start()
        self._supervisor = Supervisor(self.settings, self.registry)
        self._supervisor.start()
        if self.saver is not None:
            self.saver.start()

    def close(self) -> None:
        """Stop watching, end the worker, write the last counts and snapshot, close the database."""
        if self._supervisor is not None:
            self._supervisor.stop()
        self._expiry.stop()
        self.prefetcher.stop()
        self.usage.close()
        if self.saver is not None:
            self.saver.close()
        self.registry.close()
        self._at_close.close()

    def at_close(self, step: Callable[[], object]) -> None:
        """Do something more when the service is closed, the last step first."""
        self._at_close.callback(step)

    @cached_property
    def secret(self) -> bytes:
        """The random key of the data folder."""
        return secret_of(self.settings.home)

    def expire(self, now: datetime | None = None) -> Forgotten:
        """Delete what visitors of a demo gave and nothing was done with for so long; also in another mode.

        Args:
            now: the present moment where a test says so.
        """
        self.usage.flush()  # counts of what is deleted would else be added to what gets its row id
        expiry = Expiry(self.settings, self.registry, self.datasets, self.uploads)
        forgotten = expiry.carry_out(now or utc_now())
        if forgotten and self._predictor is not None:
            self._predictor.refresh()
        return forgotten

    @property
    def worker_pid(self) -> int | None:
        """Process id of the app's training worker while it lives."""
        return self._supervisor.worker_pid if self._supervisor is not None else None

    @property
    def private_folders(self) -> tuple[Path, ...]:
        """What a web server must never hand out."""
        folders = (self.settings.home, self.registry.blobs.folder, self.settings.snapshot_folder)
        return tuple(folder for folder in folders if folder is not None)

    @property
    def base(self) -> Base:
        """The configured base, in float32."""
        return self._loaded()[0]

    @property
    def predictor(self) -> Predictor:
        """Answers from the catalog."""
        with self._lock:
            if self._predictor is None:
                configured = self._engine(*self._loaded())
                engines = EnginePool(configured, self._load_engine)
                self._predictor = Predictor(self.registry, engines, count=self.usage.count)
            return self._predictor

    def _load_engine(self, name: str) -> MultiLoRAViT:
        check_size(name, self.settings.limits.base_millions)
        base = self._load(name, self.settings.bases, self._progress)
        return self._engine(base, on_all_cores(lambda: fastest_dtype(base)))

    def _engine(self, base: Base, dtype: torch.dtype) -> MultiLoRAViT:
        return fastest_engine(base, dtype, load=stored_adapters(self.registry, base))

    def visitor(self, username: str | None, source: str | None = None) -> Visitor:
        """Whoever signed in under a name, or nobody in particular, with what they may do.

        Args:
            username: in a demo, what tells its visitors apart.
            source: in a demo, what its limits count them under.

        Raises:
            NotSignedIn: in a team, from who has not.
        """
        if self.settings.mode == "local":
            return LOCAL
        if self.settings.mode == "demo":
            return guest(username or GUEST, training=self.settings.demo.training, source=source)
        return self.members.visitor(username)

    def seen_by(self, visitor: Visitor) -> Seen:
        """Return what a visitor sees of all this, for whom the rest does not exist."""
        return Seen(
            visitor=visitor,
            settings=self.settings,
            registry=self.registry_of(visitor),
            datasets=self.datasets_of(visitor),
            images=self.images,
            prefetcher=self.prefetcher,
            answering=lambda: self.predictor,
            estimating=self.estimate,
        )

    def registry_of(self, visitor: Visitor) -> Registry:
        """The registry as a visitor sees it."""
        sight = visitor.sight
        return self.registry if sight.is_whole else self.registry.seen_by(sight)

    def datasets_of(self, visitor: Visitor, uploads: Sequence[Path] = ()) -> DatasetStore:
        """The stored images as a visitor sees them; what a demo's visitor imports there is theirs alone.

        Args:
            uploads: the files that they give, which are deleted together with what is imported from them.
        """
        if not visitor.is_guest:
            return replace(self.datasets, shows=shown_to(visitor))
        uploader = Uploader(visitor.name, visitor.counted_by, tuple(str(path) for path in uploads))
        return replace(self.datasets, shows=shown_to(visitor), uploader=uploader)

    def import_dataset(
        self, data: str | Path, *, name: str | None = None, progress: Progress | None = None
    ) -> ImageDataset:
        """Take in a zip, a folder, a CSV or ``sample:NAME``; the same images give the same dataset.

        ``dataset:FINGERPRINT`` names a stored one; the beginning of the fingerprint is enough.

        Raises:
            DatasetError: with what is wrong with the data.
        """
        if str(data).startswith(STORED_PREFIX):
            return self.datasets.find(str(data).removeprefix(STORED_PREFIX))
        return self.datasets.import_source(data, name=name, progress=progress)

    def estimate(
        self, dataset: ImageDataset, recipe: Recipe, *, is_cancelled: IsCancelled = never_cancelled
    ) -> Estimate:
        """What a training will take on this machine; see `Estimates.of`."""
        base = self.predictor.engines.configured.base
        return self._estimates.of(base, dataset, recipe, is_cancelled=is_cancelled)

    def train_now(
        self, dataset: ImageDataset, name: str, recipe: Recipe, worker: Worker, *, actor: str = UNKNOWN
    ) -> Run:
        """Train in this process and return the ended run."""
        run = self.create_run(dataset, name, recipe, actor=actor, worker=worker.name)
        worker.add_base(*self._loaded())
        return worker.execute(run)

    def new_worker(self) -> Worker:
        """A worker for this process."""
        return Worker(self.settings, self.registry, self.datasets, load=self._load)

    def export(self, ref: str) -> tuple[str, bytes]:
        """File name and bytes of a version's bundle; see `exports.exported`."""
        return exported(self.registry, ref)

    def offer_bundled(self) -> None:
        """Put the adapters that come with the app into the catalog, unless it knows them, archived or not.

        They are made for the embedded base; with another one the catalog is left alone.
        """
        if not self.settings.bundled or self.settings.base != EMBEDDED:
            return
        # the first last, as the newest stand first on the page
        for slug, path in reversed(bundles().items()):
            try:
                self.registry.catalog.adapter(slug)
            except UnknownAdapter:
                self._progress(1.0, f"Adding the adapter {slug}")
                self.take_in(read_bundle_file(path), APP)

    def thumbnail(self, version: Version) -> bytes | None:
        """See `exports.thumbnail_of`."""
        return thumbnail_of(self.registry, version)

    def take_in(self, bundle: Bundle, actor: str, name: str | None = None) -> Version:
        """Publish a bundle under its own name or another, once it was seen to load and answer as it did.

        Raises:
            LoraVitError, RegistryError: if it is damaged or altered, or its base can't be loaded.
        """
        name = name or bundle.name
        validate_slug(name)
        base = self.predictor.engines.get(*base_of(bundle.files)).master
        origin = Origin(
            name=name,
            title=bundle.title,
            base_id=self._record(base).id,
            actor=actor,
            description=bundle.description,
            tags=bundle.tags,
        )
        return publish_files(self.registry, bundle.files, base, origin)

    def _loaded(self) -> tuple[Base, torch.dtype]:
        with self._lock:
            if self._base is None:
                base = self._load(self.settings.base, self.settings.bases, self._progress)
                self._base = (base, on_all_cores(lambda: fastest_dtype(base)))
            return self._base

    def create_run(
        self, dataset: ImageDataset, name: str, recipe: Recipe, *, actor: str, worker: str | None = None
    ) -> Run:
        """A new run: queued, or already running under a worker.

        Raises:
            LoraVitError, RegistryError: if the name or a setting can't be used.
        """
        slug, title = slugified(name)
        slug = slug_of(actor, slug)
        self.base.preprocessing(recipe.image_size)
        trainable_blocks(self.base, recipe.adapter, torch.Generator())
        record = self.registry.datasets.ensure(
            NewDataset(dataset.fingerprint, dataset.name, dataset.source_kind, _classes(dataset))
        )
        return self.registry.runs.create(
            NewRun(
                slug=slug,
                title=title,
                base_id=self._record(self.base).id,
                dataset_id=record.id,
                seed=recipe.seed,
                config=recipe.as_json(),
                environment=self.environment(),
            ),
            actor=actor,
            worker=worker,
        )

    @staticmethod
    def environment() -> dict[str, str]:
        """The versions that a run is made with."""
        return {
            "loravit_web": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "timm": str(import_timm().__version__),
            "platform": platform.platform(),
        }

    def _record(self, base: Base) -> BaseRecord:
        return self.registry.bases.ensure(
            NewBase(base.name, base.weights_sha256, base.architecture, base.embed_dim, base.depth)
        )


def _classes(dataset: ImageDataset) -> tuple[DatasetClass, ...]:
    def count(counts: dict[Split, int]) -> tuple[int, int, int]:
        return counts["train"], counts["val"], counts["test"]

    return tuple(DatasetClass(name, *count(counts)) for name, counts in dataset.counts().items())


def _expiry_seconds(hours: float) -> float:
    return min(MOST_EXPIRY_SECONDS, max(LEAST_EXPIRY_SECONDS, hours * 3600 / 100))
