"""The HTTP interface: ``/tasks`` and ``/classify``, for gradio_client and plain HTTP.

Both skip Gradio's queue, so ``POST /gradio_api/run/classify`` answers in one request. Clients should send any
text as ``session_hash``: without it, Gradio describes the whole page for a session that it then forgets.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr
from gradio.events import api

from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.serving.answers import Answer
from loravit_web.ui.kit.errors import toast, told
from loravit_web.ui.kit.uploads import uploaded_image
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.kit.waiting import Waiting
from loravit_web.visibility import Seen
from registry import RegistryError

MAX_LABELS = 1000


class BadRequest(LoraVitError):
    """An argument of the wrong type or out of range."""


def add_api(service: Service, waiting: Waiting) -> None:
    """Add the endpoints to the app that is being built.

    Args:
        service: Answers the requests.
        waiting: Runs the requests, together with those of the page.
    """

    @told
    def tasks(
        request: gr.Request = None,  # type: ignore[assignment] # Gradio fills it in, callers never do
    ) -> list[dict[str, Any]]:
        """List every task with its classes and whether it can answer."""
        seen = seen_by(service, request)
        return [
            {
                "task": info.task,
                "title": info.title,
                "version": info.version,
                "classes": list(info.classes),
                "base": info.base,
                "status": info.status,
                "labels_per_image": info.labels,
            }
            for info in seen.predictor.tasks()
        ]

    async def classify(
        image: dict[str, Any],
        tasks: list[str],
        top_k: int = 5,
        request: gr.Request = None,  # type: ignore[assignment] # Gradio fills it in, callers never do
    ) -> dict[str, Any]:
        """Classify an image with one or more tasks. A task that cannot answer returns an error instead.

        Args:
            image: Uploaded file.
            tasks: Names of tasks, such as flowers, or exact versions, such as flowers@2.
            top_k: Maximum number of labels per task.
            request: Filled in by Gradio.
        """
        try:
            return await waiting.run(partial(classified, image, tasks, top_k, request))
        except (LoraVitError, RegistryError) as error:
            raise toast(error) from error

    def classified(image: Any, tasks: list[str], top_k: int, request: gr.Request) -> dict[str, Any]:
        seen = seen_by(service, request)
        return answer_upload(seen, image, tasks, top_k).as_json()

    api(tasks, api_name="tasks", queue=False, concurrency_limit=None)
    api(classify, api_name="classify", queue=False, concurrency_limit=None)  # `waiting` limits it


def answer_upload(seen: Seen, image: Any, tasks: list[str], top_k: int) -> Answer:
    """Classify a file that was uploaded to this server.

    Args:
        seen: What the visitor sees of the app.
        image: Uploaded file as a client sends it.
        tasks: Slugs or versions.
        top_k: Maximum number of labels per task, 1 to `MAX_LABELS`.

    Raises:
        BadRequest: If ``tasks`` or ``top_k`` has the wrong type or is out of range.
        LoraVitError: If the file is not an upload or not a readable image.
    """
    if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
        raise BadRequest('tasks is not a list of names. Send, for example, ["flowers", "objects@2"].')
    if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= MAX_LABELS:
        raise BadRequest(f"top_k must be a whole number from 1 to {MAX_LABELS}.")
    opened = uploaded_image(seen, image)
    answer = seen.predictor.classify(opened, tasks, top_k=top_k)
    seen.collector.offer(opened, answer.results)
    return answer
