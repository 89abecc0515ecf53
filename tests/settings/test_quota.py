"""The data folder has a maximum size, and its files are counted as on a disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loravit_web.settings.quota import Quota, QuotaReached, used


def test_files_of_all_folders_count(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(b"x" * 10)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 5)
    assert used(tmp_path) == 15
    assert Quota(tmp_path, 20).free_bytes() == 5


def test_hard_links_count_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 10)
    os.link(tmp_path / "one", tmp_path / "two")
    assert used(tmp_path) == 10


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "big").write_bytes(b"x" * 10_000)
    (inside / "link").symlink_to(outside, target_is_directory=True)
    assert used(inside) < 10_000


def test_a_missing_folder_is_empty(tmp_path: Path) -> None:
    assert Quota(tmp_path / "none", 7).free_bytes() == 7


def test_a_full_folder_is_an_error_that_names_no_folder(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 10)
    with pytest.raises(QuotaReached, match=r"limit of .* GiB\. .*LORAVIT_MAX_DISK_GIB\.$") as error:
        Quota(tmp_path, 10).free_bytes()
    assert str(tmp_path) not in str(error.value)
