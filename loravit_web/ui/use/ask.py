"""Requests of the Use tab: an image and the selected tasks go in, answers come out.

The browser writes everything that a request depends on into one text and sends it itself. A Gradio event
would search all earlier events and their outputs at each step, which takes as long as the answer. The browser
sends one request at a time, and of those that wait only the last.

The address of the page names the selected tasks. The browser stores the rest (``reload.js``), so that a
reload restores the page.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.serving.predictor import MAX_TASKS
from loravit_web.serving.prefetch import MAX_PREFETCHED
from loravit_web.ui.kit.asking import add_question
from loravit_web.ui.kit.events import LAST, QUIET, Updates
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.kit.share import SharePanel, page_url
from loravit_web.ui.kit.uploads import uploaded_image
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.kit.waiting import Waiting
from loravit_web.ui.language.texts import _, gettext_noop
from loravit_web.ui.scripts import call
from loravit_web.ui.use.answers import answers_html
from loravit_web.ui.use.choices import choices_for, remembered
from loravit_web.ui.use.picker import Picker, kept_json, listing

LABELS, MOST_LABELS = 3, 10
_ASKED_AT = "answers"
_REST = 500
"""Milliseconds without a new request before the memory and the links are updated."""
UNREACHED = gettext_noop("Cannot reach the server. Check your connection and try again.")
SIGNED_OUT = gettext_noop("You are signed out. Reload the page to sign in again.")
_PLACE = "MESSAGE"
"""Placeholder for the message in the notice that the browser fills in."""
FAILED = gettext_noop("Something went wrong while classifying this image. The server log has details.")


def values() -> dict[str, Any]:
    """Return the values that the script ``use/ask`` reads."""
    return {
        "route": _ASKED_AT,
        "fewLabels": LABELS,
        "mostLabels": MOST_LABELS,
        "restMilliseconds": _REST,
        "notice": notice(_PLACE, kind="error"),
        "place": _PLACE,
        "messages": {
            "busy": _("Classifying…"),
            "unreached": _(UNREACHED),
            "signedOut": _(SIGNED_OUT),
            "failed": _(FAILED),
        },
    }


class UnreadableQuestion(LoraVitError):
    """A request that the page cannot have sent."""


@dataclass(frozen=True)
class Question:
    """A request of the page.

    Attributes:
        image: Uploaded file or frame of the camera as the page sends it, or None.
        tasks: Selected tasks, as slugs or versions.
        labels: Maximum number of labels per task.
        looks: Whether heat maps are shown.
        near: Tasks that can be selected with one click and are prepared for the next request.
    """

    image: Any
    tasks: list[str]
    labels: int
    looks: bool
    near: list[str]


@dataclass(frozen=True)
class Asked:
    """The components, besides the selected tasks, on which a request depends.

    Attributes:
        image: Image to classify.
        camera: Live camera, whose frame replaces the image.
        top_k: Number of labels per task.
        heat: Whether heat maps are shown.
    """

    image: gr.Image
    camera: gr.HTML
    top_k: gr.Slider
    heat: gr.Checkbox


def read_question(text: str | None) -> Question:
    """Parse a request.

    Args:
        text: JSON document from the script ``use/ask``.

    Raises:
        UnreadableQuestion: If the text has another form.
    """
    try:
        asked = json.loads(text or "")
        tasks, near = ([str(task) for task in asked[name] or []] for name in ("tasks", "near"))
        # one more than allowed, so that the error names the limit
        return Question(
            asked["picture"],
            tasks[: MAX_TASKS + 1],
            int(asked["labels"]),
            bool(asked["looks"]),
            near[:MAX_PREFETCHED],
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UnreadableQuestion(_("The request cannot be read. Reload the page.")) from error


def connect_answers(
    service: Service,
    waiting: Waiting,
    picker: Picker,
    inputs: Asked,
    answers: gr.HTML,
    share: SharePanel,
) -> None:
    """Add the events that answer every change, remember the selection and update the links.

    Args:
        service: Answers the requests.
        waiting: Runs the requests, together with those of the HTTP interface.
        picker: Components that select tasks.
        inputs: What else a request depends on.
        answers: Component that shows the answers.
        share: Links and code for the selection.
    """

    def keep(memory: Any, text: str, request: gr.Request) -> Updates:
        seen, asked = seen_by(service, request), read_question(text)
        kept = remembered(memory, asked.tasks)
        return {
            picker.kept: kept_json(kept, "recent"),
            picker.listing: listing(choices_for(seen, kept)),
            **share.updates(seen, page_url(request), asked.tasks, asked.labels),
        }

    add_question(waiting, _ASKED_AT, lambda request, text: _answers(service, request, read_question(text)))
    question = gr.Textbox(visible=False, container=False)
    shown = gr.on(
        # not the slider's `release`, which the keyboard does not cause
        [
            inputs.image.change,
            inputs.camera.input,
            picker.tasks.change,
            inputs.top_k.change,
            inputs.heat.change,
        ],
        None,
        [inputs.image, picker.tasks, inputs.top_k, inputs.heat, picker.chips],
        answers,
        js=call("ask.answer"),
        **QUIET,
    )
    outputs = [picker.kept, picker.listing, *share.outputs]
    shown.then(None, None, question, js=call("ask.lastAnswered"), **QUIET)
    question.change(keep, [picker.memory, question], outputs, **LAST, **QUIET)


def _answers(service: Service, request: gr.Request, asked: Question) -> str:
    seen = seen_by(service, request)
    html = answers_html(seen, asked.image, asked.tasks, asked.labels, heat=asked.looks)
    if asked.image is not None and asked.tasks and asked.near:
        near = [task for task in asked.near if not seen.predictor.hides(task)]
        seen.prefetcher.prefetch(partial(uploaded_image, seen, asked.image), near)
    return html
