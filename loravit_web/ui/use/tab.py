"""The Use tab: an image, one or more tasks, and their answers side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from loravit_web.service import Service
from loravit_web.ui.kit.events import EACH, QUIET
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.kit.share import build_share
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.kit.waiting import Waiting
from loravit_web.ui.language.texts import _
from loravit_web.ui.scripts import on_load
from loravit_web.ui.templates import render
from loravit_web.ui.use.answers import no_image
from loravit_web.ui.use.ask import LABELS, MOST_LABELS, Asked, connect_answers
from loravit_web.ui.use.camera import build_camera
from loravit_web.ui.use.evidence import build_evidence
from loravit_web.ui.use.examples import examples, examples_html, opening_of
from loravit_web.ui.use.fitting import connect_fitting
from loravit_web.ui.use.picker import Picker, build_picker, with_tasks
from loravit_web.ui.use.table import build_many
from loravit_web.ui.use.teach import TeachPanel, build_teach


@dataclass(frozen=True)
class UseTab:
    """The components that other parts of the page change.

    A task that is added to the selection is answered without another event.

    Attributes:
        picker: Components that select tasks.
        answers: Component that shows the answers. Its event ``select`` opens the card of a version.
        asked: Image, number of labels, and whether heat maps are shown.
        teach: Choice of a class for the image, which the page adds to the data of a task.
    """

    picker: Picker
    answers: gr.HTML
    asked: list[Any]
    teach: TeachPanel


def build_use(service: Service, waiting: Waiting, presence: Presence) -> UseTab:
    """Build the tab and its events."""
    with gr.Row(equal_height=False, elem_id="use-row"):
        with gr.Column(scale=2, min_width=280, elem_id="use-given"):
            with gr.Column(elem_id="use-box"):
                image = gr.Image(
                    label=_("Image"),
                    show_label=False,
                    type="filepath",
                    sources=["upload", "clipboard"],
                    elem_id="use-image",
                    buttons=["fullscreen"],
                )
                camera = build_camera(image)
            # not gr.Gallery, for which every page would load 0.5 MB of scripts
            chosen = gr.HTML(examples_html(), js_on_load=on_load("examples.listen"), elem_id="use-examples")
        with gr.Column(scale=3, min_width=300, elem_id="use-answered"):
            picker = build_picker(service, image)
            answers = gr.HTML(no_image(), js_on_load=on_load("answers.listen"), elem_id="use-answers")
            teach = build_teach(service, answers)
            fit = gr.Button(_("Which tasks fit this image?"), size="sm", elem_id="use-fit")
            fits = gr.HTML(elem_id="use-fits")
            # not gr.Accordion, which has no components until it is opened
            gr.HTML(render("use/settings"), js_on_load=on_load("useSettings.listen"), elem_id="use-settings")
            with gr.Column(elem_id="use-options"):
                top_k = gr.Slider(
                    1, MOST_LABELS, value=LABELS, step=1, label=_("Top classes shown"), elem_id="use-top-k"
                )
                heat = gr.Checkbox(
                    label=_("Highlight evidence"),
                    info=_("Shows which parts of the image support each prediction. Shortcut: T."),
                    elem_id="use-heat",
                )
                picker.pin.render()
            gr.HTML(render("use/keys"), js_on_load=on_load("keys.listen"), elem_id="use-keys")
    share = build_share()
    build_many(service, picker.tasks, top_k, presence)
    build_evidence(service, waiting)
    connect_answers(service, waiting, picker, Asked(image, camera, top_k, heat), answers, share)
    connect_fitting(service, picker, image, fit, fits)
    _open_examples(service, picker, chosen)
    return UseTab(picker, answers, [image, top_k, heat], teach)


def _open_examples(service: Service, picker: Picker, chosen: gr.HTML) -> None:
    """Add the event that opens a chosen example with its tasks."""

    def choose(memory: Any, event: gr.SelectData, request: gr.Request) -> str:
        seen = seen_by(service, request)
        return with_tasks(seen, memory, [], opening_of(seen, examples()[int(event.index)]))

    chosen.select(choose, picker.memory, picker.listing, **EACH, **QUIET)
