"""Saves the registry elsewhere while the app runs, and brings it back on an empty disk.

Nothing that goes wrong here stops the app: it is logged, and kept for whoever looks at the page.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from loravit_web.access.rights import APP
from loravit_web.errors import LoraVitError
from loravit_web.settings.environment import Settings
from registry import (
    BlobMissing,
    BlobNotStored,
    BlobStoreFull,
    BlobStoreUnreachable,
    Clock,
    DatabaseTooNew,
    Registry,
    RegistryError,
    RestoredSnapshot,
    SnapshotsOfAnother,
    SnapshotStore,
    State,
    UnusableArtifactAddress,
    newest_snapshot,
    open_snapshot_store,
    utc_now,
)

LOOK_SECONDS = 5.0
RETRY = timedelta(minutes=1)
RESTORE_TRIES, RESTORE_SECONDS = 12, 5.0
"""How often an empty registry asks a place that doesn't answer, and the pause between."""
LAST_SECONDS = 20.0
"""How long an ending app waits for its last snapshot; a place that hangs must not keep it from ending."""
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (BlobStoreFull, "the disk for snapshots is full"),
    (BlobNotStored, "the place for snapshots can't be written"),
    (BlobMissing, "the place for snapshots can't be read"),
    (BlobStoreUnreachable, "the place for snapshots doesn't answer"),
    (UnusableArtifactAddress, "the address for snapshots can't be used"),
    (DatabaseTooNew, "the snapshots were made by a newer version of this program"),
    (
        SnapshotsOfAnother,
        "the snapshots there are of another registry; an empty data folder would restore them",
    ),
)
_LOG = logging.getLogger(__name__)


class NothingRestored(LoraVitError):
    """An empty registry could not be filled, and whatever is made in it would be lost."""


@dataclass(frozen=True)
class Saved:
    """How well the registry is saved.

    Attributes:
        at: when the newest snapshot was taken; None before the first.
        failing_since: when saving or restoring began to fail; None while it works.
        reason: why, without addresses or folders, which are in the log.
    """

    at: datetime | None = None
    failing_since: datetime | None = None
    reason: str = ""


class Saver:
    """Writes a snapshot after each change of the catalog, and of runs that changed from time to time."""

    def __init__(
        self,
        registry: Registry,
        address: str,
        scratch: Path,
        *,
        interval: timedelta,
        last_copy: bool = False,
        clock: Clock = utc_now,
        open_at: Callable[[str], SnapshotStore] = open_snapshot_store,
        rest: Callable[[float], object] = time.sleep,
    ) -> None:
        """
        Args:
            address: a folder, or an address of fsspec.
            scratch: a folder of its own, for a copy of the database on the way.
            interval: between snapshots while only runs change.
            last_copy: whether nothing but the snapshots outlasts a restart.
            rest: waits for some seconds.
        """
        self._registry, self._address, self._scratch = registry, address, scratch
        self._interval, self._clock, self._open_at = interval, clock, open_at
        self._last_copy, self._rest = last_copy, rest
        self._store: SnapshotStore | None = None
        self._damaged: frozenset[str] = frozenset()
        self._state: State | None = None
        self._tried_at = clock()
        self.saved = Saved()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="snapshots", daemon=True)

    def restore(self) -> RestoredSnapshot | None:
        """Fill an empty registry from the newest whole snapshot; None where nothing was restored.

        A place that doesn't answer is asked for a minute: what is made in the empty registry meanwhile could
        never be saved beside the snapshots of the one before.

        Raises:
            NothingRestored: if it still doesn't answer, and nothing else outlasts a restart.
        """
        try:
            if self._scratch.exists():
                shutil.rmtree(self._scratch)  # what a killed app left
            done = self._restored()
            self._take_over(done)
        except Exception as error:  # the app starts without, and says so
            self._failed("Nothing was restored", error)
            if (
                self._last_copy
                and _is_empty(self._registry.state())
                and isinstance(error, BlobStoreUnreachable)
            ):
                raise NothingRestored(
                    "The place for snapshots doesn't answer, and without it all that is made here would be "
                    "lost at the next restart: start again when it does, or without LORAVIT_SNAPSHOT_URL."
                ) from error
            return None
        return done if done is not None and done.snapshot is not None else None

    def _restored(self) -> RestoredSnapshot | None:
        for left in reversed(range(RESTORE_TRIES)):
            try:
                done = self._registry.restore_snapshot(self._opened(), scratch=self._scratch, actor=APP)
            except BlobStoreUnreachable as error:
                if not left or not _is_empty(self._registry.state()):
                    raise
                self._failed("Nothing is restored yet", error)
                self._rest(RESTORE_SECONDS)
            else:
                self.saved = Saved()
                return done
        raise AssertionError("the last try returns or raises")

    def start(self) -> None:
        """Save in the background from now on."""
        self._thread.start()

    def close(self) -> None:
        """Save for a last time what changed, unless that takes too long."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(LAST_SECONDS)
            if self._thread.is_alive():
                _LOG.warning("The last snapshot took too long and was given up.")

    def look(self, *, last: bool = False) -> None:
        """Write a snapshot if one is due.

        Args:
            last: whatever changed is due.
        """
        now = self._clock()
        try:
            state = self._registry.state()
            if state != self._state and (last or self._is_due(state, now)):
                self._save(now)
        except Exception as error:  # noqa: BLE001 - saving outlasts whatever a place answers, and says so
            self._failed("The registry is not saved", error)

    def _is_due(self, state: State, now: datetime) -> bool:
        if _is_empty(state):
            return False  # not worth a snapshot
        if self.saved.failing_since is not None and now - self._tried_at < RETRY:
            return False
        catalog_changed = self._state is None or state.event != self._state.event
        return catalog_changed or now - self._tried_at >= self._interval

    def _save(self, now: datetime) -> None:
        self._tried_at = now
        store = self._opened()
        snapshot = self._registry.save_snapshot(store, scratch=self._scratch, damaged=self._damaged)
        if self.saved.failing_since is not None:
            _LOG.warning("The registry is saved in %s again.", store.root)
        self._state, self.saved = snapshot.state, Saved(at=snapshot.manifest.taken_at)
        try:
            self._registry.prune_snapshots(store, damaged=self._damaged)
        except RegistryError as error:
            _LOG.warning("Old snapshots could not be removed: %s", error)

    def _take_over(self, done: RestoredSnapshot | None) -> None:
        """Go on from the snapshot that the registry came from, or that holds the same."""
        for skipped in done.skipped if done is not None else ():
            _LOG.warning("A snapshot was passed over: %s", skipped)
        self._damaged = done.damaged if done is not None else frozenset()
        newest = newest_snapshot(self._opened()) if done is None else done.snapshot
        if newest is not None and (done is not None or newest.state == self._registry.state()):
            self._state, self.saved = newest.state, Saved(at=newest.manifest.taken_at)
        if done is not None and done.missing:
            _LOG.warning("%d files of the restored snapshot are lost; see doctor.", len(done.missing))

    def _failed(self, what: str, error: Exception) -> None:
        reason = next((text for kind, text in _REASONS if isinstance(error, kind)), "the log says why")
        if reason != self.saved.reason:
            known = isinstance(error, tuple(kind for kind, _ in _REASONS))
            _LOG.warning("%s: %s", what, error, exc_info=None if known else error)
        since = self.saved.failing_since or self._clock()
        self.saved = Saved(self.saved.at, since, reason)

    def _opened(self) -> SnapshotStore:
        if self._store is None:
            self._store = self._open_at(self._address)
        return self._store

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self.look()
        self.look(last=True)


def _is_empty(state: State) -> bool:
    return state.event is None and state.run is None


def saved_sentence(saved: Saved, now: datetime) -> str:
    """How well the registry is saved, in a sentence for the page."""
    if saved.failing_since is not None:
        since = "yet" if saved.at is None else f"since {saved.at:%Y-%m-%d %H:%M} UTC"
        return f"Not saved {since}: {saved.reason}."
    if saved.at is None:
        return "Nothing to save yet."
    return f"Last saved {_ago(now - saved.at)}."


def _ago(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    for size, unit in ((24 * 60, "day"), (60, "hour"), (1, "minute")):
        if (count := minutes // size) >= 1:
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return "just now"


def saver_of(settings: Settings, registry: Registry) -> Saver | None:
    """What saves the registry where the settings say; None where they say nothing."""
    if settings.snapshot_url is None:
        return None
    interval = timedelta(minutes=settings.snapshot_minutes)
    return Saver(
        registry,
        settings.snapshot_url,
        settings.snapshot_scratch,
        interval=interval,
        last_copy=settings.ephemeral,
    )
