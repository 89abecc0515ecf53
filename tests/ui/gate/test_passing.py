"""Files pass through: with room by visitor, for a time, and a killed process leaves nothing for good."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from loravit_web.settings.temporary import TemporaryFolderUnusable
from loravit_web.ui.gate.passing import (
    LOCK,
    NoRoom,
    PassingFiles,
    remove_left,
)


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(parent: Path, clock: Clock, *, most: int = 1000, most_of_one: int = 400) -> PassingFiles:
    return PassingFiles(parent, most=most, most_of_one=most_of_one, seconds=3600, clock=clock)


def given(files: PassingFiles, clock: Clock, source: str, name: str, size: int) -> Path:
    """An upload from beginning to end."""
    files.reserve(source, size)
    arrival = files.arrival()
    path = arrival / name / "a.bin"
    path.parent.mkdir()
    path.write_bytes(bytes(size))
    os.utime(path, (clock.now, clock.now))
    place = files.arrived(source, path)
    files.end_arrival(arrival)
    files.release(source, size)
    return place


def test_the_folder_is_the_processs_own_and_goes_with_it(tmp_path: Path, clock: Clock) -> None:
    one, other = opened(tmp_path, clock), opened(tmp_path, clock)
    place = given(one, clock, "ann", "x", 10)
    assert place.is_relative_to(one.folder)
    other.close()
    assert place.exists()
    one.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_one_sentence(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "gradio").touch()
    for parent in (tmp_path / "gradio", tmp_path / "gradio" / "inner"):
        with pytest.raises(TemporaryFolderUnusable, match=r"gradio.*, cannot be written \(.+\)\. Set "):
            opened(parent, clock)


def test_a_folder_of_another_user_is_one_sentence(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: FileLock, *_args: object, **_options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), self.lock_file)

    monkeypatch.setattr(FileLock, "acquire", refused)
    with pytest.raises(TemporaryFolderUnusable, match=r"cannot be written \(permission denied\)"):
        opened(tmp_path, clock)


def test_what_other_users_left_in_a_shared_folder_is_left_to_them(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "loravit-1-theirs"
    theirs.mkdir()
    (tmp_path / f"loravit-2-alsotheirs{LOCK}").touch()
    acquire = FileLock.acquire

    def unless_theirs(self: FileLock, *args: Any, **options: Any) -> object:
        if "theirs" in self.lock_file:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), self.lock_file)
        return acquire(self, *args, **options)

    monkeypatch.setattr(FileLock, "acquire", unless_theirs)
    opened(tmp_path, clock).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [theirs.name, f"loravit-2-alsotheirs{LOCK}"]


def test_what_a_killed_process_left_goes_at_the_next_start_and_what_lives_stays(
    tmp_path: Path, clock: Clock
) -> None:
    code = (
        "import os, sys, pathlib; from loravit_web.ui.gate.passing import PassingFiles; "
        "files = PassingFiles(pathlib.Path(sys.argv[1]), most=9, most_of_one=9, seconds=9); "
        "(files.folder / 'left.bin').write_bytes(b'left'); os._exit(9)"
    )
    alive = opened(tmp_path, clock)
    kept = given(alive, clock, "ann", "x", 10)
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 9
    assert [path.name for path in tmp_path.rglob("left.bin")] == ["left.bin"]
    (tmp_path / f"loravit-1-dead{LOCK}").touch()  # killed between its lock and its folder
    (tmp_path / "of-another-program").mkdir()
    other = opened(tmp_path, clock)
    assert list(tmp_path.rglob("left.bin")) == []
    assert kept.exists()
    other.close()
    alive.close()
    assert [path.name for path in tmp_path.iterdir()] == ["of-another-program"]


def test_copies_that_a_page_shows_count_too_as_soon_as_it_gets_narrow(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    old = given(files, clock, "ann", "x", 400)
    clock.now += 700
    given(files, clock, "ben", "y", 300)
    (files.folder / "copy.bin").write_bytes(bytes(250))
    given(files, clock, "cyd", "z", 250)
    assert (old.exists(), files.used()) == (False, 800)
    files.close()


def test_a_link_that_looks_like_a_folder_of_ours_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.txt").touch()
    (tmp_path / "loravit-1-link").symlink_to(elsewhere)
    assert remove_left(tmp_path) == 0
    assert (elsewhere / "a.txt").exists()


def test_a_visitors_oldest_files_make_room_for_their_new_ones(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    first = given(files, clock, "ann", "x", 200)
    clock.now += 1
    second = given(files, clock, "ann", "y", 200)
    other = given(files, clock, "bob", "z", 100)
    third = given(files, clock, "ann", "w", 150)
    assert [path.exists() for path in (first, second, third, other)] == [False, True, True, True]


def test_one_visitor_can_not_send_more_than_their_share_at_once(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    files.reserve("ann", 300)
    with pytest.raises(NoRoom, match="one visitor may upload at once"):
        files.reserve("ann", 101)
    files.reserve("bob", 400)
    files.release("ann", 300)
    files.reserve("ann", 400)


def test_all_together_never_hold_more_than_they_may_and_young_files_of_others_stay(
    tmp_path: Path, clock: Clock
) -> None:
    files = opened(tmp_path, clock)
    places = [given(files, clock, f"visitor {n}", str(n), 300) for n in range(3)]
    with pytest.raises(NoRoom, match="try again in ten minutes"):
        files.reserve("another", 300)
    assert all(place.exists() for place in places)
    clock.now += 601
    files.reserve("another", 300)
    assert files.used() + 300 <= 1000


def test_a_visitor_alone_is_never_refused_for_files_that_are_there_for_the_page(
    tmp_path: Path, clock: Clock
) -> None:
    files = opened(tmp_path, clock, most=1000, most_of_one=1000)
    (files.folder / "example.webp").write_bytes(bytes(50))
    for number in range(10):
        given(files, clock, "ann", str(number), 300)
    assert files.used() <= 1000


def test_the_folder_of_a_complete_upload_receives_the_next_one(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    given(files, clock, "ann", "x", 10)
    (kept,) = (files.folder / "arriving").iterdir()
    assert list(kept.iterdir()) == []
    assert files.arrival() == kept
    assert files.arrival() != kept


def test_the_folder_of_a_broken_upload_is_removed(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    broken = files.arrival()
    (broken / "tmp123").write_bytes(b"broken off")
    files.end_arrival(broken)
    assert not broken.exists()
    assert files.arrival() != broken


def test_a_kept_folder_that_somebody_removed_is_made_again(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    given(files, clock, "ann", "x", 10)
    (kept,) = (files.folder / "arriving").iterdir()
    kept.rmdir()
    files.sweep()
    assert files.arrival().is_dir()


def test_files_of_one_content_and_two_names_keep_both(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    for _ in range(2):
        arrival = files.arrival()
        (arrival / "x").mkdir()
        received = [arrival / "x" / name for name in ("a.bin", "b.bin")]
        for path in received:
            path.write_bytes(bytes(10))
        places = [files.arrived("ann", path) for path in received]
        files.end_arrival(arrival)
        assert [place.name for place in places] == ["a.bin", "b.bin"]
        assert all(place.exists() for place in places)
    assert files.used() == 20


def test_files_and_empty_folders_go_with_their_age(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    old = given(files, clock, "ann", "x", 10)
    broken = files.arrival() / "tmp123"
    broken.write_bytes(b"broken off")
    for path in (broken, *broken.parents[:2], old.parent):
        os.utime(path, (clock.now, clock.now))
    clock.now += 3000
    young = given(files, clock, "ann", "y", 10)
    clock.now += 601
    assert files.sweep() == 2
    assert [path.exists() for path in (old, broken, young)] == [False, False, True]
    assert files.used() == 10
