"""Errors of backups and snapshots; see `registry.errors`."""

from pathlib import Path

from registry.errors import RegistryError


class BackupNotWritten(RegistryError):
    """A backup could not be written, and nothing is left of it."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(file, reason)
        self.file = file
        self.reason = reason

    def __str__(self) -> str:
        return f"The backup {self.file} cannot be written ({self.reason}). Fix this or give another file."


class BackupUnusable(RegistryError):
    """A backup or snapshot cannot be restored, and nothing was changed.

    Attributes:
        file: the backup, or a phrase that names the snapshot.
    """

    def __init__(self, file: Path | str, reason: str) -> None:
        super().__init__(file, reason)
        self.file = file
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.file} cannot be restored ({self.reason}). Use another backup."


class RegistryNotEmpty(RegistryError):
    """A backup would replace the contents of the registry, and the caller did not allow that."""

    def __init__(self, location: str, contents: str) -> None:
        super().__init__(location, contents)
        self.location = location
        self.contents = contents

    def __str__(self) -> str:
        return (
            f"The registry {self.location} already holds {self.contents}. Restore with --replace to replace "
            "them (a backup of them is kept), or restore into an empty registry."
        )


class SnapshotNotWritten(RegistryError):
    """The registry could not be saved as a snapshot. Existing snapshots stay as they are."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The registry cannot be saved in {self.where} ({self.reason}). Fix this, and the app will try "
            "again."
        )


class SnapshotsOfAnother(RegistryError):
    """The newest snapshot holds what this registry never held, so new snapshots would push it out."""

    def __init__(self, where: str, name: str) -> None:
        super().__init__(where, name)
        self.where = where
        self.name = name

    def __str__(self) -> str:
        return (
            f"Nothing is saved in {self.where}, because its newest snapshot {self.name} is of another "
            "registry. Start with an empty data folder to restore it, or give another address for snapshots."
        )
