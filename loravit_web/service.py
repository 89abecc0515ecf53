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
from loravit_web.backbones import Base, LoadBase, fastest_dtype, load_base
from loravit_web.backbones.loading import check_size
from loravit_web.catalog.exchange import offer_bundled
from loravit_web.catalog.hub_presence import HubPresence
from loravit_web.catalog.stored_bases import architecture_of, find_base
from loravit_web.datasets import DatasetStore, Uploader
from loravit_web.datasets.allowances import Allowances
from loravit_web.engine import EnginePool, MultiLoRAViT, fastest_engine
from loravit_web.expiry import Expiry
from loravit_web.runs.admission import Admission
from loravit_web.runs.estimates import Estimates
from loravit_web.saver import saver_of
from loravit_web.serving.image_cache import RecentImages
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
from registry import (
    Deletion,
    Registry,
    utc_now,
)

Progress = Callable[[float, str], None]
LEAST_EXPIRY_SECONDS, MOST_EXPIRY_SECONDS = 1.0, 60.0
"""Between two looks at what guests of a demo left: a hundredth of the time for which it is kept."""
ABANDONED_SECONDS = 24 * 3600.0


class Service:
    """One opened data folder: its catalog, datasets, base and runs.

    Opening is cheap. The base is loaded when it is first needed, or at once by `start`. The service only
    holds what is open: `Actions` changes it, and `seen_by` gives what one visitor reads.

    Attributes:
        settings: What the environment decides.
        registry: The catalog and the runs, without anything hidden.
        uploads: The web server's folder for uploads and downloads, if there is a web server.
        members: The people of a team.
        rates: Counts the requests of each visitor.
        pictures: The uploads that were decoded last.
        datasets: The stored images, without anything hidden.
        allowances: Counts what the guests of a demo store.
        estimates: What a training takes on this machine.
        admission: Decides whether one more training may be queued.
        hub: Tells whether the Hugging Face Hub can be reached.
        usage: Counts questions and answers.
        saver: Saves the registry while the app runs, if the settings say where.
        ahead: Prepares the answer of a task that a visitor picked, before they ask for it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        progress: Progress = lambda _fraction, _stage: None,
        load: LoadBase = load_base,
    ) -> None:
        """Open the database and create what is missing.

        Args:
            settings: Where the data lies, and its limits.
            progress: Called with a fraction and a sentence while a base is fetched or loaded.
            load: Gives the base of a name, unless the artifact store has one of this name.

        Raises:
            SettingsError, RegistryError: If the data folder or its database cannot be used.
        """
        self.settings = settings.made()
        self.registry = Registry.open(
            settings.database_url, settings.artifacts, cache=settings.artifact_cache
        )
        self._at_close = ExitStack()
        self.uploads = settings.uploads
        self.members = Members(self.registry.users)
        self.rates = RateLimit(settings.limits.requests_per_minute)
        self.images = RecentImages(settings.limits.pixels)
        self.datasets = DatasetStore.of(settings)
        self.allowances = Allowances(self.datasets, settings.demo)
        self.estimates = Estimates(lambda: self.predictor.engines.configured.base)
        self.admission = Admission(self.registry, settings, cost_of=self.estimates.of)
        self.hub = HubPresence()
        self.usage = UsageCounter(self.registry.usage.add)
        self.saver = saver_of(self.settings, self.registry)
        self._progress, self._load = progress, load
        self._lock = threading.RLock()
        self._base: tuple[Base, torch.dtype] | None = None
        self._predictor: Predictor | None = None
        self.prefetcher = Prefetcher(lambda image, task: self.predictor.prepare(image, task))
        self._supervisor: Supervisor | None = None
        self._expiry = Periodic("expiry", self.expire, _expiry_seconds(settings.demo.hours))

    def recover(self) -> None:
        """Fill an empty registry from its newest snapshot, if there is one. Call it before `start`.

        Raises:
            RestoreFailed: If everything that is made now would be lost; see `Saver.restore`.
        """
        if self.saver is not None and (restored := self.saver.restore()) is not None:
            self._progress(1.0, f"Restored {restored.contents} from {restored.snapshot}")

    def start(self) -> None:
        """Load the base and the newest adapters, and start everything that runs in the background.

        That is: deleting what guests left, watching the queue of runs, writing the counts of questions, and
        saving the registry. Remains of imports that were killed are removed first.
        """
        self.datasets.sweep(ABANDONED_SECONDS)
        self._expiry.run_once()
        offer_bundled(self.registry, self.base_for, self.settings, self._progress)
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
        """Call a function when the service is closed. The last one registered is called first."""
        self._at_close.callback(step)

    @cached_property
    def secret(self) -> bytes:
        """The random key of the data folder."""
        return secret_of(self.settings.home)

    def expire(self, now: datetime | None = None) -> Deletion:
        """Delete what guests of a demo left unused for `LORAVIT_DEMO_HOURS`, in every mode.

        Args:
            now: The present moment. By default the clock's.
        """
        self.usage.flush()  # counts of what is deleted would else be added to what gets its row id
        expiry = Expiry(self.settings, self.registry, self.datasets, self.uploads)
        deletion = expiry.carry_out(now or utc_now())
        if deletion and self._predictor is not None:
            self._predictor.refresh()
        return deletion

    @property
    def worker_pid(self) -> int | None:
        """The process id of the app's training worker, or None if none lives."""
        return self._supervisor.worker_pid if self._supervisor is not None else None

    @property
    def private_folders(self) -> tuple[Path, ...]:
        """The folders whose files a web server must never serve."""
        folders = (self.settings.home, self.registry.blobs.folder, self.settings.snapshot_folder)
        return tuple(folder for folder in folders if folder is not None)

    @property
    def base(self) -> Base:
        """The configured base, in float32."""
        return self.loaded[0]

    @property
    def loaded(self) -> tuple[Base, torch.dtype]:
        """The configured base, and the number type in which it runs fastest here."""
        with self._lock:
            if self._base is None:
                base = self._found_base(self.settings.base)
                self._base = (base, on_all_cores(lambda: fastest_dtype(base)))
            return self._base

    @property
    def predictor(self) -> Predictor:
        """What answers with the adapters of the catalog. Loads the base if need be."""
        with self._lock:
            if self._predictor is None:
                configured = self._engine(*self.loaded)
                engines = EnginePool(configured, self._load_engine)
                self._predictor = Predictor(self.registry, engines, count=self.usage.count)
            return self._predictor

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
        """Return the base of a name and these weights in float32, and load it if need be.

        Raises:
            LoraVitError: If there is no such base, or it has other weights here.
        """
        return self.predictor.engines.get(name, weights_sha256).master

    def _load_engine(self, name: str) -> MultiLoRAViT:
        base = self.base_named(name)
        return self._engine(base, on_all_cores(lambda: fastest_dtype(base)))

    def _found_base(self, name: str) -> Base:
        return find_base(self.registry, self._load, name, self.settings.bases, self._progress)

    def _engine(self, base: Base, dtype: torch.dtype) -> MultiLoRAViT:
        return fastest_engine(base, dtype, load=stored_adapters(self.registry, base))

    def visitor(self, username: str | None, source: str | None = None) -> Visitor:
        """Return the visitor of a name, with what they may do in this mode.

        Args:
            username: The name that somebody signed in under. In a demo, the name of the guest.
            source: In a demo, the address or cookie by which its limits count the guest.

        Raises:
            NotSignedIn: In a team, if nobody signed in under the name.
        """
        if self.settings.mode == "local":
            return LOCAL
        if self.settings.mode == "demo":
            return guest(username or GUEST, training=self.settings.demo.training, source=source)
        return self.members.visitor(username)

    def seen_by(self, visitor: Visitor) -> Seen:
        """Return what a visitor reads. Everything else does not exist for that visitor."""
        return Seen(
            visitor=visitor,
            settings=self.settings,
            registry=self.registry_of(visitor),
            datasets=self.datasets_of(visitor),
            images=self.images,
            prefetcher=self.prefetcher,
            answering=lambda: self.predictor,
            estimating=self.estimates.of,
            hub=self.hub,
        )

    def registry_of(self, visitor: Visitor) -> Registry:
        """Return the registry as a visitor sees it."""
        visibility = visitor.visibility
        return self.registry if visibility.sees_everything else self.registry.seen_by(visibility)

    def datasets_of(self, visitor: Visitor, uploads: Sequence[Path] = ()) -> DatasetStore:
        """Return the stored images as a visitor sees them. What a guest imports there is theirs alone.

        Args:
            visitor: Who looks and imports.
            uploads: The files that a guest gives, deleted together with what is imported from them.
        """
        if not visitor.is_guest:
            return replace(self.datasets, shows=shown_to(visitor))
        uploader = Uploader(visitor.name, visitor.counted_by, tuple(str(path) for path in uploads))
        return replace(self.datasets, shows=shown_to(visitor), uploader=uploader)

    def new_worker(self) -> Worker:
        """Return a worker for this process."""
        return Worker(self.settings, self.registry, self.datasets, load=self._load)


def _expiry_seconds(hours: float) -> float:
    return min(MOST_EXPIRY_SECONDS, max(LEAST_EXPIRY_SECONDS, hours * 3600 / 100))
