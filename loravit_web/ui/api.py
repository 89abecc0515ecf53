"""The HTTP interface: ``/tasks`` and ``/classify``, for gradio_client and plain HTTP alike.

Neither needs Gradio's queue: ``POST /gradio_api/run/classify`` has the answer in one trip. Any text goes with
it as ``session_hash``: without, Gradio describes the whole page for a session that it forgets again.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api
from gradio.utils import get_upload_folder
from PIL import Image

from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.serving.answers import Answer
from loravit_web.ui.kit.errors import toast, told
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.kit.waiting import Waiting
from loravit_web.visibility import Seen
from registry import RegistryError

MAX_LABELS = 1000


class BadRequest(LoraVitError):
    """An argument of another kind than the interface takes."""


class UnreadableUpload(LoraVitError):
    """An image argument that is no uploaded file."""


def add_api(service: Service, waiting: Waiting) -> None:
    """Add the endpoints to the app being built.

    Args:
        waiting: runs the questions, beside those of the page.
    """

    @told
    def tasks(
        request: gr.Request = None,  # type: ignore[assignment] # Gradio fills it in, callers never do
    ) -> list[dict[str, Any]]:
        """Every task that can be asked, with its classes and whether it can answer."""
        seen = seen_by(service, request)
        return [
            {
                "task": info.task,
                "title": info.title,
                "version": info.version,
                "classes": list(info.classes),
                "base": info.base,
                "status": info.status,
            }
            for info in seen.predictor.tasks()
        ]

    async def classify(
        image: dict[str, Any],
        tasks: list[str],
        top_k: int = 5,
        request: gr.Request = None,  # type: ignore[assignment] # Gradio fills it in, callers never do
    ) -> dict[str, Any]:
        """Ask one or several tasks about an image; a task that can't answer says why, the others answer.

        Args:
            image: an uploaded file.
            tasks: slugs, or slug@version.
            top_k: most labels per task.
        """
        try:
            return await waiting.run(partial(classified, image, tasks, top_k, request))
        except (LoraVitError, RegistryError) as error:
            raise toast(error) from error

    def classified(image: Any, tasks: list[str], top_k: int, request: gr.Request) -> dict[str, Any]:
        seen = seen_by(service, request)
        return answer_upload(seen, image, tasks, top_k).as_json()

    api(tasks, api_name="tasks", queue=False, concurrency_limit=None)
    api(classify, api_name="classify", queue=False, concurrency_limit=None)  # `waiting` has the limit


def answer_upload(seen: Seen, image: Any, tasks: list[str], top_k: int) -> Answer:
    """Classify a file that was uploaded to this server.

    Raises:
        LoraVitError: if the file is no readable image, or not an upload.
    """
    if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
        raise BadRequest('The tasks are not a list of names: send for example ["flowers", "objects@2"].')
    if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= MAX_LABELS:
        raise BadRequest(f"The number of labels is not a whole number from 1 to {MAX_LABELS}.")
    return seen.predictor.classify(uploaded_picture(seen, image), tasks, top_k=top_k)


def uploaded_picture(seen: Seen, image: Any) -> Image.Image:
    """An uploaded file as RGB, upright; nobody may change it.

    Raises:
        LoraVitError: if the file is no readable image, or not an upload.
    """
    return seen.images.open(uploaded_path(image))


def uploaded_path(image: Any) -> Path:
    """The path of an uploaded file; any other path of this machine is refused.

    Raises:
        UnreadableUpload: if it is not one.
    """
    named = image.get("path") if isinstance(image, dict) else getattr(image, "path", None)
    if not isinstance(named, str):
        raise UnreadableUpload("The image is missing: upload a file and send it as the image.")
    not_uploaded = UnreadableUpload("The image is not a file that was uploaded here: upload it first.")
    try:
        path, folder = Path(named).resolve(), Path(get_upload_folder()).resolve()
        uploaded = path.is_relative_to(folder) and path.is_file()
    except (OSError, ValueError) as error:
        raise not_uploaded from error
    if not uploaded:
        raise not_uploaded
    return path
