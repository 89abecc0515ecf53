"""Gradio's own way to read an upload, without its route."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gradio.route_utils import upload_fn
from gradio.routes import file_upload_statuses
from starlette.requests import Request


async def receive(
    request: Request, folder: Path, most: int, upload_id: str | None
) -> tuple[Sequence[str], Sequence[str]]:
    """Write the files of a form into a folder, each into one of its own, named after the content.

    Args:
        most: bytes of one file.
        upload_id: under which a page asks for the progress.

    Returns:
        The paths of the files, and of those that could not be given their name.
    """
    files, unmoved, _places = await upload_fn(
        request, str(folder), most, upload_id, upload_progress=file_upload_statuses if upload_id else None
    )
    return files, unmoved


def forget_progress(upload_id: str) -> None:
    """Let Gradio forget an upload, which it would remember until it ends."""
    file_upload_statuses.stop_tracking(upload_id)
    file_upload_statuses._signals.pop(upload_id, None)
