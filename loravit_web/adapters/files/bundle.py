"""One adapter as one file: a zip of a version's files and a manifest that knows each of them by its hash.

The manifest finds damage and mix-ups. It is no signature: who changes a file can change it too. What an
adapter computes is checked by `from_files` all the same.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from loravit_web.adapters.files.fileset import FILE_LIMITS, check_complete, check_optional, check_size
from loravit_web.adapters.files.format import AdapterFormatError, is_version, json_document, what_is_wrong
from loravit_web.util.text import clean_text
from loravit_web.util.zip_table import NoTable, TableTooLong, check_table

MANIFEST_FILE = "manifest.json"
MANIFEST_SCHEMA = 1
MAX_TITLE = 120
BUNDLE_LIMITS: Mapping[str, int] = {**FILE_LIMITS, MANIFEST_FILE: 1 << 20}
_OVERHEAD = 1 << 20
_MAX_ENTRIES = 1000
_SHOWN = 80
_ENCRYPTED = 0x1 | 0x40
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


class NoBundle(AdapterFormatError):
    """Something else than an adapter bundle."""


class UnsafeBundle(AdapterFormatError):
    """A zip that no export makes: files of other names, the same twice, in folders, or encrypted."""


class BundleChanged(AdapterFormatError):
    """A bundle whose files are not those that its manifest was written for."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """An adapter on its way from one catalog to another.

    Attributes:
        name: its slug.
        title, description, tags: for people, as they were when it was exported.
        files: of the version, as its catalog hashed them.
    """

    name: str
    title: str
    files: Mapping[str, bytes]
    description: str = ""
    tags: tuple[str, ...] = ()


def packed(bundle: Bundle) -> dict[str, bytes]:
    """The files of a bundle and the manifest that lists them."""
    manifest = {
        "schema_version": MANIFEST_SCHEMA,
        "name": bundle.name,
        "title": bundle.title,
        "description": bundle.description,
        "tags": sorted(bundle.tags),
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in bundle.files.items()
        },
    }
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return {**bundle.files, MANIFEST_FILE: text.encode()}


def unpacked(files: Mapping[str, bytes], *, editable: Collection[str] = ()) -> Bundle:
    """The bundle that files and their manifest make.

    Args:
        editable: files that may differ from the manifest, or be there without it.

    Raises:
        AdapterFormatError: if one is missing, too much, or another than the manifest says.
    """
    if MANIFEST_FILE not in files:
        raise BundleChanged(
            f"The bundle lacks {MANIFEST_FILE}, so nothing says whether it is whole: export it again."
        )
    manifest = json_document(files, MANIFEST_FILE)
    if not is_version(manifest.get("schema_version"), MANIFEST_SCHEMA):
        raise AdapterFormatError(
            f"{MANIFEST_FILE} is of version {manifest.get('schema_version')}, this program reads version "
            f"{MANIFEST_SCHEMA}: update the program."
        )
    content = {name: data for name, data in files.items() if name != MANIFEST_FILE}
    try:
        _check_against(manifest["files"], content, editable)
        bundle = Bundle(
            name=str(manifest["name"]),
            title=clean_text(_storable(manifest["title"]))[:MAX_TITLE],
            files=content,
            description=_storable(manifest["description"]),
            tags=tuple(sorted({str(tag) for tag in manifest["tags"]})),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleChanged(
            f"{MANIFEST_FILE} can't be used ({what_is_wrong(error)}): export the adapter again."
        ) from error
    check_optional(content)
    return bundle


def write_bundle(bundle: Bundle) -> bytes:
    """Zip a bundle; the same bundle gives the same bytes everywhere, so nothing is compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(packed(bundle).items()):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def read_bundle_file(path: Path) -> Bundle:
    """`read_bundle` on a file, whose size is looked at before it is read.

    Raises:
        AdapterFormatError: also if the file can't be read or is larger than any bundle.
    """
    try:
        size = path.stat().st_size
        if size > sum(BUNDLE_LIMITS.values()) + _OVERHEAD:
            raise NoBundle(f"{path.name} is too large to be an adapter bundle ({size >> 20} MB).")
        with path.open("rb") as stream:
            return _read_stream(stream)
    except OSError as error:
        raise NoBundle(f"{path.name} can't be read ({error.strerror}).") from error


def read_bundle(data: bytes) -> Bundle:
    """The adapter in a bundle; nothing is written to disk.

    Raises:
        AdapterFormatError: if it is no zip, holds anything else, or a file is too large or was changed.
    """
    return _read_stream(io.BytesIO(data))


def _read_stream(stream: BinaryIO) -> Bundle:
    try:
        check_table(stream, _MAX_ENTRIES)
        with zipfile.ZipFile(stream) as archive:
            _check_entries(archive.infolist())
            files = {info.filename: _read(archive, info) for info in archive.infolist()}
    except TableTooLong as error:
        raise UnsafeBundle(
            "The bundle holds thousands of files: choose a zip that was exported from a catalog."
        ) from error
    except (*_DAMAGED, NoTable) as error:
        raise NoBundle(
            "The file is not an adapter bundle or is damaged: choose a zip that was exported from a catalog."
        ) from error
    return unpacked(files)


def _check_entries(entries: Sequence[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    unknown = [name for name in names if name not in BUNDLE_LIMITS]
    if unknown and all(name.rpartition("/")[2] in {"", *BUNDLE_LIMITS} for name in names):
        raise UnsafeBundle(
            f"The files of the bundle lie in a folder ({unknown[0][:_SHOWN]}): zip the files themselves, "
            "without it."
        )
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise UnsafeBundle(
            f"The bundle holds {unknown[0][:_SHOWN]!r}{more}, which no exported adapter has: choose a "
            "zip that was exported from a catalog."
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UnsafeBundle(f"The bundle holds {twice[0]} twice: export it again.")
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise UnsafeBundle("The bundle is encrypted: export it again, or pack it without a password.")
    if any(entry.compress_type not in _COMPRESSIONS for entry in entries):
        raise UnsafeBundle("The bundle is packed in an unusual way: pack it as an ordinary zip.")
    check_complete(names, "The file")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    # counted while reading: what the zip says of sizes may be a lie
    with archive.open(entry) as file:
        data = file.read(BUNDLE_LIMITS[entry.filename] + 1)
    if entry.filename != MANIFEST_FILE:
        check_size(entry.filename, len(data))
    elif len(data) > BUNDLE_LIMITS[MANIFEST_FILE]:
        raise UnsafeBundle(f"{MANIFEST_FILE} is too large: export the adapter again.")
    return data


def _check_against(
    listed: Mapping[str, Mapping[str, Any]], files: Mapping[str, bytes], editable: Collection[str]
) -> None:
    for name in sorted({*listed, *files} - set(editable)):
        if name not in files:
            raise BundleChanged(f"{MANIFEST_FILE} lists {name}, which is missing: export the adapter again.")
        if name not in listed:
            raise BundleChanged(
                f"{name} is not in {MANIFEST_FILE}: somebody added it; export the adapter again."
            )
        if hashlib.sha256(files[name]).hexdigest() != listed[name]["sha256"]:
            raise BundleChanged(
                f"{name} is not the file that {MANIFEST_FILE} was written for: it is damaged or was changed."
            )


def _storable(text: str) -> str:
    return text.encode(errors="replace").decode()  # lone surrogates can't be stored
