"""Open and close one data folder, with everything that the page and the HTTP interface need from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import torch

from loravit_web.access.members import Members
from loravit_web.access.rates import RateLimit
from loravit_web.access.rights import GUEST, LOCAL, Visitor, guest
from loravit_web.access.secret import secret_of
from loravit_web.backbones import Base, LoadBase, RememberedChoices, load_base, remembered_dtype
from loravit_web.backbones.device import Device, chosen_device
from loravit_web.backbones.loading import check_size
from loravit_web.catalog.exchange import add_bundled
from loravit_web.catalog.hub_presence import HubPresence
from loravit_web.catalog.stored_bases import architecture_of, find_base
from loravit_web.datasets import DatasetStore, ImageDataset, Uploader
from loravit_web.datasets.allowances import Allowances
from loravit_web.datasets.pool.store import PoolStore
from loravit_web.engine import EnginePool, MultiLoRAViT, fastest_engine
from loravit_web.engine.compiled import installed_version, openvino_for
from loravit_web.expiry import Expiry
from loravit_web.runs.admission import Admission
from loravit_web.runs.estimates import Estimates
from loravit_web.runs.queueing import offer_images
from loravit_web.saver import saver_of
from loravit_web.serving.answerer import Answerer
from loravit_web.serving.collecting import Collector
from loravit_web.serving.image_cache import RecentImages
from loravit_web.serving.measures import AnswerMeasures
from loravit_web.serving.metrics import Held, metrics_of
from loravit_web.serving.predictor import Predictor
from loravit_web.serving.prefetch import Prefetcher
from loravit_web.serving.stored import stored_adapters
from loravit_web.serving.usage import UsageCounter
from loravit_web.settings.environment import Settings
from loravit_web.util.cores import on_all_cores
from loravit_web.util.periodic import Periodic
from loravit_web.visibility import Seen, shown_to
from loravit_web.worker.supervisor import Supervisor
from loravit_web.worker.worker import Worker
from registry import Deletion, Registry, RegistryError, utc_now

Progress = Callable[[float, str], None]
MIN_EXPIRY_SECONDS, MAX_EXPIRY_SECONDS = 1.0, 60.0
"""Bounds of the interval between two deletions of expired demo data, which is a hundredth of its lifetime."""
PRELOAD_SECONDS = 2.0
"""Seconds from the start to the preloading of adapters, which would slow the first page and answer down."""
ABANDONED_SECONDS = 24 * 3600.0
"""Age in seconds after which an unfinished import is removed."""


class Service:
    """One opened data folder: its catalog, datasets, base and runs.

    Opening is cheap. The base is loaded when it is first needed, or at once by `start`. The service only
    holds what is open: `Actions` changes it, and `seen_by` returns what one visitor reads.

    Attributes:
        settings: Settings of the app.
        registry: Registry with the data of all owners.
        uploads: Folder of the web server for uploads and downloads, or None without a web server.
        members: Members of a team.
        rates: Rate limit of each visitor's requests.
        images: Cache of the uploads that were decoded last.
        datasets: Stored images of all owners.
        pools: Images without labels, by task.
        collector: Keeps images of requests in pools, where an admin switched that on.
        allowances: Storage that visitors of a demo use.
        estimates: Estimates of the duration of a training on this machine.
        admission: Checks whether another training may be queued.
        hub: Whether the Hugging Face Hub can be reached.
        usage: Counts requests and answers.
        measures: Counts and times of the answers of this process.
        saver: Saves snapshots of the registry, or None without a snapshot address.
        prefetcher: Prepares the answer of a picked task before the visitor requests it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        progress: Progress = lambda _fraction, _stage: None,
        load: LoadBase = load_base,
        answerer: Answerer | None = None,
    ) -> None:
        """Open the database and create what is missing.

        Args:
            settings: Settings of the app.
            progress: Called with the completed fraction (0 to 1) and a sentence while a base is downloaded or
                loaded.
            load: Loads the base of a name that the artifact store does not have.
            answerer: Computes the answers, or None to compute them in this process.

        Raises:
            SettingsError: If the data folder cannot be created.
            RegistryError: If the database cannot be used.
        """
        self.settings = settings.ensure_home()
        self.registry = Registry.open(
            settings.database_url, settings.artifacts, cache=settings.artifact_cache
        )
        self._at_close = ExitStack()
        self.uploads = settings.uploads
        self.members = Members(self.registry.users)
        self.rates = RateLimit(settings.limits.requests_per_minute)
        self.images = RecentImages(settings.limits.pixels)
        self.datasets = DatasetStore.of(settings)
        self.pools = PoolStore.of(settings)
        self.collector = Collector(self.pools, is_allowed=settings.mode != "demo")
        self.allowances = Allowances(self.datasets, settings.demo)
        self.estimates = Estimates(lambda: self.predictor.engines.configured.base)
        self.admission = Admission(self.registry, settings, cost_of=self.estimates.of)
        self.hub = HubPresence()
        self.usage = UsageCounter(self.registry.usage.add)
        self.measures = AnswerMeasures()
        self.saver = saver_of(self.settings, self.registry)
        self._progress, self._load, self._answerer = progress, load, answerer
        self._remembers = RememberedChoices(settings.measurements)
        self._lock = threading.RLock()
        self._base: tuple[Base, torch.dtype] | None = None
        self._predictor: Predictor | None = None
        self.prefetcher = Prefetcher(lambda image, task: self.predictor.prepare(image, task))
        self._supervisor: Supervisor | None = None
        self._closing = threading.Event()
        self._preloading: threading.Thread | None = None
        self._expiry = Periodic(
            "expiry", self.expire, _expiry_seconds(settings.demo.hours), expected=(RegistryError,)
        )

    def recover(self) -> None:
        """Fill an empty registry from its newest snapshot, if there is one. Call it before `start`.

        Raises:
            RestoreFailed: If all changes would be lost at the next restart; see `Saver.restore`.
        """
        if self.saver is not None and (restored := self.saver.restore()) is not None:
            self._progress(1.0, f"Restored {restored.contents} from {restored.snapshot}")

    def start(self) -> None:
        """Load the base, and start the background tasks.

        Adapters are loaded and checked on request, or by `preload`. The background tasks delete expired data
        of a demo, watch the queue of runs, write the counts of requests, and save the registry. Files of
        unfinished imports are removed first.
        """
        self.datasets.sweep(ABANDONED_SECONDS)
        self._expiry.run_once()
        add_bundled(self.registry, self.base_for, self.settings, self._progress)
        self.predictor.refresh(load=False)
        self.usage.start()
        self._expiry.start()
        slots = 1 if self.settings.executor == "local" else 0
        self._supervisor = Supervisor(self.settings, self.registry, slots=slots)
        self._supervisor.start()
        if self.saver is not None:
            self.saver.start()

    def preload(self) -> None:
        """Start to load the newest adapters in the background, after the first requests."""

        def load() -> None:
            if not self._closing.wait(PRELOAD_SECONDS):
                self.predictor.preload(self._closing.is_set)

        self._preloading = threading.Thread(target=load, name="preload", daemon=True)
        self._preloading.start()

    def close(self) -> None:
        """Stop the background tasks and the worker, save counts and a snapshot, and close the registry."""
        if self._supervisor is not None:
            self._supervisor.stop()
        self._closing.set()
        if self._preloading is not None:
            self._preloading.join()
        self._expiry.stop()
        self.prefetcher.stop()
        self.collector.close()
        self.usage.close()
        if self.saver is not None:
            self.saver.close()
        self.registry.close()
        self._at_close.close()

    def at_close(self, step: Callable[[], object]) -> None:
        """Register a function that is called when the service is closed, the last one first."""
        self._at_close.callback(step)

    @cached_property
    def device(self) -> Device:
        """Device on which bases compute.

        Raises:
            DeviceUnusable: If the one of the settings cannot be used.
        """
        return chosen_device(self.settings.device)

    @cached_property
    def secret(self) -> bytes:
        """Random key of the data folder."""
        return secret_of(self.settings.home)

    def expire(self, now: datetime | None = None) -> Deletion:
        """Delete data of demo visitors that was not used for `LORAVIT_DEMO_HOURS`, in every mode.

        Args:
            now: Current time, or None for that of the clock.

        Returns:
            What was deleted.
        """
        self.usage.flush()  # later, counts of deleted rows could be added to new rows with the same id
        expiry = Expiry(self.settings, self.registry, self.datasets, self.uploads)
        deletion = expiry.carry_out(now or utc_now())
        if deletion and self._predictor is not None:
            self._predictor.refresh()
        return deletion

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the app's training workers."""
        return self._supervisor.worker_pids if self._supervisor is not None else []

    @property
    def private_folders(self) -> tuple[Path, ...]:
        """Folders whose files a web server must never serve."""
        folders = (self.settings.home, self.registry.blobs.folder, self.settings.snapshot_folder)
        return tuple(folder for folder in folders if folder is not None)

    @property
    def base(self) -> Base:
        """The configured base in float32."""
        return self.loaded[0]

    @property
    def loaded(self) -> tuple[Base, torch.dtype]:
        """The configured base, and the data type in which it runs fastest on this machine."""
        with self._lock:
            if self._base is None:
                base = self._found_base(self.settings.base)
                self._base = (base, self._dtype(base))
            return self._base

    @property
    def predictor(self) -> Predictor:
        """Predictor with the adapters of the catalog. Loads the base if needed."""
        with self._lock:
            if self._predictor is None:
                configured = self._engine(*self.loaded)
                engines = EnginePool(configured, self._load_engine)
                self._predictor = Predictor(
                    self.registry, engines, answerer=self._answerer, count=self._count
                )
            return self._predictor

    def problem(self) -> str | None:
        """Return why the app cannot answer now: its database must answer, and its base be in memory."""
        try:
            self.registry.revision()
        except RegistryError as error:
            return error.in_public
        return None if self._predictor is not None else "The base is still being loaded."

    def metrics(self) -> bytes:
        """Return the metrics of the app; errors as of `metrics_of`."""
        held = Held.of(self._predictor.engines.configured) if self._predictor is not None else None
        return metrics_of(self.registry, self.measures.measured(), held)

    def _count(self, version_id: int, milliseconds: float | None) -> None:
        self.usage.count(version_id, milliseconds)
        self.measures.count(milliseconds)

    def base_named(self, name: str) -> Base:
        """Return a base in float32, and load it unless it is the configured one.

        Raises:
            LoraVitError: If there is no such base, it is too large, or it cannot be loaded.
        """
        if name == self.settings.base:
            return self.base
        check_size(architecture_of(self.registry, name), self.settings.limits.base_millions)
        return self._found_base(name)

    def hub_base(self, name: str) -> Base:
        """Return a timm model from the model hub in float32, even if the artifact store has one of this name.

        Raises:
            LoraVitError: If there is no such model, it is no plain ViT, or the hub cannot be reached.
        """
        return self._load(name, self.settings.bases, self._progress)

    def base_for(self, name: str, weights_sha256: str) -> Base:
        """Return a base in float32, and load it if needed.

        Args:
            name: Name of the base.
            weights_sha256: SHA-256 of its weights, in hexadecimal.

        Raises:
            LoraVitError: If there is no such base, or it has other weights here.
        """
        return self.predictor.engines.get(name, weights_sha256).master

    def _load_engine(self, name: str) -> MultiLoRAViT:
        base = self.base_named(name)
        return self._engine(base, self._dtype(base))

    def _found_base(self, name: str) -> Base:
        base = find_base(self.registry, self._load, name, self.settings.bases, self._progress)
        return base.cast(torch.float32, self.device.torch)

    def _engine(self, base: Base, dtype: torch.dtype) -> MultiLoRAViT:
        load = stored_adapters(self.registry, base)
        openvino = openvino_for(self.settings.engine, self._remembers, installed=installed_version())
        return fastest_engine(base, dtype, load=load, remembers=self._remembers, openvino=openvino)

    def _dtype(self, base: Base) -> torch.dtype:
        return on_all_cores(lambda: remembered_dtype(base, self._remembers))

    def visitor(self, username: str | None, source: str | None = None) -> Visitor:
        """Return the visitor of a name with the rights of this mode.

        Args:
            username: Name of the member who signed in or of the demo's visitor, or None.
            source: Key by which the limits of a demo are counted, such as an address.

        Raises:
            NotSignedIn: If the app runs in team mode and the name may not sign in.
        """
        if self.settings.mode == "local":
            return LOCAL
        if self.settings.mode == "demo":
            return guest(username or GUEST, training=self.settings.demo.training, source=source)
        return self.members.visitor(username)

    def seen_by(self, visitor: Visitor) -> Seen:
        """Return the parts of the app as a visitor sees them, without hidden data."""
        return Seen(
            visitor=visitor,
            settings=self.settings,
            registry=self.registry_of(visitor),
            datasets=self.datasets_of(visitor),
            pools=self.pools,
            collector=self.collector,
            images=self.images,
            prefetcher=self.prefetcher,
            answering=lambda: self.predictor,
            estimating=self.estimates.of,
            known_estimate=self.estimates.known,
            hub=self.hub,
        )

    def registry_of(self, visitor: Visitor) -> Registry:
        """Return the registry as a visitor sees it."""
        visibility = visitor.visibility
        return self.registry if visibility.sees_everything else self.registry.seen_by(visibility)

    def datasets_of(self, visitor: Visitor, uploads: Sequence[Path] = ()) -> DatasetStore:
        """Return the stored images as a visitor sees and names them. Imports of demo visitors are private.

        Args:
            visitor: Visitor who reads and imports.
            uploads: Uploaded files of a demo visitor, which are deleted together with the data imported from
                them.
        """
        datasets = replace(self.datasets, shows=shown_to(visitor), importer=visitor.name)
        if not visitor.is_guest:
            return datasets
        uploader = Uploader(visitor.name, visitor.counted_by, tuple(str(path) for path in uploads))
        return replace(datasets, uploader=uploader)

    def offer(self, dataset: ImageDataset) -> None:
        """Store the images of a dataset for other machines, if these may train on them.

        Raises:
            OSError: If an image cannot be read.
            RegistryError: If the store or the database refuses a file.
        """
        if self.settings.executor != "local":
            offer_images(self.registry, dataset)

    def new_worker(self) -> Worker:
        """Return a worker for this process."""
        return Worker(self.settings, self.registry, self.datasets, load=self._load)


def _expiry_seconds(hours: float) -> float:
    return min(MAX_EXPIRY_SECONDS, max(MIN_EXPIRY_SECONDS, hours * 3600 / 100))
