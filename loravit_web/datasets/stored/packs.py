"""Packs: the files of a stored dataset in a few large files, by which other machines get it.

A dataset has thousands of small images, and a bucket takes longer for a request than for the bytes of one.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from loravit_web.datasets.errors import DatasetDamaged
from loravit_web.datasets.records import ImageDataset
from loravit_web.datasets.stored.imports import IMPORTS
from loravit_web.datasets.stored.manifest import MANIFEST
from loravit_web.datasets.stored.uploaders import UPLOADER_FILE, Uploader, read_uploader, write_uploader

RECORDS = "records.tar"
"""File with manifest and names, which is stored last: with it, all images are there."""
IMAGES = "images-{:04d}.tar"
"""Files with images, counted from 1."""
PACK_BYTES = 32 << 20
"""Size of the images of a pack from which it is complete."""
_IMAGE = re.compile(r"images/(?P<shelf>[0-9a-f]{2})/(?P<sha256>(?P=shelf)[0-9a-f]{62})\.[a-z]{2,5}")
_RECORD = re.compile(rf"{re.escape(MANIFEST)}|{IMPORTS}/[0-9a-f]{{1,64}}\.json|{re.escape(UPLOADER_FILE)}")


def image_packs(dataset: ImageDataset) -> Iterator[bytes]:
    """Yield the images of a dataset as tar files. The same images always give the same bytes.

    Raises:
        OSError: If an image cannot be read.
    """
    paths = sorted({dataset.image_path(item) for item in dataset.items})
    chosen: list[Path] = []
    size = 0
    for path in paths:
        chosen.append(path)
        size += path.stat().st_size
        if size >= PACK_BYTES:
            yield _tar(dataset.root, chosen)
            chosen, size = [], 0
    if chosen:
        yield _tar(dataset.root, chosen)


def records_pack(dataset: ImageDataset, scratch: Path) -> bytes:
    """Return manifest, imports and uploader of a dataset as a tar file, without paths of uploads.

    Args:
        dataset: The dataset.
        scratch: Empty folder for a file that is written meanwhile.

    Raises:
        OSError: If a file cannot be read.
    """
    files = [dataset.root / MANIFEST, *sorted((dataset.root / IMPORTS).glob("*.json"))]
    extra: list[Path] = []
    uploader = read_uploader(dataset.root)
    if uploader is not None:
        write_uploader(scratch, Uploader(uploader.name, uploader.source))
        extra = [scratch / UPLOADER_FILE]
    return _tar(dataset.root, files, scratch, extra)


def unpack(pack: bytes, folder: Path) -> None:
    """Write the files of a pack to a folder, and check each image against the hash in its name.

    Raises:
        DatasetDamaged: If the pack has a file that no dataset has, or an image has changed.
        OSError: If a file cannot be written.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(pack), mode="r:") as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise _damaged(member.name)
                _write(folder, member.name, stream.read())
    except tarfile.TarError as error:
        raise _damaged(str(error)) from error


def _write(folder: Path, name: str, data: bytes) -> None:
    image = _IMAGE.fullmatch(name)
    if image is None and _RECORD.fullmatch(name) is None:
        raise _damaged(name)
    if image is not None and hashlib.sha256(data).hexdigest() != image["sha256"]:
        raise _damaged(name)
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def _tar(
    root: Path, files: Sequence[Path], other_root: Path | None = None, others: Sequence[Path] = ()
) -> bytes:
    buffer = io.BytesIO()
    named = [(path, path.relative_to(root)) for path in files]
    if other_root is not None:
        named += [(path, path.relative_to(other_root)) for path in others]
    with tarfile.open(fileobj=buffer, mode="w:", format=tarfile.GNU_FORMAT) as tar:
        for path, name in named:
            data = path.read_bytes()
            entry = tarfile.TarInfo(name.as_posix())  # without times and owners, which differ
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _damaged(name: str) -> DatasetDamaged:
    return DatasetDamaged(
        f"The stored images are damaged ({name[:80]}). Import them again on the machine of the app."
    )
