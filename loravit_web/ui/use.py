"""The tab Use: one image, one or several tasks, their answers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.ui.api import answer_upload
from loravit_web.ui.markup import answer_columns, notice
from registry import RegistryError

NO_TASKS = notice(
    "Train the first adapter in the Train tab: a zip of class folders, or the sample of handwritten digits.",
    title="The catalog is empty.",
)
NO_IMAGE = notice("Drop, paste or take a picture; every task you pick answers at once.")
NO_PICK = notice("Pick one or several tasks above.")
_STATUS_WORDS = {"unavailable": ("unavailable",), "on demand": ("loads its base first",)}


@dataclass(frozen=True)
class UseTab:
    """What other parts of the page change here."""

    tasks: gr.Dropdown
    image: gr.Image
    answers: gr.HTML


def build_use(service: Service) -> UseTab:
    """Build the tab and its events."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=280):
            image = gr.Image(
                label="Image",
                type="filepath",
                sources=["upload", "clipboard", "webcam"],
                height=340,
                elem_id="use-image",
                buttons=["fullscreen"],
            )
        with gr.Column(scale=3, min_width=300):
            tasks = gr.Dropdown(
                label="Tasks",
                info="Several tasks answer side by side, from one look at the image.",
                choices=task_choices(service),
                value=[],
                multiselect=True,
                allow_custom_value=True,
                elem_id="use-tasks",
            )
            top_k = gr.Slider(1, 10, value=3, step=1, label="Labels per task", elem_id="use-top-k")
            answers = gr.HTML(NO_IMAGE, elem_id="use-answers")

    def answer(picture: Any, picked: Sequence[str] | None, labels: float | None) -> str:
        return answers_html(service, picture, list(picked or []), int(labels or 3))

    for changed in (image.change, tasks.change, top_k.release):
        changed(
            answer,
            [image, tasks, top_k],
            answers,
            preprocess=False,  # pictures are decoded by the app's own code, wherever they come from
            trigger_mode="always_last",
            show_progress="minimal",
            concurrency_limit=4,
            concurrency_id="answers",
            api_visibility="private",
        )
    return UseTab(tasks, image, answers)


def task_choices(service: Service) -> list[tuple[str, str]]:
    """Tasks as (shown text, slug); one that can't answer, or not at once, says so in its text."""
    return [
        (" · ".join((info.title, f"v{info.version}", *_STATUS_WORDS.get(info.status, ()))), info.slug)
        for info in service.predictor.tasks()
    ]


def answers_html(service: Service, picture: Any, picked: list[str], top_k: int) -> str:
    """The answers, or what to do to get some."""
    if not service.predictor.tasks():
        return NO_TASKS
    if picture is None:
        return NO_IMAGE
    if not picked:
        return NO_PICK
    try:
        return answer_columns(answer_upload(service, picture, picked, top_k))
    except (LoraVitError, RegistryError) as error:
        return notice(str(error), kind="error")
