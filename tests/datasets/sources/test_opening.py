"""Folders, CSV files and samples become candidates; anything else is an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loravit_web.datasets import SAMPLES
from loravit_web.datasets.errors import (
    CsvPathOutside,
    DamagedArchive,
    DataNotFound,
    DataNotSupported,
    InvalidCsv,
    TooManyEntries,
    UnknownSample,
)
from loravit_web.datasets.sources.archives import ArchiveLimits
from loravit_web.datasets.sources.opening import FileUnusableError, open_source
from tests.datasets.makers import CATS_AND_DOGS, folder_of, zip_of


def placed(data: Path | str) -> list[tuple[str, str, str]]:
    with open_source(data) as source:
        return [(place.path, place.split, place.class_name) for place in source.plan.placements]


def skipped(data: Path | str) -> dict[str, str]:
    with open_source(data) as source:
        return {entry.path: entry.reason for entry in source.plan.skipped}


def test_a_folder_and_its_zip_give_the_same_candidates(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "pets", CATS_AND_DOGS)
    archive = zip_of(tmp_path / "pets.zip", CATS_AND_DOGS)
    assert placed(folder) == placed(archive) == placed(str(folder))
    with open_source(folder) as source:
        assert source.name == "pets"
        assert [source.read(place.index) for place in source.plan.placements] == list(CATS_AND_DOGS.values())


def test_a_missing_source_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match=r"no folder or file “gone”.*sample:digits") as caught:
        placed(tmp_path / "gone")
    assert str(tmp_path) not in str(caught.value)


def test_another_kind_of_file_is_rejected_by_name(tmp_path: Path) -> None:
    (tmp_path / "photos.rar").write_bytes(b"Rar!")
    with pytest.raises(
        DataNotSupported, match="“photos.rar” is not a folder, a zip, a tar or a CSV. Zip the class folders"
    ):
        placed(tmp_path / "photos.rar")


def test_a_zip_is_recognized_by_its_content(tmp_path: Path) -> None:
    zip_of(tmp_path / "upload", CATS_AND_DOGS)
    assert len(placed(tmp_path / "upload")) == 5
    (tmp_path / "fake.zip").write_text("hello")
    with pytest.raises(DamagedArchive):
        placed(tmp_path / "fake.zip")


def test_links_out_of_the_folder_are_listed_and_not_followed(tmp_path: Path) -> None:
    outside = folder_of(tmp_path / "outside", {"secret.png": b"secret"})
    folder = folder_of(tmp_path / "pets", CATS_AND_DOGS)
    (folder / "cat" / "leak.png").symlink_to(outside / "secret.png")
    (folder / "fox").symlink_to(outside, target_is_directory=True)
    (folder / "cat" / "gone.png").symlink_to(folder / "nothing")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "dog" / "same.png").symlink_to(folder / "cat" / "1.png")

    found = skipped(folder)

    assert "outside the folder" in found["cat/leak.png"]
    assert "outside the folder" in found["fox"]
    assert "broken link" in found["cat/gone.png"]
    assert "not followed" in found["loop"]
    assert ("dog/same.png", "train", "dog") in placed(folder)


def test_a_pipe_in_the_folder_does_not_block_the_import(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "pets", CATS_AND_DOGS)
    os.mkfifo(folder / "cat" / "pipe.png")
    assert "regular file" in skipped(folder)["cat/pipe.png"]


def test_file_names_that_are_not_utf8_do_not_crash(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "pets", CATS_AND_DOGS)
    Path(os.fsdecode(os.fsencode(folder) + b"/cat/\xff.png")).write_bytes(b"x")
    assert ("cat/\ufffd.png", "train", "cat") in placed(folder)


def test_a_file_above_the_limit_is_skipped_and_the_others_are_not(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "pets", {"cat/big.png": bytes(11), "cat/small.png": bytes(10)})
    with open_source(folder, ArchiveLimits(max_file_bytes=10)) as source:
        assert len(source.read(1)) == 10
        with pytest.raises(FileUnusableError, match="larger than"):
            source.read(0)


def test_a_folder_with_too_many_files_is_rejected(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "pets", CATS_AND_DOGS)
    with pytest.raises(TooManyEntries), open_source(folder, ArchiveLimits(max_entries=4)):
        pass


def csv_of(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    folder_of(folder, CATS_AND_DOGS)
    (folder / "labels.csv").write_bytes(text.encode(encoding))
    return folder / "labels.csv"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_csv_names_paths_labels_and_splits(tmp_path: Path, separator: str, newline: str) -> None:
    rows = ["Label|Path|Split", "tom cat|cat/1.png|train", "", "dog|./dog/1.png|TEST", "dog|dog\\2.png|"]
    path = csv_of(tmp_path, newline.join(rows).replace("|", separator), "utf-8-sig")
    assert placed(path) == [
        ("cat/1.png", "train", "tom cat"),
        ("dog/1.png", "test", "dog"),
        ("dog/2.png", "train", "dog"),
    ]
    with open_source(path) as source:
        assert source.read(1) == CATS_AND_DOGS["dog/1.png"]


def test_csv_rows_without_a_usable_file_are_listed(tmp_path: Path) -> None:
    found = skipped(csv_of(tmp_path, "path,label\ncat/9.png,cat\nlabels.csv,cat\ncat/1.png,cat"))
    assert "does not exist" in found["cat/9.png"]
    assert "not an image" in found["labels.csv"]
    assert len(found) == 2


@pytest.mark.parametrize("path", ["../x.png", "/etc/x.png", "cat/../../x.png", "C:\\x.png", "..\\x.png"])
def test_a_csv_path_outside_its_folder_is_rejected_with_its_line(tmp_path: Path, path: str) -> None:
    with pytest.raises(
        CsvPathOutside,
        match="Line 3 of “labels.csv” leads outside the folder of the CSV",
    ):
        placed(csv_of(tmp_path / "data", f"path,label\ncat/1.png,cat\n{path},cat"))


def test_a_csv_path_through_a_link_out_of_the_folder_is_rejected(tmp_path: Path) -> None:
    path = csv_of(tmp_path / "data", "path,label\nout/x.png,cat")
    (tmp_path / "data" / "out").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(CsvPathOutside):
        placed(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "“labels.csv” has no columns path and label"),
        ("width,height\n1,2", "“labels.csv” has no columns path and label"),
        ("path,label\ncat/1.png,", "Line 2 .* no path or no label"),
        ("path,label\ncat/1.png", "Line 2 .* no path or no label"),
        (
            "path,label,split\ncat/1.png,cat,reserve",
            "Line 2 of “labels.csv” has the unknown split “reserve”. Use train, val or test",
        ),
        ('path,label\n"cat/1.png,cat', "not a valid CSV"),
    ],
)
def test_an_invalid_csv_is_rejected_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidCsv, match=message):
        placed(csv_of(tmp_path, text))


def test_a_csv_in_another_encoding_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InvalidCsv, match="UTF-8"):
        placed(csv_of(tmp_path, "path,label\ncat/1.png,Kätzchen", "latin-1"))


def test_the_digits_sample_is_real_and_stratified() -> None:
    with open_source("sample:digits") as source:
        places = source.plan.placements
        first = source.read(places[0].index)
    assert source.name == SAMPLES["digits"].title
    assert len(places) == 1797
    assert {place.class_name for place in places} == set("0123456789")
    assert {place.class_name for place in places if place.split == "test"} == set("0123456789")
    assert 340 <= sum(place.split == "test" for place in places) <= 380
    assert first.startswith(b"\x89PNG")
    assert int.from_bytes(first[16:20], "big") == 64


def test_an_unknown_sample_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(
        UnknownSample, match="There is no sample “cats”. Choose one of digits, shapes, counts, textures"
    ):
        placed("sample:cats")
