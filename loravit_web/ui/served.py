"""Files of the catalog that Gradio may serve: copies in its own folder, named after their content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from gradio.utils import get_upload_folder

from loravit_web.adapters.fileset import THUMBNAIL_FILE
from loravit_web.files import write_whole
from loravit_web.service import Service
from registry import AdapterEntry, BlobDamaged, BlobMissing, Version


def bundle_file(service: Service, version: Version) -> str:
    """The bundle as a file that Gradio may serve."""
    name, data = service.export(version.ref)
    return str(_served(data, name))


def picture_link(service: Service, version: Version) -> str | None:
    """Where the page finds a version's thumbnail; relative, so that it holds behind any proxy."""
    data = service.thumbnail(version)
    return _link(_served(data, THUMBNAIL_FILE)) if data is not None else None


def picture_links(service: Service, entries: Sequence[AdapterEntry]) -> Mapping[str, str]:
    """The same of the newest versions of adapters that have one, by slug.

    One that can't be read is left out: what is wrong is said where that version is opened.
    """
    catalog = service.registry.catalog
    newest = {one.slug: one.newest.version for one in entries if one.newest is not None}
    links = {}
    for slug, sha256 in catalog.files_named(THUMBNAIL_FILE, newest).items():
        path = _place(sha256, THUMBNAIL_FILE)
        try:
            links[slug] = _link(path if path.exists() else _served(catalog.read_blob(sha256), THUMBNAIL_FILE))
        except (BlobDamaged, BlobMissing):
            continue
    return links


def _link(path: Path) -> str:
    return f"gradio_api/file={quote(str(path))}"


def _place(sha256: str, name: str) -> Path:
    return Path(get_upload_folder()) / "catalog" / sha256[:32] / name


def _served(data: bytes, name: str) -> Path:
    """A file in Gradio's cache, from which it may serve; written once per content."""
    path = _place(hashlib.sha256(data).hexdigest(), name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    return path
