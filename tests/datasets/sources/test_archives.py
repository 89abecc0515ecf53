"""A foreign zip is read safely or rejected as a whole with a reason."""

from __future__ import annotations

import stat
import warnings
import zipfile
from pathlib import Path

import pytest

from loravit_web.datasets.errors import (
    ArchiveError,
    ArchiveLink,
    ArchiveTooLarge,
    DamagedArchive,
    DataNotSupported,
    DuplicateEntry,
    EncryptedArchive,
    TooManyEntries,
    UnsafeArchivePath,
)
from loravit_web.datasets.sources.archives import ArchiveLimits, open_archive
from loravit_web.datasets.sources.opening import open_source
from tests.datasets.makers import zip_of


def opened_paths(path: Path, limits: ArchiveLimits = ArchiveLimits()) -> tuple[str, ...]:  # noqa: B008
    with open_archive(path, limits) as archive:
        return archive.paths


def test_files_are_sorted_and_folders_are_omitted(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"b/2.png": b"2", "b/": b"", "a/./1.png": b"1"})
    with open_archive(path) as archive:
        assert archive.paths == ("a/1.png", "b/2.png")
        assert [archive.read(name) for name in archive.paths] == [b"1", b"2"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil.png",
        "a/../../evil.png",
        "/etc/evil.png",
        "C:/evil.png",
        "C:\\evil.png",
        "..\\evil.png",
        "\\\\host\\x",
    ],
)
def test_a_path_that_leaves_the_archive_is_rejected(tmp_path: Path, name: str) -> None:
    path = zip_of(tmp_path / "a.zip", {"cat/1.png": b"1", name: b"evil"})
    with pytest.raises(
        UnsafeArchivePath, match="The archive contains the path .*, which leads outside of it"
    ):
        opened_paths(path)


def test_harmless_backslashes_are_folder_separators(tmp_path: Path) -> None:
    assert opened_paths(zip_of(tmp_path / "a.zip", {"cat\\1.png": b"1"})) == ("cat/1.png",)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_rejected(tmp_path: Path, kind: int) -> None:
    link = zipfile.ZipInfo("cat/1.png")
    link.create_system = 3
    link.external_attr = (kind | 0o777) << 16
    with pytest.raises(ArchiveLink, match=r"cat/1\.png"):
        opened_paths(zip_of(tmp_path / "a.zip", {link: b"/etc/passwd"}))


def test_duplicate_names_are_rejected(tmp_path: Path) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("cat/1.png", b"1")
        archive.writestr("cat//1.png", b"2")
    with pytest.raises(DuplicateEntry, match=r"“cat/1\.png” twice"):
        opened_paths(tmp_path / "a.zip")


def patched(path: Path, signature: bytes, offset: int, value: bytes) -> Path:
    """Overwrite header bytes after every occurrence of `signature`."""
    data = bytearray(path.read_bytes())
    start = data.find(signature)
    while start >= 0:
        data[start + offset : start + offset + len(value)] = value
        start = data.find(signature, start + 4)
    path.write_bytes(data)
    return path


def test_encrypted_entries_are_rejected(tmp_path: Path) -> None:
    path = patched(zip_of(tmp_path / "a.zip", {"cat/1.png": b"1"}), b"PK\x01\x02", 8, b"\x01\x00")
    with pytest.raises(EncryptedArchive, match="password"):
        opened_paths(path)


def test_an_unsupported_compression_is_rejected(tmp_path: Path) -> None:
    path = patched(zip_of(tmp_path / "a.zip", {"cat/1.png": b"1"}), b"PK\x01\x02", 10, b"\x0e\x00")
    with pytest.raises(DamagedArchive, match="“cat/1.png” in the archive uses an unsupported compression"):
        opened_paths(path)


def test_too_many_entries_are_rejected(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {f"cat/{index}.png": b"" for index in range(4)})
    with pytest.raises(TooManyEntries, match="The archive has 4 entries, and the limit is 3"):
        opened_paths(path, ArchiveLimits(max_entries=3))
    assert len(opened_paths(path, ArchiveLimits(max_entries=4))) == 4


def test_a_file_above_the_limit_is_rejected(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"cat/1.png": bytes(2000)})
    with (
        open_archive(path, ArchiveLimits(max_file_bytes=1999)) as archive,
        pytest.raises(ArchiveTooLarge, match=r"cat/1\.png"),
    ):
        archive.read("cat/1.png")


def test_all_files_together_have_a_limit(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"a": bytes(600), "b": bytes(600)})
    with open_archive(path, ArchiveLimits(max_total_bytes=1000)) as archive:
        archive.read("a")
        with pytest.raises(
            ArchiveTooLarge,
            match="The archive contains more than 0.000953674 MiB. Use fewer or smaller images",
        ):
            archive.read("b")


def test_a_zip_bomb_is_detected_by_its_ratio(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"bomb.png": bytes(30_000_000)})
    assert path.stat().st_size < 60_000
    with (
        open_archive(path) as archive,
        pytest.raises(ArchiveTooLarge, match=".png” is above 200, which is not plausible for images"),
    ):
        archive.read("bomb.png")


def test_many_small_zip_bombs_are_detected_together(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {f"{index}.png": bytes(3_000_000) for index in range(5)})
    with (
        open_archive(path) as archive,
        pytest.raises(ArchiveTooLarge, match=".png” is above 200, which is not plausible for images"),
    ):
        for name in archive.paths:
            archive.read(name)


@pytest.mark.parametrize("declared", [10, 100_000_000])
def test_a_zip_bomb_with_a_false_header_is_detected(tmp_path: Path, declared: int) -> None:
    path = zip_of(tmp_path / "a.zip", {"bomb.png": bytes(30_000_000)})
    patched(path, b"PK\x01\x02", 24, declared.to_bytes(4, "little"))
    patched(path, b"PK\x03\x04", 22, declared.to_bytes(4, "little"))
    with open_archive(path) as archive, pytest.raises(ArchiveError):
        archive.read("bomb.png")


def test_a_high_ratio_of_a_small_file_is_allowed(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"flat.bmp": bytes(4_000_000)})
    with open_archive(path) as archive:
        assert len(archive.read("flat.bmp")) == 4_000_000


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 cut"])
def test_a_file_that_is_not_a_zip_is_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "photos.zip"
    path.write_bytes(content)
    with pytest.raises(DamagedArchive, match=r"“photos\.zip” is not a zip") as caught:
        opened_paths(path)
    assert str(tmp_path) not in str(caught.value)


def test_a_truncated_zip_is_rejected(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"cat/1.png": bytes(range(256)) * 10})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DamagedArchive):
        opened_paths(path)


def test_a_flipped_bit_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/1.png", b"a" * 100)
    path.write_bytes(path.read_bytes().replace(b"a" * 100, b"a" * 99 + b"b"))
    with open_archive(path) as safe, pytest.raises(DamagedArchive, match=r"cat/1\.png"):
        safe.read("cat/1.png")


def raw_name(path: Path, placeholder: bytes, name: bytes) -> Path:
    assert len(placeholder) == len(name)
    path.write_bytes(path.read_bytes().replace(placeholder, name))
    return path


def test_utf8_names_without_the_flag_are_read_as_utf8(tmp_path: Path) -> None:
    name = "höhle/1.png".encode()
    path = raw_name(zip_of(tmp_path / "a.zip", {"x" * len(name): b"1"}), b"x" * len(name), name)
    assert opened_paths(path) == ("höhle/1.png",)


def test_names_in_another_encoding_do_not_crash(tmp_path: Path) -> None:
    name = b"h\x94hle/1.png"
    path = raw_name(zip_of(tmp_path / "a.zip", {"x" * len(name): b"1"}), b"x" * len(name), name)
    assert opened_paths(path) == ("höhle/1.png",)


def test_names_falsely_marked_as_utf8_are_rejected(tmp_path: Path) -> None:
    name = "ä.png".encode()
    path = raw_name(zip_of(tmp_path / "a.zip", {"ä.png": b"1"}), name, b"\xff\xff.png")
    with pytest.raises(DamagedArchive):
        opened_paths(path)


@pytest.mark.parametrize(
    ("beginning", "kind"),
    [
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"Rar!\x1a\x07\x00", "RAR"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
    ],
)
def test_another_archive_is_called_by_its_kind(tmp_path: Path, beginning: bytes, kind: str) -> None:
    path = tmp_path / "photos.zip"
    path.write_bytes(beginning + bytes(100))
    with pytest.raises(DamagedArchive, match=f"“photos.zip” is a {kind} archive, not a zip. Unpack it"):
        opened_paths(path)
    other = path.rename(tmp_path / "photos.bin")
    with (
        pytest.raises(DataNotSupported, match=f"Zip the class folders; a {kind} archive cannot"),
        open_source(other),
    ):
        pass


def test_an_archive_inside_an_archive_is_called_one(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"inner.zip": b"PK\x03\x04", "photos.tar.gz": b"\x1f\x8b"})
    with open_source(path) as source:
        assert {entry.reason for entry in source.plan.skipped} == {
            "it is an archive inside the data, not an image. Unpack it, and use its folders"
        }
