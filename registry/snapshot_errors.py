"""What can go wrong with snapshots; see `registry.errors`."""

from registry.errors import RegistryError


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
