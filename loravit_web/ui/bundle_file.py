"""Bundles as files that Gradio may serve."""

from __future__ import annotations

from pathlib import Path

from gradio.utils import get_upload_folder

from loravit_web.files import write_whole
from loravit_web.service import Service
from registry import Version


def bundle_file(service: Service, version: Version) -> str:
    """The bundle in Gradio's cache, written once per version."""
    folder = Path(get_upload_folder()) / "bundles" / version.manifest_sha256[:32]
    name, data = service.export(version.ref)
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    return str(path)
