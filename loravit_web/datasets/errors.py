"""Errors of datasets, one class per cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loravit_web.errors import LoraVitError

if TYPE_CHECKING:
    from loravit_web.datasets.layout.plan import Level

LAYOUT_HINT = (
    "Put the images of each class into a folder of its own, such as cats/1.jpg and dogs/2.jpg, "
    "optionally inside train/ and test/."
)
"""The expected layout as a sentence."""


class DatasetError(LoraVitError):
    """A set of images that cannot be used."""


class DataNotFound(DatasetError):
    """A name for which no folder, file or dataset exists."""


class DataNotSupported(DatasetError):
    """A file that is not a zip and not a CSV."""


class UnknownSample(DatasetError):
    """A name that no sample dataset has."""


class CardIncomplete(DatasetError):
    """Images for a class without a name."""


class HubPackageMissing(DatasetError):
    """The package that reads datasets from the Hub is not installed."""


class HubDatasetUnusable(DatasetError):
    """A dataset of the Hub that cannot be loaded or has no labeled images."""


class InvalidCsv(DatasetError):
    """An invalid CSV; the message names the line."""


class NoLabelColumns(InvalidCsv):
    """A table whose columns are not those of paths and labels."""


class LabelColumnUnclear(InvalidCsv):
    """A table of which several columns can be that of the labels."""


class ColumnNotFound(InvalidCsv):
    """A column that a person chose, and that the table does not have."""


class CsvPathOutside(InvalidCsv):
    """A path in a table that leads outside the folder of the table."""


class ParquetPackageMissing(DatasetError):
    """The package that reads Parquet files is not installed."""


class InvalidParquet(DatasetError):
    """A Parquet file that is damaged, or has no columns of images and labels."""


class InvalidAnnotations(DatasetError):
    """A JSON file of labels that cannot be read."""


class NoAnnotations(InvalidAnnotations):
    """A JSON file without labels of images."""


class ArchiveError(DatasetError):
    """An archive that is rejected as a whole."""


class DamagedArchive(ArchiveError):
    """A file that is not a zip, or a zip that cannot be read."""


class UnsafeArchivePath(ArchiveError):
    """An archive entry with an absolute path, or one that leaves the archive."""


class ArchiveLink(ArchiveError):
    """An archive entry that is a link or a device."""


class EncryptedArchive(ArchiveError):
    """An archive entry that needs a password."""


class ArchiveTooLarge(ArchiveError):
    """An archive with too many bytes or a suspicious compression ratio."""


class TooManyEntries(ArchiveError):
    """A source with too many files."""


class DuplicateEntry(ArchiveError):
    """Two archive entries with the same path."""


class LayoutError(DatasetError):
    """Folders that do not form classes."""


class AmbiguousLayout(LayoutError):
    """Folders that can be read in several ways.

    Attributes:
        levels: Levels to choose from.
    """

    def __init__(self, sentence: str, levels: Sequence[Level] = ()) -> None:
        super().__init__(sentence)
        self.levels = tuple(levels)


class LevelNotFound(LayoutError):
    """A level of class folders at which there is no folder."""


class TooFewClasses(LayoutError):
    """A dataset with fewer than two classes."""


class TooManyClasses(LayoutError):
    """A dataset with more classes than allowed."""


class TooManyImages(LayoutError):
    """A dataset with more images than allowed."""


class ClassNameTooLong(LayoutError):
    """A class name that is too long to display."""


class ClassWithoutTraining(LayoutError):
    """A class with validation or test images but no training images."""


class ClassTooSmall(LayoutError):
    """A class with fewer than two usable training images."""


class DatasetNotFound(DatasetError):
    """A fingerprint that no stored dataset has."""


class DatasetDamaged(DatasetError):
    """A stored dataset whose manifest does not match its fingerprint, or whose images are missing."""


class NotExportable(DatasetError):
    """A dataset that a form of an export cannot hold."""


class DiskFull(DatasetError):
    """No disk space is left to store the images."""


class StoreUnwritable(DatasetError):
    """The data folder cannot be written for a reason other than space."""
