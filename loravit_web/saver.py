"""Snapshots of the registry while the app runs, and their restoration on an empty disk.

Errors here do not stop the app: they are logged and shown on the page.
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
"""Seconds between two checks for changes."""
RETRY_AFTER = timedelta(minutes=1)
"""Time between two attempts after a failure."""
RESTORE_TRIES, RESTORE_SECONDS = 12, 5.0
"""Number of attempts to restore from storage that does not respond, and seconds between them."""
LAST_SECONDS = 20.0
"""Maximum time in seconds for the last snapshot. Storage that hangs must not keep the app from ending."""
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (BlobStoreFull, "the disk for snapshots is full"),
    (BlobNotStored, "the snapshot storage cannot be written"),
    (BlobMissing, "the snapshot storage cannot be read"),
    (BlobStoreUnreachable, "the snapshot storage does not respond"),
    (UnusableArtifactAddress, "the snapshot address is invalid"),
    (DatabaseTooNew, "the snapshots were made by a newer version of the app"),
    (
        SnapshotsOfAnother,
        "the snapshots belong to another registry; an empty data folder would restore them",
    ),
)
_LOG = logging.getLogger(__name__)


class RestoreFailed(LoraVitError):
    """An empty registry that could not be restored, and in which all changes would be lost."""


@dataclass(frozen=True)
class Saved:
    """How well the registry is saved.

    Attributes:
        at: Time of the newest snapshot, or None before the first.
        failing_since: Time since which saving or restoring fails, or None.
        reason: Reason of the failure without addresses or folders, which are in the log.
    """

    at: datetime | None = None
    failing_since: datetime | None = None
    reason: str = ""


class Saver:
    """Writes a snapshot after each change of the catalog, and periodically if only runs changed.

    Args:
        registry: Registry to save.
        address: Folder, or address for fsspec, of the snapshots.
        scratch: Folder for a temporary copy of the database.
        interval: Time between snapshots while only runs change.
        last_copy: Whether only the snapshots survive a restart.
        clock: Returns the current time.
        open_at: Opens the storage at an address.
        sleep: Waits for a number of seconds.
    """

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
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._registry, self._address, self._scratch = registry, address, scratch
        self._interval, self._clock, self._open_at = interval, clock, open_at
        self._last_copy, self._sleep = last_copy, sleep
        self._store: SnapshotStore | None = None
        self._damaged: frozenset[str] = frozenset()
        self._state: State | None = None
        self._tried_at = clock()
        self.saved = Saved()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="snapshots", daemon=True)

    def restore(self) -> RestoredSnapshot | None:
        """Fill an empty registry from the newest complete snapshot.

        Storage that does not respond is tried for a minute, because changes in the empty registry could not
        be saved beside the snapshots of the previous one.

        Returns:
            The restored snapshot, or None.

        Raises:
            RestoreFailed: If the storage does not respond and only snapshots survive a restart.
        """
        try:
            if self._scratch.exists():
                shutil.rmtree(self._scratch)  # remains of a killed app
            done = self._restored()
            self._take_over(done)
        except Exception as error:  # the app starts without the snapshot and reports it
            self._failed("Nothing was restored", error)
            if (
                self._last_copy
                and _is_empty(self._registry.state())
                and isinstance(error, BlobStoreUnreachable)
            ):
                raise RestoreFailed(
                    "The snapshot storage does not respond, and without it all changes would be lost at the "
                    "next restart. Start again later, or without LORAVIT_SNAPSHOT_URL."
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
                self._sleep(RESTORE_SECONDS)
            else:
                self.saved = Saved()
                return done
        raise AssertionError("the last try returns or raises")

    def start(self) -> None:
        """Start to save in the background."""
        self._thread.start()

    def close(self) -> None:
        """Save the last changes, unless that takes too long, and stop."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(LAST_SECONDS)
            if self._thread.is_alive():
                _LOG.warning("The last snapshot took too long and was cancelled.")

    def save_if_due(self, *, last: bool = False) -> None:
        """Write a snapshot if one is due.

        Args:
            last: Whether any change is due.
        """
        now = self._clock()
        try:
            state = self._registry.state()
            if state != self._state and (last or self._is_due(state, now)):
                self._save(now)
        except Exception as error:  # noqa: BLE001 - saving continues after any error, which is reported
            self._failed("The registry is not saved", error)

    def _is_due(self, state: State, now: datetime) -> bool:
        if _is_empty(state):
            return False  # not worth a snapshot
        if self.saved.failing_since is not None and now - self._tried_at < RETRY_AFTER:
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
        """Continue from the snapshot that was restored, or that equals the registry."""
        for skipped in done.skipped if done is not None else ():
            _LOG.warning("A snapshot was skipped: %s", skipped)
        self._damaged = done.damaged if done is not None else frozenset()
        newest = newest_snapshot(self._opened()) if done is None else done.snapshot
        if newest is not None and (done is not None or newest.state == self._registry.state()):
            self._state, self.saved = newest.state, Saved(at=newest.manifest.taken_at)
        if done is not None and done.missing:
            _LOG.warning("%d files of the restored snapshot are lost; see doctor.", len(done.missing))

    def _failed(self, what: str, error: Exception) -> None:
        reason = next((text for kind, text in _REASONS if isinstance(error, kind)), "see the log")
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
            self.save_if_due()
        self.save_if_due(last=True)


def _is_empty(state: State) -> bool:
    return state.event is None and state.run is None


def saved_sentence(saved: Saved, now: datetime) -> str:
    """Return a sentence for the page about how well the registry is saved."""
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
    """Return the saver for the settings, or None without a snapshot address."""
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
