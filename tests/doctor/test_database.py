"""Whether the database is sound and lies where it can stay so."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from loravit_web.doctor import database, examine
from loravit_web.doctor.database import disk_type, has_wal_fix
from loravit_web.settings import Settings
from registry import Registry
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
