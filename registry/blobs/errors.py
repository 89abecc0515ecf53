"""Errors of the artifact store; see `registry.errors`."""

from pathlib import PurePosixPath

from registry.errors import ASK_OPERATOR, RegistryError


class BlobMissing(RegistryError):
    """A file that the catalog lists is not in the artifact store, or cannot be read there."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The stored file {self.where} cannot be read ({self.reason}). "
            "Restore it from a backup or publish the adapter again."
        )

    @property
    def in_public(self) -> str:
        """The text for visitors, which names the file only by its hash."""
        return (
            f"The stored file {_name(self.where)} cannot be read. "
            "Restore it from a backup or publish the adapter again."
        )


class BlobDamaged(RegistryError):
    """The content of a stored file no longer has the hash that names the file.

    Attributes:
        found: the SHA-256 of the present content.
    """

    def __init__(self, where: str, found: str) -> None:
        super().__init__(where, found)
        self.where = where
        self.found = found

    def __str__(self) -> str:
        return (
            f"The stored file {self.where} is damaged (its SHA-256 is now {self.found}). "
            "Restore it from a backup or publish the adapter again."
        )

    @property
    def in_public(self) -> str:
        """The text for visitors, which names the file only by its hash."""
        return (
            f"The stored file {_name(self.where)} is damaged (its SHA-256 is now {self.found}). "
            "Restore it from a backup or publish the adapter again."
        )


class BlobNotStored(RegistryError):
    """The artifact store refused a file."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return f"No file can be stored in {self.where} ({self.reason}). Fix this and try again."

    @property
    def in_public(self) -> str:
        """The text for visitors, without the address and the answer of the store."""
        if "space" in self.reason or "full" in self.reason:
            return "The disk is full, so no file can be stored. Free some space and try again."
        return f"No file can be stored at the moment. {ASK_OPERATOR}"


class BlobStoreFull(BlobNotStored):
    """The disk of the artifact store is full, or the quota of this system user is used up.

    Attributes:
        needed: the size of the file in bytes.
        free: the free space in bytes.
    """

    def __init__(self, where: str, needed: int, free: int) -> None:
        super().__init__(where, "the disk is full")
        self.args = (where, needed, free)
        self.needed = needed
        self.free = free

    def __str__(self) -> str:
        return (
            f"The disk of {self.where} is full: {_megabytes(self.needed)} are needed and "
            f"{_megabytes(self.free)} are free. Free some space and try again."
        )

    @property
    def in_public(self) -> str:
        """The text for visitors, without the address."""
        return (
            f"The disk is full: {_megabytes(self.needed)} are needed and {_megabytes(self.free)} are free. "
            "Free some space and try again."
        )


class BlobStoreUnreachable(RegistryError):
    """The artifact store does not answer a request."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The artifact store {self.where} does not answer ({self.reason}). Check its address, your "
            "access to it and the network."
        )

    @property
    def in_public(self) -> str:
        """The text for visitors, without the address and the answer of the store."""
        return f"The artifact store does not answer. {ASK_OPERATOR}"


class UnusableArtifactAddress(RegistryError):
    """No artifact store can be opened at this address, often because a package is missing."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"No artifacts can be stored at {self.address} ({self.reason}). Fix this or give another "
            "address, such as a folder."
        )


def _name(where: str) -> str:
    """Return the last part of the path of a stored file, which is its hash."""
    return PurePosixPath(where.replace("\\", "/")).name


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
