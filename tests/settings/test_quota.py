"""The data folder may hold so much; what is there is counted as a disk counts it."""

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
    assert Quota(tmp_path, 20).room() == 5


def test_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
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


def test_a_folder_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert Quota(tmp_path / "none", 7).room() == 7


def test_a_full_folder_is_refused_in_one_sentence_that_names_no_folder(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 10)
    with pytest.raises(QuotaReached, match=r"more than the .* GiB it may.*LORAVIT_MAX_DISK_GIB\.$") as error:
        Quota(tmp_path, 10).room()
    assert str(tmp_path) not in str(error.value)
