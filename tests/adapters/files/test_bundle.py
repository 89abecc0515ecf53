"""An adapter as a single file: read back exactly, or rejected with a reason."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from loravit_web.adapters.files import bundle as bundles
from loravit_web.adapters.files.bundle import (
    MANIFEST_FILE,
    Bundle,
    BundleChanged,
    NotABundle,
    UnsafeBundle,
    packed,
    read_bundle,
    read_bundle_file,
    unpacked,
    write_bundle,
)
from loravit_web.adapters.files.fileset import CARD_FILE, THUMBNAIL_FILE, FilesMissing, PlainPeftAdapter
from loravit_web.adapters.files.format import CONFIG_FILE, TASK_FILE, WEIGHTS_FILE, AdapterFormatError
from loravit_web.adapters.files.thumbnail import contact_sheet

FILES = {
    CONFIG_FILE: b'{"peft_type": "LORA"}',
    WEIGHTS_FILE: bytes(range(256)) * 3,
    TASK_FILE: '{"title": "Blüten"}'.encode(),
    CARD_FILE: "# Blüten\n".encode(),
    THUMBNAIL_FILE: contact_sheet([Image.new("RGB", (9, 9), (200, 0, 0))]),
}
BUNDLE = Bundle("bluten", "Blüten", FILES, "Flowers of the\ngarden.", ("garden", "small"))


def zipped(files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def without(*names: str) -> dict[str, bytes]:
    return {name: data for name, data in packed(BUNDLE).items() if name not in names}


def with_manifest(**changes: Any) -> dict[str, bytes]:
    files = packed(BUNDLE)
    return {**files, MANIFEST_FILE: json.dumps({**json.loads(files[MANIFEST_FILE]), **changes}).encode()}


def test_a_bundle_survives_a_round_trip() -> None:
    assert read_bundle(write_bundle(BUNDLE)) == BUNDLE


def test_a_bundle_that_was_zipped_again_is_the_same_bundle() -> None:
    assert read_bundle(zipped(dict(reversed(packed(BUNDLE).items())))) == BUNDLE


def test_card_and_thumbnail_are_optional() -> None:
    small = replace(BUNDLE, files={n: FILES[n] for n in (CONFIG_FILE, WEIGHTS_FILE, TASK_FILE)})
    assert read_bundle(write_bundle(small)) == small


def test_equal_adapters_give_equal_bytes_and_others_do_not() -> None:
    shuffled = replace(BUNDLE, files=dict(reversed(FILES.items())), tags=("small", "garden"))
    assert write_bundle(shuffled) == write_bundle(BUNDLE)
    assert write_bundle(replace(BUNDLE, files={**FILES, TASK_FILE: b"{}"})) != write_bundle(BUNDLE)
    # a fixed hash detects differences between versions of Python or zlib
    simple = Bundle("a", "A", {CONFIG_FILE: b"{}", WEIGHTS_FILE: b"w", TASK_FILE: b"{}"})
    assert hashlib.sha256(write_bundle(simple)).hexdigest()[:16] == "3c243579a7b19552"


@pytest.mark.parametrize(
    ("files", "error", "sentence"),
    [
        (
            {**without(), "run_me.py": b""},
            UnsafeBundle,
            "The bundle contains 'run_me.py', which is not a file of an adapter",
        ),
        (
            {**without(), "../escape": b"", "x": b""},
            UnsafeBundle,
            "The bundle contains '../escape' and 1 more, which is not a file of an adapter",
        ),
        (
            {**without(), "/task.json": b""},
            UnsafeBundle,
            r"The bundle contains '/task.json', which is not a file of an adapter",
        ),
        (
            {f"a/pets/{name}": data for name, data in without().items()},
            UnsafeBundle,
            r"The bundle contains 'a/pets/adapter_config.json' and \d more, which is not a file of an",
        ),
        (without(TASK_FILE, MANIFEST_FILE), PlainPeftAdapter, "plain PEFT adapter.*load_all_adapters"),
        (without(WEIGHTS_FILE), FilesMissing, f"not an adapter. Add the missing {WEIGHTS_FILE}"),
        ({}, FilesMissing, f"Add the missing {CONFIG_FILE} and {WEIGHTS_FILE} and {TASK_FILE}"),
        (without(MANIFEST_FILE), BundleChanged, f"The bundle has no {MANIFEST_FILE}"),
        (without(CARD_FILE), BundleChanged, f"lists {CARD_FILE}, which is missing"),
    ],
)
def test_other_contents_are_rejected_with_the_reason(
    files: dict[str, bytes], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        read_bundle(zipped(files))


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_changed_file_is_rejected_by_name(name: str) -> None:
    files = packed(BUNDLE)
    with pytest.raises(BundleChanged, match=f"{name} differs from its hash in {MANIFEST_FILE}"):
        read_bundle(zipped({**files, name: files[name] + b" "}))


def test_an_added_file_is_rejected_by_name() -> None:
    manifest = json.loads(packed(BUNDLE)[MANIFEST_FILE])
    del manifest["files"][THUMBNAIL_FILE]
    with pytest.raises(BundleChanged, match=f"{THUMBNAIL_FILE} is not listed in {MANIFEST_FILE}"):
        read_bundle(zipped(with_manifest(files=manifest["files"])))


def test_only_editable_files_may_differ() -> None:
    edited = {**packed(BUNDLE), CARD_FILE: b"# Mine"}
    assert unpacked(edited, editable=(CARD_FILE,)).files[CARD_FILE] == b"# Mine"
    assert CARD_FILE not in unpacked(without(CARD_FILE), editable=(CARD_FILE,)).files
    with pytest.raises(BundleChanged, match=TASK_FILE):
        unpacked({**edited, TASK_FILE: b"{}"}, editable=(CARD_FILE,))


@pytest.mark.parametrize(
    "changes",
    [
        {"files": None},
        {"files": {**dict.fromkeys(FILES, "x")}},
        {"files": {name: {} for name in FILES}},
        {"files": []},
        {"title": 5},
        {"description": None},
        {"tags": 7},
    ],
)
def test_an_invalid_manifest_is_rejected(changes: dict[str, Any]) -> None:
    with pytest.raises(BundleChanged, match=MANIFEST_FILE):
        read_bundle(zipped(with_manifest(**changes)))


@pytest.mark.parametrize("manifest", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_a_manifest_that_is_not_a_json_object_is_rejected(manifest: bytes) -> None:
    with pytest.raises(AdapterFormatError, match=f"{MANIFEST_FILE} is not"):
        read_bundle(zipped({**packed(BUNDLE), MANIFEST_FILE: manifest}))


def test_a_manifest_of_a_later_version_is_rejected() -> None:
    with pytest.raises(
        AdapterFormatError, match="manifest.json has format version 2, but this app reads version 1"
    ):
        read_bundle(zipped(with_manifest(schema_version=2)))


def test_texts_that_a_database_cannot_store_are_made_storable() -> None:
    bundle = read_bundle(zipped(with_manifest(title="a\ud800\n b" + "c" * 200, description="\udfff")))
    assert bundle.title == "a? b" + "c" * 116
    assert bundle.description == "?"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_duplicate_file_is_rejected() -> None:
    buffer = io.BytesIO(write_bundle(BUNDLE))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(TASK_FILE, b"{}")
    with pytest.raises(UnsafeBundle, match=f"contains {TASK_FILE} twice"):
        read_bundle(buffer.getvalue())


def test_an_encrypted_bundle_is_rejected() -> None:
    data = bytearray(write_bundle(BUNDLE))
    at = data.index(b"PK\x01\x02") + 8
    data[at : at + 2] = struct.pack("<H", 1)
    with pytest.raises(UnsafeBundle, match="encrypted"):
        read_bundle(bytes(data))


def test_an_unsupported_compression_is_rejected() -> None:
    with pytest.raises(UnsafeBundle, match="The bundle uses an unsupported compression"):
        read_bundle(zipped(packed(BUNDLE), zipfile.ZIP_LZMA))


def test_a_huge_table_of_contents_is_rejected_without_reading_it() -> None:
    entry = b"PK\x01\x02" + bytes(42)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, len(entry) * 2000, 0, 0)
    with pytest.raises(UnsafeBundle, match="The bundle contains more than 1000 files"):
        read_bundle(entry * 2000 + end)


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"\x89PNG\r\n", write_bundle(BUNDLE)[:-30]])
def test_a_file_that_is_not_a_zip_is_rejected(data: bytes) -> None:
    with pytest.raises(NotABundle, match="not an adapter bundle"):
        read_bundle(data)


def test_every_changed_byte_is_detected_without_a_crash() -> None:
    bundle = write_bundle(BUNDLE)
    for at in range(len(bundle)):
        for flip in (0x01, 0xFF):
            changed = bytearray(bundle)
            changed[at] ^= flip
            try:
                assert read_bundle(bytes(changed)) == BUNDLE, at
            except AdapterFormatError:
                continue


def test_a_file_larger_than_its_limit_is_rejected_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped({**packed(BUNDLE), TASK_FILE: bytes(5 << 20)})
    assert len(bomb) < 100_000
    with pytest.raises(AdapterFormatError, match=f"{TASK_FILE} is larger than 4 MB"):
        read_bundle(bomb)
    with pytest.raises(UnsafeBundle, match=f"{MANIFEST_FILE} is larger than 1 MB"):
        read_bundle(zipped({**packed(BUNDLE), MANIFEST_FILE: bytes(2 << 20)}))


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        (CARD_FILE, b"\xff\xfe", "README.md is not UTF-8 text"),
        (THUMBNAIL_FILE, b"<svg onload=alert(1)>", "thumbnail.webp is not a WEBP image"),
        (THUMBNAIL_FILE, FILES[THUMBNAIL_FILE][:40], "thumbnail.webp cannot be shown"),
        (THUMBNAIL_FILE, b"", "thumbnail.webp is not a WEBP image"),
    ],
)
def test_an_invalid_card_or_thumbnail_is_rejected(name: str, data: bytes, sentence: str) -> None:
    with pytest.raises(AdapterFormatError, match=sentence):
        read_bundle(write_bundle(replace(BUNDLE, files={**FILES, name: data})))


def test_a_thumbnail_that_is_too_large_is_rejected() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (2000, 2000)).save(buffer, "WEBP")
    with pytest.raises(AdapterFormatError, match="thumbnail.webp cannot be shown"):
        read_bundle(write_bundle(replace(BUNDLE, files={**FILES, THUMBNAIL_FILE: buffer.getvalue()})))


def test_a_file_that_is_too_large_for_a_bundle_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pets.zip"
    path.write_bytes(write_bundle(BUNDLE))
    assert read_bundle_file(path) == BUNDLE
    monkeypatch.setattr(bundles, "BUNDLE_LIMITS", {})
    monkeypatch.setattr(bundles, "_OVERHEAD", 100)
    with pytest.raises(NotABundle, match=r"pets\.zip is too large"):
        read_bundle_file(path)
    with pytest.raises(NotABundle, match=r"none cannot be read \(No such file or directory\)"):
        read_bundle_file(tmp_path / "none")


@pytest.mark.parametrize("top", ["pets/", "my flowers/"])
def test_a_bundle_that_was_zipped_again_by_a_mac_is_read(tmp_path: Path, top: str) -> None:
    path = tmp_path / "again.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(top, b"")
        archive.writestr(f"{top}.DS_Store", b"x")
        for name, data in packed(BUNDLE).items():
            archive.writestr(f"{top}{name}", data)
            archive.writestr(f"__MACOSX/{top}._{name}", b"x")
    assert read_bundle_file(path) == BUNDLE


def test_the_folder_of_a_bundle_is_read(tmp_path: Path) -> None:
    for name, data in packed(BUNDLE).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert read_bundle_file(tmp_path) == BUNDLE
    with pytest.raises(FilesMissing, match="The folder is not an adapter"):
        read_bundle_file(tmp_path.parent)
