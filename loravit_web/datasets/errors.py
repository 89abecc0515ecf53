"""Why a set of images cannot be imported or found: one class per cause."""

from __future__ import annotations

from loravit_web.errors import LoraVitError

LAYOUT_HINT = (
    "put the images of each class into a folder of its own, such as cats/1.jpg and dogs/2.jpg, "
    "optionally inside train/ and test/"
)
"""The expected layout in words, for the end of a sentence."""


class DatasetError(LoraVitError):
    """A set of images that cannot be used as it is."""


class DataNotFound(DatasetError):
    """Nothing exists under the given name."""


class DataNotSupported(DatasetError):
    """Neither a folder, a zip, a CSV nor a sample."""


class UnknownSample(DatasetError):
    """No built-in sample has this name."""


class CardIncomplete(DatasetError):
    """Images of a class that has no name."""


class HubPackageMissing(DatasetError):
    """The package that reads the Hub is not installed."""


class HubDatasetUnusable(DatasetError):
    """A dataset of the Hub that can't be fetched or holds no labelled images."""


class InvalidCsv(DatasetError):
    """A CSV that cannot be understood; the message names the line."""


class CsvPathOutside(InvalidCsv):
    """A CSV row that points out of the folder of the CSV."""


class ArchiveError(DatasetError):
    """An archive that is refused as a whole."""


class DamagedArchive(ArchiveError):
    """Not a zip, or a zip whose content cannot be read."""


class UnsafeArchivePath(ArchiveError):
    """An entry whose path is absolute or climbs out of the archive."""


class ArchiveLink(ArchiveError):
    """An entry that is a link or a device instead of a file."""


class EncryptedArchive(ArchiveError):
    """An entry that needs a password."""


class ArchiveTooLarge(ArchiveError):
    """More bytes than allowed, or a suspicious compression ratio."""


class TooManyEntries(ArchiveError):
    """More files than allowed."""


class DuplicateEntry(ArchiveError):
    """Two entries with the same path."""


class LayoutError(DatasetError):
    """Folders that do not form classes."""


class AmbiguousLayout(LayoutError):
    """Split folders and class folders side by side."""


class TooFewClasses(LayoutError):
    """Fewer than two classes."""


class TooManyClasses(LayoutError):
    """More classes than one head is meant for."""


class TooManyImages(LayoutError):
    """More images than one dataset may have."""


class ClassNameTooLong(LayoutError):
    """A class name that no list could show."""


class ClassWithoutTraining(LayoutError):
    """A class of the validation or test images that training never sees."""


class ClassTooSmall(LayoutError):
    """A class with fewer than two usable training images."""


class DatasetNotFound(DatasetError):
    """No stored dataset has this fingerprint."""


class DatasetDamaged(DatasetError):
    """A stored dataset whose manifest does not match its fingerprint."""


class DiskFull(DatasetError):
    """No room left to store the images."""


class StoreUnwritable(DatasetError):
    """The data folder refuses writing for another reason than space."""
