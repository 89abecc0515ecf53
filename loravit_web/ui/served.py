"""Files of the catalog that Gradio may serve: copies in its own folder, named after their content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import quote

from gradio.utils import get_upload_folder

from loravit_web.adapters.fileset import THUMBNAIL_FILE
from loravit_web.files import write_whole
from loravit_web.service import Service
from registry import Version


def bundle_file(service: Service, version: Version) -> str:
    """The bundle as a file that Gradio may serve."""
    name, data = service.export(version.ref)
    return str(_served(data, name))


def picture_link(service: Service, version: Version) -> str | None:
    """Where the page finds a version's thumbnail; relative, so that it holds behind any proxy."""
    data = service.thumbnail(version)
    return f"gradio_api/file={quote(str(_served(data, THUMBNAIL_FILE)))}" if data is not None else None


def _served(data: bytes, name: str) -> Path:
    """A file in Gradio's cache, from which it may serve; written once per content."""
    path = Path(get_upload_folder()) / "catalog" / hashlib.sha256(data).hexdigest()[:32] / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    return path
