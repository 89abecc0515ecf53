"""What can go wrong with a backup; see `registry.errors`."""

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
