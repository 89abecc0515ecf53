"""Small distinct images, folders and zips for the tests of datasets."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image


def png(number: int) -> bytes:
    """Return a small image that differs for every number."""
    values = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def images(paths: Iterable[str]) -> dict[str, bytes]:
    """Return a distinct image for every path."""
    return {path: png(number) for number, path in enumerate(paths)}


CATS_AND_DOGS = images(["cat/1.png", "cat/2.png", "cat/3.png", "dog/1.png", "dog/2.png"])


def folder_of(root: Path, files: Mapping[str, bytes]) -> Path:
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return root


def zip_of(path: Path, files: Mapping[str | zipfile.ZipInfo, bytes] | Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content, compress_type=zipfile.ZIP_DEFLATED)
    return path
