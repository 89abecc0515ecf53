"""One adapter as one file."""

from __future__ import annotations

import contextlib
import io
import zipfile

import pytest

from loravit_web.adapters import bundles
from loravit_web.adapters.bundles import read_bundle, write_bundle
from loravit_web.adapters.format import CONFIG_FILE, TASK_FILE, WEIGHTS_FILE, AdapterFormatError

FILES = {
    CONFIG_FILE: b'{"peft_type": "LORA"}',
    WEIGHTS_FILE: bytes(range(256)) * 3,
    TASK_FILE: '{"title": "Blüten"}'.encode(),
}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_bundle_gives_the_same_bytes_back() -> None:
    assert read_bundle(write_bundle(FILES)) == FILES


def test_the_same_files_always_make_the_same_bundle() -> None:
    assert write_bundle(dict(reversed(FILES.items()))) == write_bundle(FILES)
    assert write_bundle({**FILES, TASK_FILE: b"{}"}) != write_bundle(FILES)


@pytest.mark.parametrize(
    "files",
    [
        {**FILES, "run_me.py": b""},
        {**FILES, "../escape": b""},
        {name: data for name, data in FILES.items() if name != TASK_FILE},
        {f"folder/{name}": data for name, data in FILES.items()},
        {},
    ],
    ids=["one more", "one outside", "one missing", "in a folder", "empty"],
)
def test_other_contents_are_refused_with_what_was_found(files: dict[str, bytes]) -> None:
    with pytest.raises(AdapterFormatError, match="A bundle holds exactly .*this one holds") as caught:
        read_bundle(zipped(files))
    assert str(list(files)) in str(caught.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused() -> None:
    buffer = io.BytesIO(zipped(FILES))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(TASK_FILE, b"{}")
    with pytest.raises(AdapterFormatError, match="holds exactly"):
        read_bundle(buffer.getvalue())


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"\x89PNG\r\n", write_bundle(FILES)[:-30]])
def test_a_file_that_is_no_zip_is_refused(data: bytes) -> None:
    with pytest.raises(AdapterFormatError, match="not an adapter bundle"):
        read_bundle(data)


def test_no_changed_byte_gets_through_or_crashes() -> None:
    bundle = write_bundle(FILES)
    for at in range(len(bundle)):
        for flip in (0x01, 0xFF):
            changed = bytearray(bundle)
            changed[at] ^= flip
            with contextlib.suppress(AdapterFormatError):
                assert read_bundle(bytes(changed)) == FILES, at


def test_a_file_larger_than_its_limit_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_BYTES", {**bundles.MAX_BYTES, TASK_FILE: len(FILES[TASK_FILE])})
    assert read_bundle(write_bundle(FILES)) == FILES
    bomb = {**FILES, TASK_FILE: FILES[TASK_FILE] + b" "}
    with pytest.raises(AdapterFormatError, match=f"{TASK_FILE} in the bundle is larger than"):
        read_bundle(write_bundle(bomb))
