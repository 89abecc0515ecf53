"""What can go wrong with stored files; see `registry.errors`."""

from pathlib import PurePosixPath

from registry.errors import ASK_OPERATOR, RegistryError


class BlobMissing(RegistryError):
    """A file that the catalog lists isn't in the artifact store, or can't be read there."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The stored file {self.where} can't be read ({self.reason}); "
            "restore it from a backup or publish the adapter again."
        )

    @property
    def in_public(self) -> str:
        """With the hash that names the file alone."""
        return (
            f"The stored file {_name(self.where)} can't be read; "
            "restore it from a backup or publish the adapter again."
        )


class BlobDamaged(RegistryError):
    """A stored file's bytes no longer have the hash that names it."""

    def __init__(self, where: str, found: str) -> None:
        super().__init__(where, found)
        self.where = where
        self.found = found

    def __str__(self) -> str:
        return (
            f"The stored file {self.where} is damaged (its SHA-256 is now {self.found}); "
            "restore it from a backup or publish the adapter again."
        )

    @property
    def in_public(self) -> str:
        """With the hash that names the file alone."""
        return (
            f"The stored file {_name(self.where)} is damaged (its SHA-256 is now {self.found}); "
            "restore it from a backup or publish the adapter again."
        )


class BlobNotStored(RegistryError):
    """The artifact store refused a file."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return f"No file can be stored in {self.where} ({self.reason}); mend that and try again."

    @property
    def in_public(self) -> str:
        """Without the place and what it said."""
        if "space" in self.reason or "full" in self.reason:
            return "The disk is full, so no file can be stored. Free some space and try again."
        return f"No file can be stored at the moment. {ASK_OPERATOR}"


class BlobStoreFull(BlobNotStored):
    """The disk of the artifact store, or the share of it that this user may fill, is full."""

    def __init__(self, where: str, needed: int, free: int) -> None:
        super().__init__(where, "the disk is full")
        self.args = (where, needed, free)
        self.needed = needed
        self.free = free

    def __str__(self) -> str:
        return (
            f"The disk of {self.where} is full: {_megabytes(self.needed)} are needed and "
            f"{_megabytes(self.free)} are free; free some space and try again."
        )

    @property
    def in_public(self) -> str:
        """Without the place."""
        return (
            f"The disk is full: {_megabytes(self.needed)} are needed and {_megabytes(self.free)} are free; "
            "free some space and try again."
        )


class BlobStoreUnreachable(RegistryError):
    """The artifact store doesn't answer what was asked of it."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The artifact store {self.where} doesn't answer ({self.reason}); check its address, your "
            "access to it and the network."
        )

    @property
    def in_public(self) -> str:
        """Without the address and what it said."""
        return f"The artifact store does not answer. {ASK_OPERATOR}"


class UnusableArtifactAddress(RegistryError):
    """No artifact store can be opened at this address, often because a package is missing."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Artifacts can't be kept at {self.address} ({self.reason}); install what is missing or give "
            "another address, such as a folder."
        )


def _name(where: str) -> str:
    """The last part of where a file is, which is its hash."""
    return PurePosixPath(where.replace("\\", "/")).name


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
