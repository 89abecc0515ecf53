"""Gradio's parser of uploads, used without Gradio's route."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gradio.route_utils import upload_fn
from gradio.routes import file_upload_statuses
from starlette.requests import Request


async def receive(
    request: Request, folder: Path, most: int, upload_id: str | None
) -> tuple[Sequence[str], Sequence[str]]:
    """Write the files of a form into a folder, each into a folder that is named after its content.

    Args:
        request: Request with the form.
        folder: Folder to write into.
        most: Maximum size of a file in bytes.
        upload_id: ID under which a page asks for the progress, or None.

    Returns:
        Paths of the files, and of files that could not get their name.
    """
    files, unmoved, _places = await upload_fn(
        request, str(folder), most, upload_id, upload_progress=file_upload_statuses if upload_id else None
    )
    return files, unmoved


def forget_progress(upload_id: str) -> None:
    """Remove the progress of an upload, which Gradio would keep until the app ends."""
    file_upload_statuses.stop_tracking(upload_id)
    file_upload_statuses._signals.pop(upload_id, None)
