"""What visitors are told names no place of the machine and nothing that a server said of itself."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import registry
from registry import RegistryError
from registry.blobs.errors import BlobStoreFull
from registry.database.errors import DatabaseReplaced

PLACE = "/srv/secret/home/registry.db"
SAID = 'connection to server at "10.9.8.7", port 5432 failed'
AT_THE_START_OR_IN_A_SHELL = {
    "BackupNotWritten",
    "BackupUnusable",
    "DatabaseTooNew",
    "DatabaseUnusable",
    "NothingToRestore",
    "PostgresDriverMissing",
    "SnapshotNotWritten",  # the page has a sentence of its own, see `snapshots.Saved`
    "SnapshotUnusable",
    "SnapshotsOfAnother",
    "UnsupportedDatabase",
    "UnusableArtifactAddress",
}
TOLD = ("location", "where", "reason", "path", "address", "file")


def made(error: type[RegistryError]) -> RegistryError | None:
    """An error about a secret place; None for one that is about none."""
    if error is DatabaseReplaced:
        return DatabaseReplaced(PLACE, "was deleted", Path("/srv/secret/home/backups/registry-rescued-1.db"))
    if error is BlobStoreFull:
        return BlobStoreFull(PLACE, 1, 1)
    names = list(inspect.signature(error.__init__).parameters)[1:]
    if not set(names) <= set(TOLD) | {"found"} or not set(names) & set(TOLD):
        return None
    told = {"reason": SAID, "found": "0" * 64}
    return error(*(told.get(name, PLACE) for name in names))


@pytest.mark.parametrize(
    "error",
    [one for one in vars(registry).values() if inspect.isclass(one) and issubclass(one, RegistryError)],
)
def test_what_the_registry_tells_in_public_names_no_place(error: type[RegistryError]) -> None:
    if error.__name__ in AT_THE_START_OR_IN_A_SHELL:
        return
    about = made(error)
    if about is None:
        return
    told = about.in_public
    assert "secret" not in told
    assert "10.9.8.7" not in told
    assert told.endswith(".")


def test_the_operator_reads_where_it_is() -> None:
    assert PLACE in str(registry.DatabaseNotReadable(PLACE, SAID))
    assert SAID in str(registry.DatabaseNotWritable(SAID))


def test_a_disk_that_is_full_is_told_to_everybody() -> None:
    assert "because its disk is full" in registry.DatabaseNotWritable("database or disk is full").in_public
