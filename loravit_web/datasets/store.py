"""Imported datasets on disk: content-addressed images and a manifest, written completely or not at all."""

from __future__ import annotations

import builtins
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from loravit_web.datasets.assembly import assemble, find, settled
from loravit_web.datasets.errors import DatasetDamaged, DatasetNotFound
from loravit_web.datasets.ingestion import Ingested, ingest
from loravit_web.datasets.layout.plan import ClassLevel
from loravit_web.datasets.records import ImageDataset, relative_image_path
from loravit_web.datasets.revisions.extending import check_room, joined
from loravit_web.datasets.revisions.next import Draft, next_revision
from loravit_web.datasets.sources.archives import ArchiveLimits, archive_limits
from loravit_web.datasets.sources.csv_table.rows import FIND_COLUMNS, Columns
from loravit_web.datasets.sources.opening import Source, open_source
from loravit_web.datasets.stored.disk import copy, link_or_copy, storing_failed
from loravit_web.datasets.stored.finding import first_of, found_by, number_of
from loravit_web.datasets.stored.imports import (
    APP_IMPORTS,
    ImportRecord,
    named,
    read_import,
    read_imports,
    record_of,
)
from loravit_web.datasets.stored.manifest import (
    MANIFEST,
    check_images,
    read_complete,
    read_manifest,
)
from loravit_web.datasets.stored.placing import move_into_place
from loravit_web.datasets.stored.removal import TEMP_PREFIX, delete_folder, delete_import, sweep
from loravit_web.datasets.stored.uploaders import (
    UPLOADER_FILE,
    Uploader,
    read_uploader,
    uploaded_at,
)
from loravit_web.settings.limits import DEFAULTS, Limits
from loravit_web.settings.quota import Quota

if TYPE_CHECKING:  # they load SQLAlchemy
    from loravit_web.settings.environment import Settings

Progress = Callable[[float, str], None]
"""Called with a fraction from 0 to 1 and a sentence."""

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_REPORT_EVERY = 100


def _all_visible(_uploader: Uploader | None) -> bool:
    return True


def _unlimited(_size: int) -> None:
    """Allow any number of bytes."""


@dataclass(frozen=True, slots=True)
class DatasetStore:
    """A folder of datasets by fingerprint. Several processes can use it at once.

    Attributes:
        root: The folder.
        workers: Number of decoding threads, or None to choose by the number of cores.
        clock: Returns the time in seconds since the epoch.
        limits: Limits of an import; stored datasets stay usable if they change.
        quota: Limit of the data folder, or None.
        uploader: Visitor who owns what is imported, or None for the app.
        importer: Name of the person who imports, and by whose names stored datasets and their files are
            called if that person imported them; empty for the app.
        shows: Returns, by its uploader, whether a dataset is visible to the reader.
        on_stored: Called with the bytes that are stored; may raise an error to stop the import.
    """

    root: Path
    workers: int | None = None
    clock: Callable[[], float] = time.time
    limits: Limits = DEFAULTS
    quota: Quota | None = None
    uploader: Uploader | None = None
    importer: str = APP_IMPORTS
    shows: Callable[[Uploader | None], bool] = _all_visible
    on_stored: Callable[[int], None] = _unlimited

    @classmethod
    def of(cls, settings: Settings) -> DatasetStore:
        """Return all images that are stored in the data folder of these settings, under their limits."""
        return cls(settings.datasets, limits=settings.limits, quota=settings.quota)

    @property
    def archive_limits(self) -> ArchiveLimits:
        """Limits of one import."""
        return archive_limits(self.limits)

    def import_source(
        self,
        data: str | Path,
        *,
        name: str | None = None,
        progress: Progress | None = None,
        limits: ArchiveLimits | None = None,
        classes_at: ClassLevel = None,
        encoding: str | None = None,
        columns: Columns = FIND_COLUMNS,
    ) -> ImageDataset:
        """Import DATA: decode every image once, store the valid ones and list the others.

        The same images are the same dataset, whose images are stored once. Its title, file names and skipped
        files are those of the person's last import. After an error nothing is left behind.

        Args:
            data: A folder, a zip, a CSV, or ``sample:NAME``.
            name: Name of the dataset, or None for the name of the source.
            progress: Called from this thread; an error that it raises cancels the import.
            limits: Limits of the import, or None for those of the store.
            classes_at: Level of the class folders, or None to find it; see `interpret`.
            encoding: Encoding of the names in a zip that do not tell it, or None to find it.
            columns: Columns of a table that a person chose.

        Raises:
            DatasetError: If the images cannot be used or stored.
            QuotaReached: If the data folder is full.
        """
        with open_source(
            data,
            limits or self.archive_limits,
            classes_at=classes_at,
            encoding=encoding,
            columns=columns,
        ) as source:
            return self.import_opened(source, name=name, progress=progress)

    def import_opened(
        self, source: Source, *, name: str | None = None, progress: Progress | None = None
    ) -> ImageDataset:
        """Import an open source; see `import_source`."""
        source = settled(source, self.limits)
        with self._ingested(source, progress) as (ingested, temp):
            dataset = assemble(source, ingested, name, self.limits.classes, self._owner)
            return self._move_into_place(dataset, temp)

    def extend(
        self, dataset: ImageDataset, source: Source, *, progress: Progress | None = None
    ) -> ImageDataset:
        """Store the next revision of a dataset, with the images of an open source added.

        Args:
            dataset: Revision before.
            source: Source of the images, whose classes may be new.
            progress: Called from this thread; an error that it raises cancels the addition.

        Raises:
            DatasetError: If no image can be added, or the result cannot be stored.
            QuotaReached: If the data folder is full.
        """
        check_images(dataset)
        source = check_room(dataset, source, self.limits)
        with self._ingested(source, progress) as (ingested, temp):
            draft = joined(dataset, find(source, ingested), self.limits.classes)
            return self._store_revision(dataset, draft, temp, {})

    def derive(
        self, dataset: ImageDataset, draft: Draft, *, added: Mapping[str, Path] = MappingProxyType({})
    ) -> ImageDataset:
        """Store the next revision of a dataset. The files of images that it keeps are shared.

        If the same images were stored before, that revision is returned.

        Args:
            dataset: Revision before.
            draft: Classes and images of the new one.
            added: Files of images that the revision before does not have, by hash. They are copied.

        Raises:
            DatasetDamaged: If an image is missing.
            StoreUnwritable: If the data folder cannot be written.
            DiskFull: If no disk space is left.
        """
        check_images(dataset)
        with self._temporary() as temp:
            return self._store_revision(dataset, draft, temp, added)

    def find(self, text: str) -> ImageDataset:
        """Return the stored dataset whose fingerprint begins with a text, or whose title it is.

        Raises:
            DatasetNotFound: If no dataset or several datasets match.
            DatasetDamaged: If its manifest is damaged.
        """
        return self.load(self.resolve(text))

    def resolve(self, text: str) -> str:
        """Return the fingerprint of the stored dataset that `find` returns, which may be damaged.

        A title stands for its newest revision, and ``TITLE@2`` for revision 2.

        Raises:
            DatasetNotFound: If no dataset or several datasets match.
        """
        return found_by(text, self.list(), self.datasets)

    def datasets(self) -> Iterator[ImageDataset]:
        """Yield all visible datasets that are not damaged, by fingerprint."""
        for fingerprint in self.list():
            with suppress(DatasetDamaged, DatasetNotFound):  # the latter if it was just deleted
                yield self.load(fingerprint)

    def newest_revision(self, dataset: ImageDataset) -> ImageDataset:
        """Return the newest visible revision of the same data, which may be the dataset itself."""
        same = [one for one in self.datasets() if first_of(one) == first_of(dataset)]
        return max([dataset, *same], key=number_of)

    def imports(self, fingerprint: str) -> builtins.list[ImportRecord]:
        """Return the imports of a dataset by person; none if it was stored before importers were recorded.

        Raises:
            DatasetDamaged: If the names of an import are damaged.
        """
        return read_imports(self.root / fingerprint)

    def count_files(self, fingerprint: str) -> int:
        """Return the number of image files of a dataset, which may be damaged."""
        return sum(path.is_file() for path in (self.root / fingerprint).glob("images/*/*"))

    def imported_by(self, importer: str) -> DatasetStore:
        """Return the same store with the names of another person; see `importer`."""
        return replace(self, importer=importer)

    def load(self, fingerprint: str) -> ImageDataset:
        """Return a stored dataset with the names of the person's own import, else with those of the first.

        Raises:
            DatasetNotFound: If it does not exist or is not visible.
            DatasetDamaged: If its manifest is damaged.
        """
        if not self.has(fingerprint):
            raise DatasetNotFound(
                f"There is no stored dataset {fingerprint[:12]!r}. Import its images again."
            )
        folder = self.root / fingerprint
        dataset = read_manifest(folder, fingerprint)
        record = read_import(folder, self.importer)
        return dataset if record is None else named(dataset, record)

    def has(self, fingerprint: str) -> bool:
        """Return whether a dataset exists and is visible, without reading it."""
        folder = self.root / fingerprint
        known = _FINGERPRINT.fullmatch(fingerprint) is not None and (folder / MANIFEST).is_file()
        return known and self.shows(read_uploader(folder))

    def sweep(self, older_than: float) -> int:
        """Remove the remains of interrupted imports and removals.

        Args:
            older_than: Age in seconds of the last write from which an import counts as interrupted.

        Returns:
            The number of removed folders.
        """
        return sweep(self.root, self.clock() - older_than)

    def list(self) -> builtins.list[str]:
        """Return the fingerprints of all visible datasets, sorted."""
        return sorted(
            folder.parent.name
            for folder in self.root.glob(f"*/{MANIFEST}")
            if _FINGERPRINT.fullmatch(folder.parent.name) and self.shows(read_uploader(folder.parent))
        )

    def uploaders(self) -> dict[str, Uploader]:
        """Return the uploader of each dataset that belongs to a visitor, by fingerprint."""
        folders = [path.parent for path in self.root.glob(f"*/{UPLOADER_FILE}")]
        uploaders = {one.name: read_uploader(one) for one in folders if _FINGERPRINT.fullmatch(one.name)}
        return {fingerprint: uploader for fingerprint, uploader in uploaders.items() if uploader is not None}

    def uploaded_at(self, fingerprint: str) -> float:
        """Return the time of the last upload of a dataset, in seconds since the epoch."""
        return uploaded_at(self.root / fingerprint)

    def remove(self, fingerprint: str) -> None:
        """Delete a dataset if it is a visitor's.

        Raises:
            StoreUnwritable: If the images cannot be deleted.
        """
        if read_uploader(self.root / fingerprint) is not None:
            self.delete(fingerprint)

    def delete(self, fingerprint: str, *, importer: str | None = None) -> None:
        """Delete a dataset, or one person's import of it; the images are deleted with the last import.

        If the process is killed meanwhile, `sweep` completes the deletion.

        Args:
            fingerprint: Fingerprint of the dataset.
            importer: Name of the person, or None to delete the imports of all.

        Raises:
            DatasetDamaged: If only an import is deleted, and the dataset is damaged.
            StoreUnwritable: If it cannot be deleted.
        """
        folder = self.root / fingerprint
        if importer is None:
            delete_folder(folder)
        else:
            delete_import(folder, importer)

    @property
    def _owner(self) -> str | None:
        return self.uploader.name if self.uploader is not None else None

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        """Yield a new folder in the store, which is removed afterwards unless it was moved away.

        Raises:
            StoreUnwritable: If the data folder cannot be written.
            DiskFull: If no disk space is left.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            temp = Path(tempfile.mkdtemp(prefix=TEMP_PREFIX, dir=self.root))
            try:
                yield temp
            finally:
                shutil.rmtree(temp, ignore_errors=True)
        except OSError as error:
            raise storing_failed(error) from error

    @contextmanager
    def _ingested(
        self, source: Source, progress: Progress | None
    ) -> Iterator[tuple[builtins.list[Ingested], Path]]:
        room = self.quota.free_bytes() if self.quota else None
        with self._temporary() as temp:
            yield self._ingest(source, temp, progress, room), temp

    def _store_revision(
        self, dataset: ImageDataset, draft: Draft, temp: Path, added: Mapping[str, Path]
    ) -> ImageDataset:
        number = number_of(self.newest_revision(dataset)) + 1
        revised = next_revision(dataset, draft, number, self._owner)
        if self.has(revised.fingerprint):  # such as after a correction and its opposite
            with suppress(DatasetDamaged):
                read_complete(self.root / revised.fingerprint, revised.fingerprint)
                if read_import(self.root / revised.fingerprint, self.importer) is not None:
                    return self.load(revised.fingerprint)
        for item in {item.sha256: item for item in revised.items}.values():
            target = temp / relative_image_path(item.sha256, item.suffix)
            if item.sha256 in added:
                self.on_stored(added[item.sha256].stat().st_size)
                copy(added[item.sha256], target)
            elif not target.exists():
                link_or_copy(dataset.image_path(item), target)
        return self._move_into_place(revised, temp)

    def _ingest(
        self, source: Source, temp: Path, progress: Progress | None, room: int | None
    ) -> builtins.list[Ingested]:
        placements = source.plan.placements
        workers = self.workers or min(8, max(2, os.cpu_count() or 2))
        ingested: builtins.list[Ingested] = []
        stored = 0
        reading = ingest(placements, source.read, temp, workers, max_pixels=self.limits.pixels)
        with closing(reading) as results:
            for result in results:
                ingested.append(result)
                stored += result.size
                self.on_stored(result.size)
                if self.quota is not None and room is not None and stored > room:
                    raise self.quota.error()
                if progress is not None and (
                    len(ingested) % _REPORT_EVERY == 0 or len(ingested) == len(placements)
                ):
                    progress(
                        len(ingested) / len(placements), f"Read {len(ingested)} of {len(placements)} images"
                    )
        return ingested

    def _move_into_place(self, dataset: ImageDataset, temp: Path) -> ImageDataset:
        """Move a complete import to its place, or return the dataset that is already there."""
        record = record_of(dataset, self.importer, self.clock())
        return move_into_place(dataset, temp, record, self.uploader, self.on_stored)
