"""Pools on disk: a folder per task, with images by content and a small file for what is known of each.

A file per image, so that several people and processes can decide at once and none overwrites another.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loravit_web.datasets.errors import DatasetError
from loravit_web.datasets.ingestion import ingest
from loravit_web.datasets.pool.record import PoolImage, PoolSummary
from loravit_web.datasets.records import Skipped, relative_image_path
from loravit_web.datasets.sources.opening import Source
from loravit_web.datasets.stored.disk import deleting_failed, storing_failed
from loravit_web.settings.limits import DEFAULTS, Limits
from loravit_web.settings.quota import Quota
from loravit_web.util.files import write_atomic
from loravit_web.util.text import plural

if TYPE_CHECKING:  # it loads SQLAlchemy
    from loravit_web.settings.environment import Settings

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HASH = re.compile(r"[0-9a-f]{64}")
_COLLECTING = "collecting"
DAY_SECONDS = 24 * 3600.0


class PoolFull(DatasetError):
    """A pool with the maximum number of images."""


class PoolImageNotFound(DatasetError):
    """An image that a pool does not have."""


@dataclass(frozen=True, slots=True)
class Added:
    """What was added to a pool.

    Attributes:
        images: The new images.
        known: Number of images that the pool had already.
        skipped: Files that were skipped.
    """

    images: tuple[PoolImage, ...]
    known: int
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class PoolStore:
    """The pools of all tasks. Several processes can use it at once.

    Attributes:
        root: Folder with a folder per task.
        limits: Limits of a pool.
        quota: Limit of the data folder, or None.
        clock: Returns the time in seconds since the epoch.
        workers: Number of decoding threads.
    """

    root: Path
    limits: Limits = DEFAULTS
    quota: Quota | None = None
    clock: Callable[[], float] = time.time
    workers: int = 2

    @classmethod
    def of(cls, settings: Settings) -> PoolStore:
        """Return the pools in the data folder of these settings, under their limits."""
        return cls(settings.pools, settings.limits, settings.quota)

    def tasks(self) -> list[str]:
        """Return the tasks that have a pool, sorted."""
        return sorted(folder.name for folder in self.root.glob("*") if _NAME.fullmatch(folder.name))

    def images(self, task: str) -> list[PoolImage]:
        """Return the images of a pool, in the order in which they came; damaged entries are left out.

        Images that were kept from requests longer ago than the limit are deleted first.
        """
        found = []
        for path in self._folder(task).glob("entries/*.json"):
            with suppress(OSError, ValueError, TypeError):
                found.append(PoolImage.from_json(json.loads(path.read_text(encoding="utf-8"))))
        oldest = self.clock() - self.limits.collected_days * DAY_SECONDS
        expired = [one.sha256 for one in found if one.origin == "use" and one.added_at < oldest]
        if expired:
            self.remove(task, expired)
        kept = [one for one in found if one.sha256 not in set(expired)]
        return sorted(kept, key=lambda one: (one.added_at, one.path, one.sha256))

    def summary(self, task: str) -> PoolSummary:
        """Return a pool in numbers; all are 0 for a task without a pool."""
        images = self.images(task)
        return PoolSummary(
            task=task,
            images=len(images),
            open=sum(one.is_open for one in images),
            confirmed=sum(one.label is not None for one in images),
            skipped=sum(one.is_skipped for one in images),
            from_use=sum(one.origin == "use" for one in images),
            is_collecting=self.is_collecting(task),
        )

    def image_path(self, task: str, image: PoolImage) -> Path:
        """Return the file of an image."""
        return self._folder(task) / relative_image_path(image.sha256, image.suffix)

    def find(self, task: str, text: str) -> PoolImage:
        """Return the image whose hash begins with a text, or whose path it is.

        Raises:
            PoolImageNotFound: If none or several match.
        """
        images = self.images(task)
        found = [one for one in images if text and one.sha256.startswith(text)]
        found = found or [one for one in images if text and one.path == text]
        if len(found) != 1:
            problem = "Several images are" if found else "There is no image"
            raise PoolImageNotFound(
                f"{problem} called “{text[:64]}” in the pool of {task}. Use the beginning of its hash."
            )
        return found[0]

    def add(
        self,
        task: str,
        source: Source,
        *,
        by: str,
        progress: Callable[[float, str], None] | None = None,
    ) -> Added:
        """Add the images of an open source to a pool. Every image is decoded once.

        Args:
            task: Slug of the task.
            source: Source of images without labels.
            by: Name of the user.
            progress: Called with a fraction and a sentence; may raise an error to stop.

        Raises:
            PoolFull: If the pool would have too many images.
            QuotaReached: If the data folder is full.
            StoreUnwritable: If the data folder cannot be written.
            DiskFull: If no disk space is left.
        """
        if self.quota is not None:
            self.quota.free_bytes()
        placements, folder = source.plan.placements, self._folder(task)
        known = {one.sha256 for one in self.images(task)}
        if len(known) + len(placements) > self.limits.pool_images:
            raise PoolFull(
                f"The pool of {task} has {plural(len(known), 'image')}, and its limit is "
                f"{self.limits.pool_images}. Add fewer than {len(placements)} images, or confirm some first."
            )
        added: dict[str, PoolImage] = {}
        skipped, count = list(source.plan.skipped), 0
        try:
            reading = ingest(placements, source.read, folder, self.workers, max_pixels=self.limits.pixels)
            with closing(reading) as results:
                for done, one in enumerate(results, start=1):
                    path = one.placement.path
                    if one.reason:
                        skipped.append(Skipped(path, one.reason))
                    elif one.sha256 in known or one.sha256 in added:
                        count += 1
                    else:
                        suffix = Path(path).suffix.lower()
                        image = PoolImage(one.sha256, suffix, path, "upload", self.clock(), by)
                        self._write(task, image)
                        added[one.sha256] = image
                    if progress is not None:
                        progress(done / len(placements), f"Read {done} of {len(placements)} images")
        except OSError as error:
            raise storing_failed(error) from error
        return Added(tuple(added.values()), count, tuple(skipped))

    def keep(self, task: str, content: bytes, sha256: str, suffix: str) -> bool:
        """Keep an image of a request, in place of the oldest ones if there are too many.

        Args:
            task: Slug of the task.
            content: The image as a file.
            sha256: Hash of the file.
            suffix: File suffix in lower case.

        Returns:
            Whether it is new.

        Raises:
            OSError: If it cannot be written.
        """
        images = self.images(task)
        if any(one.sha256 == sha256 for one in images):
            return False
        collected = [one for one in images if one.origin == "use" and one.is_open]
        surplus = len(collected) + 1 - self.limits.collected_images
        if surplus > 0:
            self.remove(task, [one.sha256 for one in collected[:surplus]])
        image = PoolImage(sha256, suffix, f"{sha256[:12]}{suffix}", "use", self.clock(), "")
        path = self.image_path(task, image)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
        self._write(task, image)
        return True

    def decide(
        self, task: str, sha256: str, label: str | None, *, by: str, is_skipped: bool = False
    ) -> PoolImage:
        """Record the label that a person confirmed, or that the person skipped the image.

        Args:
            task: Slug of the task.
            sha256: Hash of the image.
            label: The class, or None for no decision.
            by: Name of the person.
            is_skipped: Whether the person skipped the image.

        Returns:
            The image as it is recorded.

        Raises:
            PoolImageNotFound: If there is no such image.
            StoreUnwritable: If the data folder cannot be written.
            DiskFull: If no disk space is left.
        """
        image = self.find(task, sha256)
        confirmed_by = by if label is not None or is_skipped else None
        decided = replace(image, label=label, confirmed_by=confirmed_by, is_skipped=is_skipped)
        try:
            self._write(task, decided)
        except OSError as error:
            raise storing_failed(error) from error
        return decided

    def remove(self, task: str, hashes: Sequence[str] | None = None) -> int:
        """Delete images of a pool, or the whole pool, and return the number of deleted images.

        Args:
            task: Slug of the task.
            hashes: Hashes of the images, or None for the whole pool.

        Raises:
            StoreUnwritable: If they cannot be deleted.
        """
        folder = self._folder(task)
        try:
            if hashes is None:
                count = len(list(folder.glob("entries/*.json")))
                if folder.exists():
                    shutil.rmtree(folder)
                return count
            count = 0
            for sha256 in {sha256 for sha256 in hashes if _HASH.fullmatch(sha256)}:
                for path in folder.glob(f"images/{sha256[:2]}/{sha256}*"):
                    path.unlink(missing_ok=True)
                    count += 1
                (folder / "entries" / f"{sha256}.json").unlink(missing_ok=True)
            return count
        except OSError as error:
            raise deleting_failed(error) from error

    def is_collecting(self, task: str) -> bool:
        """Return whether images of requests are kept."""
        return (self._folder(task) / _COLLECTING).exists()

    def collect(self, task: str, on: bool) -> None:
        """Switch the keeping of images of requests on or off. Images that were kept stay.

        Raises:
            StoreUnwritable: If the data folder cannot be written.
            DiskFull: If no disk space is left.
        """
        mark = self._folder(task) / _COLLECTING
        try:
            if on:
                mark.parent.mkdir(parents=True, exist_ok=True)
                mark.touch()
            else:
                mark.unlink(missing_ok=True)
        except OSError as error:
            raise storing_failed(error) from error

    def ranking(self, task: str) -> Mapping[str, object]:
        """Return the stored ranking of a pool, or nothing; see `serving.pool_ranking`."""
        try:
            document = json.loads((self._folder(task) / "ranking.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}

    def store_ranking(self, task: str, document: Mapping[str, object]) -> None:
        """Store the ranking of a pool; it can be computed again.

        Raises:
            OSError: If it cannot be written.
        """
        write_atomic(self._folder(task) / "ranking.json", json.dumps(document).encode())

    def _folder(self, task: str) -> Path:
        if not _NAME.fullmatch(task):
            raise PoolImageNotFound(f"“{task[:64]}” is not the name of a task. Use one of the catalog.")
        return self.root / task

    def _write(self, task: str, image: PoolImage) -> None:
        path = self._folder(task) / "entries" / f"{image.sha256}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(image.as_json()).encode())
