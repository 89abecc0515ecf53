"""Tars are read from beginning to end, once, with every byte counted."""

from __future__ import annotations

import errno
import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from loravit_web.datasets import DatasetStore
from loravit_web.datasets.errors import ArchiveTooLarge, DamagedArchive, DiskFull
from loravit_web.datasets.sources import tars
from loravit_web.datasets.sources.archives import ArchiveLimits
from loravit_web.datasets.sources.opening import name_of, open_source
from loravit_web.datasets.sources.tars import open_tar
from tests.datasets.makers import CATS_AND_DOGS, images, png


def tar_of(path: Path, files: dict[str, bytes], *, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("name", "mode"),
    [("pets.tar", "w"), ("pets.tar.gz", "w:gz"), ("pets.tgz", "w:gz"), ("PETS.TAR.GZ", "w:gz")],
)
def test_a_tar_is_imported_like_a_zip(tmp_path: Path, name: str, mode: str) -> None:
    dataset = DatasetStore(tmp_path / "store").import_source(
        tar_of(tmp_path / name, CATS_AND_DOGS, mode=mode)
    )
    assert (dataset.name.lower(), dataset.source_kind, dataset.classes) == ("pets", "tar", ("cat", "dog"))
    for item in dataset.items:
        assert dataset.image_path(item).read_bytes() == CATS_AND_DOGS[item.path]


def test_files_are_read_in_any_order_and_as_often_as_needed(tmp_path: Path) -> None:
    files = images(f"{name}/{number}.png" for number in range(20) for name in "zya")
    with open_tar(tar_of(tmp_path / "a.tar.gz", files)) as archive:
        assert archive.paths == tuple(sorted(files))
        for path in (*sorted(files), *files, *reversed(list(files))):
            assert archive.read(path) == files[path]
            assert archive.beginning(path, 8) == files[path][:8]
        assert archive.sizes == {path: len(data) for path, data in sorted(files.items())}


def test_only_images_and_tables_are_copied(tmp_path: Path) -> None:
    junk = os.urandom(3 << 20)
    files = {
        **CATS_AND_DOGS,
        "video.mp4": junk,
        "data.bin": junk,
        "cat/no-suffix": png(9),
        "labels.csv": b"x",
    }
    with open_tar(tar_of(tmp_path / "a.tar", files, mode="w")) as archive:
        assert archive._copies.seek(0, io.SEEK_END) < 20_000
        assert archive.read("cat/no-suffix") == png(9)
        assert archive.read("labels.csv") == b"x"
        assert archive.sizes["video.mp4"] == len(junk)


def test_a_table_inside_a_tar_is_read(tmp_path: Path) -> None:
    files = images(f"images/{number}.png" for number in range(4))
    rows = [f"{path},{'cat' if number % 2 else 'dog'}" for number, path in enumerate(files)]
    archive = tar_of(tmp_path / "a.tgz", {**files, "labels.csv": "\n".join(["file,label", *rows]).encode()})
    with open_source(archive) as source:
        assert [place.class_name for place in source.plan.placements] == ["dog", "cat", "dog", "cat"]


def test_a_large_file_is_refused_if_it_is_an_image_and_left_out_if_not(tmp_path: Path) -> None:
    limits = ArchiveLimits(max_file_bytes=1000)
    files = {**CATS_AND_DOGS, "cat/notes.txt": os.urandom(2000)}
    with open_tar(tar_of(tmp_path / "a.tar", files, mode="w"), limits) as archive:
        assert len(archive.paths) == 6
    large = tar_of(tmp_path / "b.tar", {**files, "cat/large.png": os.urandom(2000)}, mode="w")
    with (
        pytest.raises(ArchiveTooLarge, match="“cat/large.png” in the archive is larger than"),
        open_tar(large, limits),
    ):
        pass


def test_a_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tars, "TemporaryFile", Full)
    with pytest.raises(DiskFull), open_tar(tar_of(tmp_path / "a.tar.gz", CATS_AND_DOGS)):
        pass


def test_a_second_tar_behind_the_first_is_not_left_out_silently(tmp_path: Path) -> None:
    first, second = (
        tar_of(tmp_path / f"{number}.tar", files, mode="w").read_bytes()
        for number, files in enumerate([CATS_AND_DOGS, images(["hen/1.png", "hen/2.png"])])
    )
    both = tmp_path / "both.tar.gz"
    both.write_bytes(gzip.compress(first + second))
    with pytest.raises(DamagedArchive, match="is damaged at “dog/2.png”"), open_source(both):
        pass


def test_nothing_is_left_of_a_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with open_tar(tar_of(tmp_path / "a.tar.gz", CATS_AND_DOGS)) as archive:
        assert archive.read("cat/1.png") == CATS_AND_DOGS["cat/1.png"]
        assert list((tmp_path / "temporary").iterdir()) == []
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes((tmp_path / "a.tar.gz").read_bytes()[:-20])
    with pytest.raises(DamagedArchive), open_tar(broken):
        pass
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a.zip", "a"),
        ("a.b.tar.gz", "a.b"),
        ("A.TGZ", "A"),
        ("a.csv", "a"),
        ("a.jsonl", "a"),
        ("a.v2", "a.v2"),
        ("tar.gz", "tar.gz"),
    ],
)
def test_the_name_of_data_is_that_of_its_file_without_the_suffix(file: str, name: str) -> None:
    assert name_of(Path(file)) == name
