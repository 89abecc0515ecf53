"""Files of the catalog that Gradio may serve: copies in its own folder, named after their content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from loravit_web.access.rights import is_guest
from loravit_web.adapters.files.fileset import THUMBNAIL_FILE
from loravit_web.expiry import served_folder
from loravit_web.ui.kit.uploads import upload_folder
from loravit_web.util.files import write_atomic
from loravit_web.visibility import Seen
from registry import AdapterEntry, BlobDamaged, BlobMissing, Version


def served_root(owner: str) -> Path:
    """Where copies of an owner's things are: a demo's visitor has a place that goes with their things."""
    folder = upload_folder()
    return folder / served_folder(owner) if is_guest(owner) else folder


def bundle_file(seen: Seen, version: Version) -> str:
    """The bundle as a file that Gradio may serve."""
    name, data = seen.export(version.ref)
    return str(_serve(data, name, version.owner))


def picture_link(seen: Seen, version: Version) -> str | None:
    """Where the page finds a version's thumbnail; relative, so that it holds behind any proxy."""
    data = seen.thumbnail(version)
    return _link(_serve(data, THUMBNAIL_FILE, version.owner)) if data is not None else None


def picture_links(seen: Seen, entries: Sequence[AdapterEntry]) -> Mapping[str, str]:
    """The same of the newest versions of adapters that have one, by slug.

    One that can't be read is left out: what is wrong is said where that version is opened.
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
            links[slug] = _link(path)
        except (BlobDamaged, BlobMissing):
            continue
    return links


def _link(path: Path) -> str:
    return f"gradio_api/file={quote(str(path))}"


def _place(sha256: str, name: str, owner: str) -> Path:
    return served_root(owner) / "catalog" / sha256[:32] / name


def _serve(data: bytes, name: str, owner: str) -> Path:
    """Write a file into Gradio's folder, from which it may serve, once per content; return its path."""
    path = _place(hashlib.sha256(data).hexdigest(), name, owner)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    return path
