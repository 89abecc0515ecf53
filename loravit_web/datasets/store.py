"""Imported datasets on disk: content-addressed images, one manifest, all or nothing."""

from __future__ import annotations

import builtins
import errno
import os
import re
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from loravit_web.datasets.errors import (
    DatasetDamaged,
    DatasetNotFound,
    DiskFull,
    StoreUnwritable,
    TooManyImages,
)
from loravit_web.datasets.givers import GIVER, Giver, given_again, given_at, read_giver, write_giver
from loravit_web.datasets.intake import Taken, take_in
from loravit_web.datasets.manifest import MANIFEST, check_images, read_manifest, read_whole, write_manifest
from loravit_web.datasets.records import ImageDataset, ImageItem, Skipped, fingerprint_of, relative_image_path
from loravit_web.datasets.sources.archives import ArchiveLimits, archive_limits
from loravit_web.datasets.sources.opening import Source, open_source
from loravit_web.datasets.sources.scan import check_classes, sorted_classes, suffix_of
from loravit_web.settings.limits import DEFAULTS, Limits
from loravit_web.settings.quota import Quota
from loravit_web.util.text import clean_text

if TYPE_CHECKING:  # they load SQLAlchemy
    from loravit_web.settings.environment import Settings

Progress = Callable[[float, str], None]

MAX_NAME = 80

_TEMP_PREFIX = ".import-"
_REMOVED_PREFIX = f"{_TEMP_PREFIX}removed-"
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_ALREADY_THERE = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV, errno.ENOSYS})
_REPORT_EVERY = 100


def _everything(_giver: Giver | None) -> bool:
    return True


def _for_free(_size: int) -> None:
    """Let any number of bytes be stored."""


@dataclass(frozen=True, slots=True)
class DatasetStore:
    """A folder of datasets by fingerprint; many processes may use it at once.

    `limits` and `quota` hold for what is imported; what is stored already stays usable. What is imported
    belongs to the visitor `giver`, or to the app where there is none. `shows` says, by who gave it, whether a
    dataset exists for the reader. `spend` is told of the bytes that are stored, and may refuse them.
    """

    root: Path
    workers: int | None = None
    clock: Callable[[], float] = time.time
    limits: Limits = DEFAULTS
    quota: Quota | None = None
    giver: Giver | None = None
    shows: Callable[[Giver | None], bool] = _everything
    spend: Callable[[int], None] = _for_free

    @classmethod
    def of(cls, settings: Settings) -> DatasetStore:
        """Return all images that are stored in the data folder of these settings, under their limits."""
        return cls(settings.datasets, limits=settings.limits, quota=settings.quota)

    @property
    def archive_limits(self) -> ArchiveLimits:
        """How much one import may hold."""
        return archive_limits(self.limits)

    def import_source(
        self,
        data: str | Path,
        *,
        name: str | None = None,
        progress: Progress | None = None,
        limits: ArchiveLimits | None = None,
    ) -> ImageDataset:
        """Import DATA: decode every image once, store what is good, list what is not.

        `progress(fraction, sentence)` is called now and then from the caller's thread; an
        exception it raises cancels the import. Importing the same images again returns the stored
        dataset with this import's `skipped`. Raises a DatasetError or QuotaReached, and
        leaves nothing behind then.
        """
        with open_source(data, limits or self.archive_limits) as source:
            return self.import_opened(source, name=name, progress=progress)

    def import_opened(
        self, source: Source, *, name: str | None = None, progress: Progress | None = None
    ) -> ImageDataset:
        """As import_source, for a source that is open."""
        self._check_plan(source)
        room = self.quota.room() if self.quota else None
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            temp = Path(tempfile.mkdtemp(prefix=_TEMP_PREFIX, dir=self.root))
        except OSError as error:
            raise _storing_failed(error) from error
        try:
            taken = self._take_in(source, temp, progress, room)
            dataset = _assemble(source, taken, name, self.limits.classes, self._owner)
            return self._settle(dataset, temp)
        except OSError as error:
            raise _storing_failed(error) from error
        finally:
            shutil.rmtree(temp, ignore_errors=True)

    def derive(
        self, dataset: ImageDataset, classes: Sequence[str], items: Sequence[ImageItem], name: str
    ) -> ImageDataset:
        """Store a dataset made of images of another one; the images themselves are shared.

        Raises DatasetDamaged if one is lost, StoreUnwritable or DiskFull; nothing is left behind then.
        """
        check_images(dataset)
        derived = replace(
            dataset,
            name=clean_text(name)[:MAX_NAME],
            classes=tuple(classes),
            items=tuple(items),
            skipped=(),
            warnings=_overlaps(items),
            fingerprint=fingerprint_of(classes, items, self._owner),
            owner=self._owner,
        )
        try:
            temp = Path(tempfile.mkdtemp(prefix=_TEMP_PREFIX, dir=self.root))
            try:
                for item in {item.sha256: item for item in items}.values():
                    _share(dataset.image_path(item), temp / relative_image_path(item.sha256, item.suffix))
                return self._settle(derived, temp)
            finally:
                shutil.rmtree(temp, ignore_errors=True)
        except OSError as error:
            raise _storing_failed(error) from error

    def find(self, prefix: str) -> ImageDataset:
        """The stored dataset whose fingerprint begins so; DatasetNotFound if none or several do."""
        found = [one for one in self.list() if prefix and one.startswith(prefix)]
        if len(found) != 1:
            how = "Several stored datasets begin" if found else "No stored dataset begins"
            raise DatasetNotFound(
                f"{how} with {prefix[:64]!r}; give more of the fingerprint or import again."
            )
        return self.load(found[0])

    def load(self, fingerprint: str) -> ImageDataset:
        """The stored dataset; DatasetNotFound if there is none, DatasetDamaged if it is not whole."""
        folder = self.root / fingerprint
        known = _FINGERPRINT.fullmatch(fingerprint) is not None and (folder / MANIFEST).is_file()
        if not known or not self.shows(read_giver(folder)):
            raise DatasetNotFound(
                f"There is no stored dataset {fingerprint[:12]!r}; import its images again."
            )
        return read_manifest(folder, fingerprint)

    def sweep(self, older_than: float) -> int:
        """Remove temp folders that nothing was written to for `older_than` seconds, and what was being
        removed; how many.
        """
        limit = self.clock() - older_than
        abandoned = [
            temp
            for temp in self.root.glob(f"{_TEMP_PREFIX}*")
            if temp.name.startswith(_REMOVED_PREFIX) or _last_write(temp) < limit
        ]
        for temp in abandoned:
            shutil.rmtree(temp, ignore_errors=True)
        return len(abandoned)

    def list(self) -> builtins.list[str]:
        """Fingerprints of all stored datasets, sorted."""
        return sorted(
            folder.parent.name
            for folder in self.root.glob(f"*/{MANIFEST}")
            if _FINGERPRINT.fullmatch(folder.parent.name) and self.shows(read_giver(folder.parent))
        )

    def given(self) -> dict[str, Giver]:
        """Who gave each stored dataset that is a visitor's, by fingerprint."""
        folders = [path.parent for path in self.root.glob(f"*/{GIVER}")]
        givers = {one.name: read_giver(one) for one in folders if _FINGERPRINT.fullmatch(one.name)}
        return {fingerprint: giver for fingerprint, giver in givers.items() if giver is not None}

    def given_at(self, fingerprint: str) -> float:
        """When a visitor gave a dataset last, in seconds since the epoch."""
        return given_at(self.root / fingerprint)

    def remove(self, fingerprint: str) -> None:
        """Remove a visitor's dataset for good; killed on the way, `sweep` goes on with it.

        StoreUnwritable if its images can't be removed.
        """
        folder, temp = self.root / fingerprint, self.root / f"{_REMOVED_PREFIX}{uuid4().hex}"
        if read_giver(folder) is None:
            return
        try:
            folder.rename(temp)
            shutil.rmtree(temp)
        except FileNotFoundError:
            return  # another process does it
        except OSError as error:
            raise _storing_failed(error) from error

    @property
    def _owner(self) -> str | None:
        return self.giver.name if self.giver is not None else None

    def _check_plan(self, source: Source) -> None:
        placements = source.plan.placements
        if len(placements) > self.limits.images:
            raise TooManyImages(
                f"These are {len(placements)} images, over the limit of {self.limits.images}; leave some out."
            )
        placed = ((one.split, one.class_name) for one in placements)
        check_classes(placed, left_out=source.plan.skipped, most=self.limits.classes)

    def _take_in(
        self, source: Source, temp: Path, progress: Progress | None, room: int | None
    ) -> builtins.list[Taken]:
        placements = source.plan.placements
        workers = self.workers or min(8, max(2, os.cpu_count() or 2))
        taken: builtins.list[Taken] = []
        stored = 0
        reading = take_in(placements, source.read, temp, workers, max_pixels=self.limits.pixels)
        with closing(reading) as results:
            for result in results:
                taken.append(result)
                stored += result.size
                self.spend(result.size)
                if self.quota is not None and room is not None and stored > room:
                    raise self.quota.reached()
                if progress is not None and (
                    len(taken) % _REPORT_EVERY == 0 or len(taken) == len(placements)
                ):
                    progress(len(taken) / len(placements), f"Read {len(taken)} of {len(placements)} images")
        return taken

    def _settle(self, dataset: ImageDataset, temp: Path) -> ImageDataset:
        """Move a complete import to its place, or return the one that is there already."""
        final = self.root / dataset.fingerprint
        write_manifest(dataset, temp)
        if self.giver is not None:
            write_giver(temp, self.giver)
        self.spend((temp / MANIFEST).stat().st_size)
        try:
            temp.rename(final)
        except OSError as error:
            if error.errno not in _ALREADY_THERE:
                raise
            try:
                known = replace(read_whole(final, dataset.fingerprint), skipped=dataset.skipped)
                if self.giver is not None:
                    given_again(final, self.giver)
                return known
            except DatasetDamaged:
                damaged = temp.with_name(f"{temp.name}-damaged")
                final.rename(damaged)
                temp.rename(final)
                shutil.rmtree(damaged, ignore_errors=True)
        _sync_folder(self.root)
        return replace(dataset, root=final)


def _assemble(
    source: Source, taken: Sequence[Taken], name: str | None, most_classes: int, owner: str | None
) -> ImageDataset:
    """The dataset that the good candidates form; LayoutError if too few are left."""
    skipped = [Skipped(one.placement.path, one.reason) for one in taken if one.reason]
    good = [one for one in taken if not one.reason]
    classes = sorted_classes(one.placement.class_name for one in good)
    label_of = {class_name: label for label, class_name in enumerate(classes)}
    first: dict[tuple[str, int, str], ImageItem] = {}
    for one in good:
        place = one.placement
        suffix = suffix_of(place.path)
        item = ImageItem(place.path, place.split, label_of[place.class_name], one.sha256, suffix)
        kept = first.setdefault((item.split, item.label, item.sha256), item)
        if kept is not item:
            skipped.append(Skipped(item.path, f"it is a duplicate of {kept.path}"))
    items = tuple(first.values())
    check_classes(
        ((item.split, classes[item.label]) for item in items),
        left_out=skipped,
        most=most_classes,
    )
    return ImageDataset(
        name=clean_text(name or source.name)[:MAX_NAME],
        source_kind=source.kind,
        classes=classes,
        items=items,
        skipped=tuple(sorted([*source.plan.skipped, *skipped], key=lambda entry: entry.path)),
        warnings=_overlaps(items),
        fingerprint=fingerprint_of(classes, items, owner),
        root=Path(),
        owner=owner,
    )


def _overlaps(items: Sequence[ImageItem]) -> tuple[str, ...]:
    splits: defaultdict[str, set[str]] = defaultdict(set)
    labels: defaultdict[str, set[int]] = defaultdict(set)
    for item in items:
        splits[item.sha256].add(item.split)
        labels[item.sha256].add(item.label)
    leaked = sum(len(found) > 1 for found in splits.values())
    torn = sum(len(found) > 1 for found in labels.values())
    warnings = []
    if leaked:
        warnings.append(
            f"{leaked} image(s) appear in more than one of train, val and test, so the measured accuracy "
            "will be too high."
        )
    if torn:
        warnings.append(
            f"{torn} image(s) appear under more than one class, so no model can get them all right."
        )
    return tuple(warnings)


def _share(source: Path, target: Path) -> None:
    """The same file at a second place; a copy of it where the file system knows no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)


def _storing_failed(error: OSError) -> DiskFull | StoreUnwritable:
    if error.errno in _NO_SPACE:
        return DiskFull("The disk is full, so the images were not imported; free some space and try again.")
    reason = os.strerror(error.errno).lower() if error.errno else "unknown reason"
    return StoreUnwritable(
        f"The data folder cannot be written ({reason}), so nothing was imported; check its permissions."
    )


def _last_write(temp: Path) -> float:
    """When anything was last added; folders carry the time, so images need not be looked at."""
    try:
        return max(folder.stat().st_mtime for folder in (temp, *temp.glob("images"), *temp.glob("images/*")))
    except FileNotFoundError:
        # Its own process has just renamed or removed it: in use, not abandoned.
        return float("inf")


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system lets folders be opened."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
