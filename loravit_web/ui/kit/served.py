"""Copies of catalog files in the folder from which Gradio may serve files, named by content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from loravit_web.access.rights import is_guest
from loravit_web.adapters.files.fileset import THUMBNAIL_FILE
from loravit_web.datasets import ImageDataset, ImageItem
from loravit_web.expiry import served_folder
from loravit_web.images.loading import encode_webp, load_stored
from loravit_web.ui.kit.uploads import upload_folder
from loravit_web.util.files import write_atomic
from loravit_web.visibility import Seen
from registry import AdapterEntry, BlobDamaged, BlobMissing, Version

_PICTURE_SIDE = 1280
"""Maximum length of the longer side of a training image that is opened in Use, in pixels."""


def served_root(owner: str) -> Path:
    """Return the folder for copies of an owner's files.

    Each visitor of a demo has a separate folder, which is deleted with the visitor's data.
    """
    folder = upload_folder()
    return folder / served_folder(owner) if is_guest(owner) else folder


def bundle_file(seen: Seen, version: Version) -> str:
    """Write the bundle of a version as a file that Gradio may serve, and return its path."""
    name, data = seen.export(version.ref)
    return str(_serve(data, name, version.owner))


def thumbnail_link(seen: Seen, version: Version) -> str | None:
    """Return the link to a version's thumbnail, or None; relative, so that it is valid behind any proxy."""
    data = seen.thumbnail(version)
    return file_link(_serve(data, THUMBNAIL_FILE, version.owner)) if data is not None else None


def thumbnail_links(seen: Seen, entries: Sequence[AdapterEntry]) -> Mapping[str, str]:
    """Return the links to the thumbnails of the newest versions, by slug.

    Adapters without a thumbnail are missing, and those whose thumbnail cannot be read; the card of such a
    version reports the error.
    """
    catalog = seen.registry.catalog
    owners = {one.slug: one.owner for one in entries}
    newest = {one.slug: one.newest.version for one in entries if one.newest is not None}
    links = {}
    for slug, sha256 in catalog.files_named(THUMBNAIL_FILE, newest).items():
        path = _place(sha256, THUMBNAIL_FILE, owners[slug])
        try:
            if not path.exists():
                path = _serve(catalog.read_blob(sha256), THUMBNAIL_FILE, owners[slug])
            links[slug] = file_link(path)
        except (BlobDamaged, BlobMissing):
            continue
    return links


def page_image_link(image: Path) -> str:
    """Return the link to an image of the app itself."""
    return file_link(_serve(image.read_bytes(), image.name, ""))


def file_link(path: Path | str) -> str:
    """Return the link to a file that Gradio may serve; relative, so that it is valid behind any proxy."""
    return f"gradio_api/file={quote(str(path))}"


def folder_of(dataset: ImageDataset) -> Path:
    """Return the folder for copies of a dataset's images."""
    return served_root(dataset.owner) if dataset.owner is not None else upload_folder()


def stored_picture(dataset: ImageDataset, item: ImageItem) -> dict[str, Any]:
    """Return an image of a dataset as the page sends an uploaded one, and write its file.

    Raises:
        ImageError: If the image cannot be read.
    """
    path = folder_of(dataset) / "images" / item.sha256[:32] / "image.webp"  # a format that browsers show
    if path.exists():
        os.utime(path)  # Gradio deletes old files
    else:
        image = load_stored(dataset.image_path(item), tracked=True)
        image.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, encode_webp(image, quality=95))
    name = Path(item.path).stem or "image"
    return {
        "path": str(path),
        "url": file_link(path),
        "orig_name": f"{name}.webp",
        "mime_type": "image/webp",
    }


def _place(sha256: str, name: str, owner: str) -> Path:
    return served_root(owner) / "catalog" / sha256[:32] / name


def _serve(data: bytes, name: str, owner: str) -> Path:
    """Write a file, once per content, into the folder from which Gradio may serve; return its path."""
    path = _place(hashlib.sha256(data).hexdigest(), name, owner)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    return path
