"""Evidence for a class: a heat map in each answer, and a large one for any class of a task.

The large map opens over the page (``use/evidence.js``). The button of each small map names the image, the
task and the class, so the large map needs nothing else of the page.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup
from PIL import Image

from loravit_web.errors import LoraVitError
from loravit_web.images.loading import encode_webp
from loravit_web.service import Service
from loravit_web.serving.answers import TaskAnswer
from loravit_web.serving.overlay import LARGE_SIDE, fitted, overlay
from loravit_web.ui.kit.asking import add_question
from loravit_web.ui.kit.uploads import uploaded_image
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.kit.waiting import Waiting
from loravit_web.ui.language.texts import _
from loravit_web.ui.scripts import on_load
from loravit_web.ui.templates import render
from loravit_web.visibility import Seen

ROUTE = "evidence"
VALUES = {"route": ROUTE}
"""Values that the script ``use/evidence`` reads."""


class UnreadableRequest(LoraVitError):
    """A request for evidence that the page cannot have sent."""


@dataclass(frozen=True)
class Request:
    """A request for the evidence for a class.

    Attributes:
        image: Uploaded file as the page sends it.
        task: Task, as a slug or version.
        label: Name of the class.
    """

    image: Any
    task: str
    label: str


def read_request(text: str) -> Request:
    """Parse a request.

    Args:
        text: JSON document from the button of a small map.

    Raises:
        UnreadableRequest: If the text has another form.
    """
    try:
        asked = json.loads(text)
        return Request(asked["image"], str(asked["task"]), str(asked["label"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UnreadableRequest(_("The request cannot be read. Reload the page.")) from error


def small_map(seen: Seen, upload: Any, image: Image.Image, result: TaskAnswer) -> Markup:
    """Return the heat map for the best class of an answer, with a button that opens the large one.

    Args:
        seen: What the visitor sees of the app.
        upload: Uploaded file as the page sends it.
        image: The same image, decoded.
        result: Answer with at least one label.
    """
    label = result.labels[0].label
    heat = seen.predictor.heatmap(image, result.task, label).numpy()
    request = {"image": {"path": upload["path"]}, "task": result.task, "label": label}
    return render(
        "use/heat",
        map=_data_url(overlay(image, heat)),
        request=json.dumps(request),
        title=result.title,
        label=label,
        found=bool(heat.any()),
    )


def large_map(seen: Seen, asked: Request) -> Markup:
    """Return the content of the dialog: the map over the image, the image alone, and the classes.

    Args:
        seen: What the visitor sees of the app.
        asked: The request.

    Raises:
        LoraVitError: If the image is no upload, or the task is unavailable or has no such class.
        RegistryError: If the task does not exist.
    """
    image = uploaded_image(seen, asked.image)
    heat = seen.predictor.heatmap(image, asked.task, asked.label).numpy()
    return render(
        "use/evidence",
        answer=seen.predictor.ranked(image, asked.task),
        label=asked.label,
        map=_data_url(overlay(image, heat, side=LARGE_SIDE)),
        plain=_data_url(fitted(image, LARGE_SIDE)),
        found=bool(heat.any()),
    )


def build_evidence(service: Service, waiting: Waiting) -> None:
    """Add the dialog for large maps, and what answers it.

    Args:
        service: Answers the requests.
        waiting: Runs the requests, together with those for answers.
    """
    add_question(
        waiting, ROUTE, lambda request, text: large_map(seen_by(service, request), read_request(text))
    )
    gr.HTML(render("use/dialog"), js_on_load=on_load("evidence.listen"), elem_id="use-evidence")


def _data_url(image: Image.Image) -> str:
    return f"data:image/webp;base64,{b64encode(encode_webp(image)).decode()}"
