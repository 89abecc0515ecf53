"""Names in zips that do not tell their encoding."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from loravit_web.datasets.sources.archives import open_archive
from loravit_web.datasets.sources.opening import open_source
from tests.datasets.makers import png


def zip_with(path: Path, names: list[str], encoding: str, *, unicode_path: bool = False) -> Path:
    """Return a zip of class folders whose names have no flag of an encoding, as old tools write them."""
    placeholders = {name: chr(ord("A") + at) * len(name.encode(encoding)) for at, name in enumerate(names)}
    with zipfile.ZipFile(path, "w") as archive:
        for at, (name, placeholder) in enumerate(placeholders.items()):
            for number in range(3):
                info = zipfile.ZipInfo(f"{placeholder}/{number}.png")
                if unicode_path:
                    raw = f"{name}/{number}.png".encode(encoding)
                    text = b"\x01" + struct.pack("<L", zlib.crc32(raw)) + f"{name}/{number}.png".encode()
                    info.extra = struct.pack("<HH", 0x7075, len(text)) + text
                archive.writestr(info, png(10 * at + number))
    data = path.read_bytes()
    for name, placeholder in placeholders.items():
        for number in range(3):
            plain = f"{placeholder}/{number}.png".encode()
            data = data.replace(plain, f"{name}/{number}.png".encode(encoding))
    path.write_bytes(data)
    return path


def classes_and_notes(path: Path, encoding: str | None = None) -> tuple[set[str], tuple[str, ...]]:
    with open_source(path, encoding=encoding) as source:
        return {place.class_name for place in source.plan.placements}, source.plan.notes


RUSSIAN = [
    ["кошки", "собаки"],
    ["Яблоки", "Груши"],
    ["дуб", "берёза", "сосна"],
    ["красный цвет", "синий цвет"],
    ["КОШКИ", "СОБАКИ"],
]
WESTERN = [
    ["Kätzchen", "Hündchen"],
    ["café", "thé"],
    ["señor", "niño"],
    ["Blüten", "Blätter"],
    ["pêche", "poire"],
]


@pytest.mark.parametrize("names", RUSSIAN, ids=lambda names: names[0])
@pytest.mark.parametrize("encoding", ["cp866", "cp1251"])
def test_russian_names_without_an_encoding_are_read_and_told(
    tmp_path: Path, names: list[str], encoding: str
) -> None:
    found, notes = classes_and_notes(zip_with(tmp_path / "a.zip", names, encoding))
    assert found == set(names)
    assert notes[0].startswith(f"Names in the zip have no encoding and were read as {encoding}")


@pytest.mark.parametrize(
    "names", [*RUSSIAN, ["猫", "犬"], ["고양이", "개"], ["γάτα", "σκύλος"]], ids=lambda n: n[0]
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp866"])
def test_the_unicode_path_of_an_entry_counts(tmp_path: Path, names: list[str], encoding: str) -> None:
    try:
        path = zip_with(tmp_path / "a.zip", names, encoding, unicode_path=True)
    except UnicodeEncodeError:
        path = zip_with(tmp_path / "a.zip", names, "utf-8", unicode_path=True)
    assert classes_and_notes(path) == (set(names), ())


@pytest.mark.parametrize(
    ("names", "encoding"),
    [(["łąka", "żółw"], "cp852"), (["γάτα", "σκύλος"], "cp737"), (["café", "thé"], "cp1252")],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_other_names_of_one_alphabet_are_read_and_told(
    tmp_path: Path, names: list[str], encoding: str
) -> None:
    found, notes = classes_and_notes(zip_with(tmp_path / "a.zip", names, encoding))
    assert found == set(names)
    assert f"were read as {encoding}" in notes[0]


@pytest.mark.parametrize("names", WESTERN, ids=lambda names: names[0])
@pytest.mark.parametrize("encoding", ["utf-8", "cp437"])
def test_western_names_are_read_as_before(tmp_path: Path, names: list[str], encoding: str) -> None:
    try:
        path = zip_with(tmp_path / "a.zip", names, encoding)
    except UnicodeEncodeError:
        path = zip_with(tmp_path / "a.zip", names, "utf-8")
    assert classes_and_notes(path) == (set(names), ())


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        (["猫咪", "小狗"], "gbk"),
        (["고양이", "강아지"], "cp949"),
        (["ねこ", "いぬ"], "cp932"),
        (["貓咪", "小狗"], "big5"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_named_encoding_is_used(tmp_path: Path, names: list[str], encoding: str) -> None:
    path = zip_with(tmp_path / "a.zip", names, encoding)
    assert classes_and_notes(path, encoding)[0] == set(names)
    found, notes = classes_and_notes(path)
    assert found == set(names) or "look garbled" in notes[0] or "were read as" in notes[0]


def test_names_that_no_encoding_explains_are_told_with_encodings_to_choose(tmp_path: Path) -> None:
    path = zip_with(tmp_path / "a.zip", ["\u2591\u2592\u2593", "\u2551\u2550"], "cp437")
    _found, notes = classes_and_notes(path)
    assert "Names in the zip look garbled" in notes[0]
    assert "cp866, cp1251" in notes[0]


def test_a_unicode_path_of_another_name_is_ignored(tmp_path: Path) -> None:
    path = zip_with(tmp_path / "a.zip", ["кошки", "собаки"], "cp866", unicode_path=True)
    data = path.read_bytes().replace(b"up", b"up", 1)
    at = data.index(b"up") + 5
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with open_archive(path) as archive:
        assert all(name.startswith(("кошки/", "собаки/")) for name in archive.paths)


def test_a_unicode_path_cannot_lead_outside(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(
            "cat\xe9.png".encode("cp437").decode("ascii", "replace").replace("\ufffd", "Z")
        )
        info.extra = struct.pack("<HHB", 0x7075, 18, 1) + struct.pack("<L", 0) + b"../../evil.png"[:13]
        archive.writestr(info, b"x")
    with open_archive(path) as archive:
        assert all(".." not in name for name in archive.paths)
