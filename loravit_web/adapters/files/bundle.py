"""An adapter as a single file: a zip of a version's files and a manifest with their hashes.

The manifest detects damage and mixed-up files. It is not a signature: anyone who changes a file can change
the manifest too. `from_files` checks what the adapter computes in any case.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from loravit_web.adapters.files.fileset import FILE_LIMITS, check_complete, check_optional, check_size
from loravit_web.adapters.files.format import AdapterFormatError, is_version, json_document, problem_of
from loravit_web.adapters.files.numbers import InvalidValue, number
from loravit_web.util.text import clean_text
from loravit_web.util.zip_table import NoTable, TableTooLong, check_table

MANIFEST_FILE = "manifest.json"
"""Name of the manifest inside a bundle."""
MANIFEST_SCHEMA = 1
MAX_TITLE = 120
"""Maximum length of a title in characters."""
BUNDLE_LIMITS: Mapping[str, int] = {**FILE_LIMITS, MANIFEST_FILE: 1 << 20}
"""Maximum size in bytes of each file that a bundle may contain."""
_THRESHOLDS = {"unlike": (0.01, 100.0), "unsure": (0.0, 1.0)}
"""Range of each threshold."""
_SYSTEM_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
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


class NotABundle(AdapterFormatError):
    """A file that is not an adapter bundle."""


class UnsafeBundle(AdapterFormatError):
    """A zip that no export creates: other file names, duplicates, folders, or encryption."""


class BundleChanged(AdapterFormatError):
    """A bundle whose files differ from its manifest."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """An adapter on its way from one catalog to another.

    Attributes:
        name: Name (slug) of the adapter.
        title: Title at the time of the export.
        files: Content of the version's files by name, as hashed in its catalog.
        description: Description at the time of the export.
        tags: Tags at the time of the export.
        thresholds: Those of ``unlike`` and ``unsure`` that were changed after the training.
    """

    name: str
    title: str
    files: Mapping[str, bytes]
    description: str = ""
    tags: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)


def packed(bundle: Bundle) -> dict[str, bytes]:
    """Return the files of a bundle with the manifest that lists them."""
    manifest: dict[str, Any] = {
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
    if bundle.thresholds:
        manifest["thresholds"] = dict(bundle.thresholds)
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return {**bundle.files, MANIFEST_FILE: text.encode()}


def unpacked(files: Mapping[str, bytes], *, editable: Collection[str] = ()) -> Bundle:
    """Return the bundle of files and their manifest.

    Args:
        files: Content by file name, including the manifest.
        editable: Names of files that may differ from the manifest or be missing in it.

    Raises:
        AdapterFormatError: If a file is missing, unknown, or differs from the manifest.
    """
    if MANIFEST_FILE not in files:
        raise BundleChanged(
            f"The bundle has no {MANIFEST_FILE}, so it cannot be checked. Export the adapter again."
        )
    manifest = json_document(files, MANIFEST_FILE)
    if not is_version(manifest.get("schema_version"), MANIFEST_SCHEMA):
        raise AdapterFormatError(
            f"{MANIFEST_FILE} has format version {manifest.get('schema_version')}, but this app reads "
            "version "
            f"{MANIFEST_SCHEMA}. Update the app."
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
            thresholds=_thresholds(manifest.get("thresholds", {})),
        )
    except (KeyError, TypeError, AttributeError, InvalidValue) as error:
        raise BundleChanged(
            f"{MANIFEST_FILE} cannot be used ({problem_of(error)}). Export the adapter again."
        ) from error
    check_optional(content)
    return bundle


def _thresholds(entries: Mapping[str, Any]) -> dict[str, float]:
    unknown = sorted(set(entries) - set(_THRESHOLDS))
    if unknown:
        raise KeyError(unknown[0])
    return {name: number(name, value, *_THRESHOLDS[name]) for name, value in entries.items()}


def write_bundle(bundle: Bundle) -> bytes:
    """Return the bytes of a bundle as an uncompressed zip.

    Equal bundles give equal bytes on every machine.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(packed(bundle).items()):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def read_bundle_file(path: Path) -> Bundle:
    """Return the bundle in a file, after checking its size, or in a folder with its files.

    Raises:
        AdapterFormatError: If the file cannot be read, is too large, or is not a bundle; see `read_bundle`.
    """
    if path.is_dir():
        return _read_folder(path)
    try:
        size = path.stat().st_size
        if size > sum(BUNDLE_LIMITS.values()) + _OVERHEAD:
            raise NotABundle(
                f"{path.name} is too large for an adapter bundle ({size >> 20} MB). Choose another file."
            )
        with path.open("rb") as stream:
            return _read_stream(stream)
    except OSError as error:
        raise NotABundle(f"{path.name} cannot be read ({error.strerror}). Choose another file.") from error


def _read_folder(folder: Path) -> Bundle:
    files = {}
    try:
        for name, limit in BUNDLE_LIMITS.items():
            if (folder / name).is_file():
                with (folder / name).open("rb") as stream:
                    files[name] = stream.read(limit + 1)
                if name != MANIFEST_FILE:
                    check_size(name, len(files[name]))
    except OSError as error:
        raise NotABundle(
            f"{folder.name} cannot be read ({error.strerror}). Choose another folder."
        ) from error
    check_complete(list(files), "The folder")
    return unpacked(files)


def read_bundle(data: bytes) -> Bundle:
    """Return the bundle in the bytes of a zip. Nothing is written to disk.

    Raises:
        AdapterFormatError: If the data is not a zip, contains unknown files, or a file is too large or was
            changed.
    """
    return _read_stream(io.BytesIO(data))


def _read_stream(stream: BinaryIO) -> Bundle:
    try:
        check_table(stream, _MAX_ENTRIES)
        with zipfile.ZipFile(stream) as archive:
            entries = _entries_of(archive)
            _check_entries(list(entries))
            files = {name: _read(archive, info, name) for name, info in entries}
    except TableTooLong as error:
        raise UnsafeBundle(
            f"The bundle contains more than {_MAX_ENTRIES} files. Choose a zip that was exported from a "
            "catalog."
        ) from error
    except (*_DAMAGED, NoTable) as error:
        raise NotABundle(
            "The file is not an adapter bundle, or it is damaged. Choose a zip exported from a catalog."
        ) from error
    return unpacked(files)


def _entries_of(archive: zipfile.ZipFile) -> list[tuple[str, zipfile.ZipInfo]]:
    """Return the entries by name, without the folder that they were zipped with and files of macOS."""
    entries = [
        (info.filename, info)
        for info in archive.infolist()
        if not info.is_dir()
        and not info.filename.startswith("__MACOSX/")
        and info.filename.rpartition("/")[2] not in _SYSTEM_FILES
    ]
    tops = {name.partition("/")[0] for name, _ in entries}
    wrapped = len(tops) == 1 and all(name.count("/") == 1 for name, _ in entries)
    top = tops.pop() if wrapped else ""
    if top in ("", ".", ".."):
        return entries
    return [(name.partition("/")[2], info) for name, info in entries]


def _check_entries(named: Sequence[tuple[str, zipfile.ZipInfo]]) -> None:
    names = [name for name, _ in named]
    entries = [entry for _, entry in named]
    unknown = [name for name in names if name not in BUNDLE_LIMITS]
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise UnsafeBundle(
            f"The bundle contains {unknown[0][:_SHOWN]!r}{more}, which is not a file of an adapter. Choose a "
            "zip that was exported from a catalog."
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UnsafeBundle(f"The bundle contains {twice[0]} twice. Export the adapter again.")
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise UnsafeBundle("The bundle is encrypted. Export the adapter again, or zip it without a password.")
    if any(entry.compress_type not in _COMPRESSIONS for entry in entries):
        raise UnsafeBundle(
            "The bundle uses an unsupported compression. Zip it with Deflate or without compression."
        )
    check_complete(names, "The file")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bytes:
    # Limited while reading, because the sizes in a zip's table may be wrong.
    with archive.open(entry) as file:
        data = file.read(BUNDLE_LIMITS[name] + 1)
    if name != MANIFEST_FILE:
        check_size(name, len(data))
    elif len(data) > BUNDLE_LIMITS[MANIFEST_FILE]:
        raise UnsafeBundle(f"{MANIFEST_FILE} is larger than 1 MB. Export the adapter again.")
    return data


def _check_against(
    listed: Mapping[str, Mapping[str, Any]], files: Mapping[str, bytes], editable: Collection[str]
) -> None:
    for name in sorted({*listed, *files} - set(editable)):
        if name not in files:
            raise BundleChanged(f"{MANIFEST_FILE} lists {name}, which is missing. Export the adapter again.")
        if name not in listed:
            raise BundleChanged(f"{name} is not listed in {MANIFEST_FILE}. Export the adapter again.")
        if hashlib.sha256(files[name]).hexdigest() != listed[name]["sha256"]:
            raise BundleChanged(f"{name} differs from its hash in {MANIFEST_FILE}. Export the adapter again.")


def _storable(text: str) -> str:
    return text.encode(errors="replace").decode()  # lone surrogates cannot be encoded
