"""Copies that the page made for download in Gradio's own folder, which Gradio does not clean up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from loravit_web.doctor.report import Check, Finding, Patient

FOLDERS = ("catalog",)
KEPT = timedelta(days=1)
"""As long as Gradio keeps what it makes itself; choosing an adapter on the page makes its copy again."""


def find(patient: Patient) -> Iterator[Finding]:
    """Copies older than a day."""
    files = _old_copies(patient)
    if files:
        size = sum(file.stat().st_size for file in files) / 1e6
        text = (
            f"{len(files)} copies for download older than a day ({size:,.1f} MB): doctor --mend removes them"
        )
        yield Finding("note", "downloads", text)


def mend(patient: Patient) -> Iterator[str]:
    """Remove them, and the folders that are empty then."""
    files = _old_copies(patient)
    for file in files:
        file.unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it
            file.parent.rmdir()
    yield f"removed {len(files)} copies for download older than a day"


def _old_copies(patient: Patient) -> list[Path]:
    uploads = patient.settings.uploads
    if uploads is None:
        return []
    return [
        file
        for name in FOLDERS
        for file in sorted((uploads / name).glob("*/*"))
        if re.fullmatch("[0-9a-f]{32}", file.parent.name)
        and file.is_file()
        and not file.is_symlink()
        and patient.now.timestamp() - file.stat().st_mtime > KEPT.total_seconds()
    ]


SERVED = Check("downloads", find, mend)
