"""One adapter as one file: a zip of its folder."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from loravit_web.adapters.format import FILES, MAX_BYTES, AdapterFormatError

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_bundle(files: Mapping[str, bytes]) -> bytes:
    """Zip the files of an adapter; the same files always give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def read_bundle_file(path: Path) -> dict[str, bytes]:
    """`read_bundle` on a file, whose size is looked at before it is read.

    Raises:
        AdapterFormatError: also if the file can't be read or is larger than any bundle.
    """
    try:
        size = path.stat().st_size
        if size > sum(MAX_BYTES.values()):
            raise AdapterFormatError(f"{path.name} is too large to be an adapter bundle ({size >> 20} MB).")
        return read_bundle(path.read_bytes())
    except OSError as error:
        raise AdapterFormatError(f"{path.name} can't be read ({error.strerror}).") from error


def read_bundle(data: bytes) -> dict[str, bytes]:
    """The adapter's files from a bundle; nothing is written to disk.

    Raises:
        AdapterFormatError: if it is no zip, holds anything else, or a file is too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if sorted(names) != sorted(FILES):
                raise AdapterFormatError(
                    f"A bundle holds exactly {', '.join(FILES)}: this one holds {names}."
                )
            return {name: _read(archive, name) for name in FILES}
    except _DAMAGED as error:
        raise AdapterFormatError(
            "The file is not an adapter bundle: choose a zip that was exported from a catalog."
        ) from error


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    limit = MAX_BYTES[name]
    with archive.open(name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise AdapterFormatError(f"{name} in the bundle is larger than {limit >> 20} MB.")
    return data
