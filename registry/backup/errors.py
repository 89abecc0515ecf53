"""What can go wrong with a backup or a snapshot; see `registry.errors`."""

from pathlib import Path

from registry.errors import RegistryError


class BackupNotWritten(RegistryError):
    """A backup could not be written; nothing is left of it."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(file, reason)
        self.file = file
        self.reason = reason

    def __str__(self) -> str:
        return f"The backup {self.file} can't be written ({self.reason}); mend that or name another file."


class BackupUnusable(RegistryError):
    """A file, or a snapshot elsewhere, that can't be restored; nothing was changed."""

    def __init__(self, file: Path | str, reason: str) -> None:
        super().__init__(file, reason)
        self.file = file
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.file} can't be restored ({self.reason}); use another backup."


class RegistryNotEmpty(RegistryError):
    """A backup would take the place of what is there, and nobody said that it may."""

    def __init__(self, location: str, contents: str) -> None:
        super().__init__(location, contents)
        self.location = location
        self.contents = contents

    def __str__(self) -> str:
        return (
            f"The registry {self.location} holds {self.contents} already; restore with --replace to put the "
            "backup in their place (a backup of them is kept), or into an empty registry."
        )


class SnapshotNotWritten(RegistryError):
    """The registry could not be saved as a snapshot; those that are there stay as they are."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return f"The registry can't be saved in {self.where} ({self.reason}); mend that, it is tried again."


class SnapshotsOfAnother(RegistryError):
    """The newest snapshot there holds what this registry never held, so writing others would lose it."""

    def __init__(self, where: str, name: str) -> None:
        super().__init__(where, name)
        self.where = where
        self.name = name

    def __str__(self) -> str:
        return (
            f"Nothing is saved in {self.where}, because its newest snapshot {self.name} is of another "
            "registry: start with an empty data folder to restore it, or name another place for snapshots."
        )
