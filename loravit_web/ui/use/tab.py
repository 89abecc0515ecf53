"""The Use tab: an image, one or more tasks, and their answers side by side."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup
from PIL import Image

from loravit_web.images.loading import encode_webp
from loravit_web.service import Service
from loravit_web.ui.kit.events import EACH, QUIET
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.kit.share import build_share
from loravit_web.ui.kit.uploads import upload_folder
from loravit_web.ui.kit.waiting import Waiting
from loravit_web.ui.scripts import on_load
from loravit_web.ui.templates import render
from loravit_web.ui.use.answers import no_image
from loravit_web.ui.use.ask import LABELS, MOST_LABELS, connect_answers
from loravit_web.ui.use.evidence import build_evidence
from loravit_web.ui.use.examples import example_images
from loravit_web.ui.use.picker import Picker, build_picker
from loravit_web.ui.use.table import build_many

_SMALL = 96


@dataclass(frozen=True)
class UseTab:
    """The components that other parts of the page change.

    A task that is added to the selection is answered without another event.

    Attributes:
        picker: Components that select tasks.
        answers: Component that shows the answers.
        asked: Image, number of labels, and whether heat maps are shown.
    """

    picker: Picker
    answers: gr.HTML
    asked: list[Any]


def build_use(service: Service, waiting: Waiting, presence: Presence) -> UseTab:
    """Build the tab and its events."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=280):
            image = gr.Image(
                label="Image",
                type="filepath",
                sources=["upload", "clipboard", "webcam"],
                height=320,
                elem_id="use-image",
                buttons=["fullscreen"],
            )
            # not gr.Gallery, for which every page would load 0.5 MB of scripts
            examples = gr.HTML(
                _examples_html(), js_on_load=on_load("examples.listen"), elem_id="use-examples"
            )
        with gr.Column(scale=3, min_width=300):
            picker = build_picker(service)
            with gr.Row():
                top_k = gr.Slider(
                    1, MOST_LABELS, value=LABELS, step=1, label="Top classes shown", elem_id="use-top-k"
                )
                heat = gr.Checkbox(
                    label="Highlight evidence",
                    info="Shows which parts of the image support each prediction. Shortcut: T.",
                    elem_id="use-heat",
                )
            answers = gr.HTML(no_image(), elem_id="use-answers")
    share = build_share()
    build_many(service, picker.tasks, top_k, presence)
    build_evidence(service, waiting)
    connect_answers(service, waiting, picker, image, top_k, heat, answers, share)
    examples.select(_chosen_example, None, image, **EACH, **QUIET)
    return UseTab(picker, answers, [image, top_k, heat])


def _examples() -> list[tuple[Path, str]]:
    """Return the example images in Gradio's folder, from which Gradio may serve them."""
    return example_images(upload_folder() / "examples")


def _examples_html() -> Markup:
    examples = [{"caption": caption, "address": _small(path)} for path, caption in _examples()]
    return render("use/examples", examples=examples)


def _small(path: Path) -> str:
    """Return a thumbnail as a data URL, because Gradio deletes old files in its folder."""
    with Image.open(path) as image:
        image.thumbnail((_SMALL, _SMALL))
        return f"data:image/webp;base64,{b64encode(encode_webp(image)).decode()}"


def _chosen_example(event: gr.SelectData) -> str:
    path, _caption = _examples()[int(event.index)]
    return str(path)
