"""Whether the database is sound and lies where it can stay so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from loravit_web.doctor import database, examine
from loravit_web.doctor.database import disk_type, has_wal_fix, holders_of_deleted
from loravit_web.settings.environment import Settings
from registry import DatabaseReplaced, Registry
from tests.doctor.conftest import about, problems

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:28 / /home rw,relatime - ext4 /dev/sda2 rw
41 30 0:44 / /home/ada/team rw shared:5 - nfs4 server:/team rw
42 22 0:45 / /mnt/with\\040space rw - fuse.sshfs host:/ rw
43 22 0:46 / /mnt/twice rw - nfs server:/old rw
44 22 0:47 / /mnt/twice rw - ext4 /dev/sdb1 rw
a line of another kind
"""


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("/registry.db", "ext4"),
        ("/home/ada/registry.db", "ext4"),
        ("/home/ada/team/loravit/registry.db", "nfs4"),
        ("/home/ada/teammates/registry.db", "ext4"),
        ("/mnt/with space/registry.db", "fuse.sshfs"),
        ("/mnt/twice/registry.db", "ext4"),
    ],
)
def test_the_disk_of_a_file_is_the_one_mounted_nearest_to_it(file: str, expected: str) -> None:
    assert disk_type(Path(file), MOUNTS) == expected


def test_without_a_list_of_mounts_nothing_is_claimed() -> None:
    assert disk_type(Path("/registry.db"), "") is None


@pytest.mark.parametrize(
    ("kind", "state"), [("nfs4", "problem"), ("cifs", "problem"), ("fuse.sshfs", "note"), ("ext4", None)]
)
def test_a_database_on_a_network_disk_is_a_problem(
    settings: Settings,
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    state: str,
) -> None:
    (tmp_path / "mounts").write_text(f"22 1 8:1 / / rw - {kind} somewhere rw\n")
    monkeypatch.setattr(database, "MOUNTS", tmp_path / "mounts")
    found = about(examine(settings), "database disk")
    assert [finding.state for finding in found] == ([state] if state else [])


@pytest.mark.parametrize(
    ("version", "fixed"),
    [
        ((3, 37, 0), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_the_releases_with_the_fix_are_known(version: tuple[int, ...], fixed: bool) -> None:
    assert has_wal_fix(version) is fixed


def test_a_dangling_row_is_a_problem_that_mending_does_not_hide(
    settings: Settings, registry: Registry
) -> None:
    assert [finding.text for finding in about(examine(settings), "database")] == [
        f"{settings.home / 'registry.db'}, sound"
    ]
    engine = create_engine(settings.database_url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO adapter_tags (adapter_id, tag) VALUES (77, 'lost')"))
    engine.dispose()
    report = examine(settings, mend=True)
    assert problems(report) == ["database"]
    assert "adapter_tags" in about(report, "database")[0].text


def test_a_file_that_was_deleted_under_a_running_app_is_a_problem_and_its_copy_is_mentioned(
    settings: Settings, registry: Registry
) -> None:
    assert about(examine(settings), "database file") == []
    (settings.home / "registry.db").unlink()
    with pytest.raises(DatabaseReplaced):
        registry.revision()
    report = examine(settings)
    assert "database file" in problems(report)
    first, second = (finding.text for finding in about(report, "database file"))
    assert f"was deleted or replaced while process {os.getpid()} had it open" in first
    assert "registry-rescued-1.db is the last state" in second


def test_processes_of_others_are_passed_over(tmp_path: Path) -> None:
    for name in ("1", "22", "self"):
        (tmp_path / "proc" / name).mkdir(parents=True)
    (tmp_path / "proc" / "22" / "fd").mkdir()
    (tmp_path / "proc" / "22" / "fd" / "3").symlink_to(f"{tmp_path / 'registry.db'}-wal (deleted)")
    assert holders_of_deleted(tmp_path / "registry.db", tmp_path / "proc") == ["22"]
