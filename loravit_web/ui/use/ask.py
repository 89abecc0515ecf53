"""From a picture and the picked tasks to the answers that are shown.

All that a question depends on is made one text in the browser, which asks by itself: with each step of an
event that the server answers Gradio looks through all that ever ran, and what they may show, which takes as
long as the answer. One question is asked at a time, and of those that wait the last.

The address of the page names the picked tasks, and the browser keeps the rest (``reload``), so that they are
there when it is loaded anew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.events import api

from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.serving.predictor import MAX_TASKS
from loravit_web.serving.prefetch import MAX_PREFETCHED
from loravit_web.ui.kit.events import LAST, QUIET, Updates
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.kit.share import SharePanel, page_url
from loravit_web.ui.kit.uploads import uploaded_picture
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.kit.waiting import QueueFull, Waiting
from loravit_web.ui.scripts import call
from loravit_web.ui.use.answers import answers_html
from loravit_web.ui.use.choices import choices_for, remembered
from loravit_web.ui.use.picker import Picker, kept_json, listing
from registry import RegistryError

LABELS, MOST_LABELS = 3, 10
_ASKED_AT = "answers"
_REST = 500
"""Milliseconds; who picks several tasks in a row does not wait for what is only kept and linked."""
UNREACHED = "The app does not answer: it was stopped, or there is no network. Pick a task again in a moment."
SIGNED_OUT = "You are signed out: reload the page to sign in again."
_PLACE = "MESSAGE"
"""Where the browser puts what went wrong into a notice."""
FAILED = "The app failed at this question, and its log says why; others may be answered."


def values() -> dict[str, Any]:
    """Return what the script that asks needs to know."""
    return {
        "route": _ASKED_AT,
        "fewLabels": LABELS,
        "mostLabels": MOST_LABELS,
        "restMilliseconds": _REST,
        "notice": notice(_PLACE, kind="error"),
        "place": _PLACE,
        "messages": {"unreached": UNREACHED, "signedOut": SIGNED_OUT, "failed": FAILED},
    }


class UnreadableQuestion(LoraVitError):
    """A question is not what the page sends."""


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        picture: an uploaded file, as the page sends it.
        tasks: slugs or versions.
        labels: how many of each task's labels are shown.
        looks: whether heat-maps are shown.
        near: tasks that are one click away, and may be asked next.
    """

    picture: Any
    tasks: list[str]
    labels: int
    looks: bool
    near: list[str]


def read_question(text: str | None) -> Question:
    """The question in the page's text.

    Raises:
        UnreadableQuestion: if it is none.
    """
    try:
        asked = json.loads(text or "")
        tasks, near = ([str(task) for task in asked[name] or []] for name in ("tasks", "near"))
        # one more than can be asked, so that it is told
        return Question(
            asked["picture"],
            tasks[: MAX_TASKS + 1],
            int(asked["labels"]),
            bool(asked["looks"]),
            near[:MAX_PREFETCHED],
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UnreadableQuestion("The page asked something that can't be read: reload it.") from error


def connect_answers(
    service: Service,
    waiting: Waiting,
    picker: Picker,
    image: gr.Image,
    top_k: gr.Slider,
    heat: gr.Checkbox,
    answers: gr.HTML,
    share: SharePanel,
) -> None:
    """Ask whenever something changes; remember what was picked and say how to ask it again.

    Args:
        waiting: runs the questions, beside those over HTTP.
    """

    def answered_now(text: str, request: gr.Request) -> str:
        try:
            return _answers(service, request, read_question(text))
        except (LoraVitError, RegistryError) as error:
            return notice(error.in_public, kind="error")

    async def answer(
        text: str,
        request: gr.Request = None,  # type: ignore[assignment] # Gradio fills it in, the page never does
    ) -> str:
        try:
            return await waiting.run(partial(answered_now, text, request))
        except QueueFull as error:
            return notice(error.in_public, kind="error")

    def keep(memory: Any, text: str, request: gr.Request) -> Updates:
        seen, asked = seen_by(service, request), read_question(text)
        kept = remembered(memory, asked.tasks)
        return {
            picker.kept: kept_json(kept, "recent"),
            picker.listing: listing(choices_for(seen, kept)),
            **share.updates(seen, page_url(request), asked.tasks, asked.labels),
        }

    # not queued: whoever waits is answered together with the others who wait
    api(answer, api_name=_ASKED_AT, queue=False, api_visibility="private")
    question = gr.Textbox(visible=False, container=False)
    shown = gr.on(
        # not the slider's `release`, which a keyboard has none of
        [image.change, picker.tasks.change, top_k.change, heat.change],
        None,
        [image, picker.tasks, top_k, heat, picker.chips],
        answers,
        js=call("ask.answer"),
        **QUIET,
    )
    outputs = [picker.kept, picker.listing, *share.outputs]
    shown.then(None, None, question, js=call("ask.lastAnswered"), **QUIET)
    question.change(keep, [picker.memory, question], outputs, **LAST, **QUIET)


def _answers(service: Service, request: gr.Request, asked: Question) -> str:
    seen = seen_by(service, request)
    html = answers_html(seen, asked.picture, asked.tasks, asked.labels, heat=asked.looks)
    if asked.picture is not None and asked.tasks:
        near = [task for task in asked.near if not seen.predictor.hides(task)]
        seen.prefetcher.prefetch(partial(uploaded_picture, seen, asked.picture), near)
    return html
