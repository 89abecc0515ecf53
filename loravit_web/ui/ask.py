"""From a picture and the picked tasks to the answers that are shown.

All that a question depends on is made one text in the browser, and a change of it asks. What comes back names
the question that it belongs to, as answers may come in another order: only that to the present one is shown.

The address of the page names the picked tasks, and the browser keeps the rest (`again`), so that they are
there when it is loaded anew.

The text is also what makes asking fast: with every step of an event Gradio's browser side reads again all
inputs of all events that ever ran, but not those that are never drawn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import gradio as gr

from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.ui.answers import answers_html
from loravit_web.ui.api import uploaded_picture
from loravit_web.ui.events import LAST, QUIET
from loravit_web.ui.markup import notice
from loravit_web.ui.pick import choices_for, remembered
from loravit_web.ui.picker import Picker, kept_json, listing
from loravit_web.ui.share import SharePanel, page_url, share_updates
from loravit_web.ui.visitors import admitted
from loravit_web.ui.waiting import QueueFull, Waiting
from registry import RegistryError

LABELS, MOST_LABELS = 3, 10
_QUESTION = """(picture, tasks, labels, looks, chips) => {
  labels = Math.round(Math.min(MOST, Math.max(1, labels ?? FEW)));  // the slider's box takes anything
  window.loravitAddress("task", tasks.join(","));
  window.loravitKeep({picture, labels, looks});
  const near = JSON.parse(chips).map(([, task]) => task).filter((task) => !tasks.includes(task));
  return JSON.stringify({picture: picture && {path: picture.path}, tasks, labels, looks, near});
}""".replace("MOST", str(MOST_LABELS)).replace("FEW", str(LABELS))
_SHOW = """(reply, question) => {
  const {to, shown} = JSON.parse(reply);
  return shown.map((value) => to === question ? value : {__type__: "update"});
}"""


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
        return Question(asked["picture"], tasks, int(asked["labels"]), bool(asked["looks"]), near)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UnreadableQuestion("The page asked something that can't be read: reload it.") from error


def reply(question: str, shown: Sequence[str]) -> str:
    """What is to be shown if ``question`` is still the present one."""
    # the same again is to be heard as well
    return json.dumps({"to": question, "shown": list(shown), "nonce": uuid4().hex})


def connect_answers(
    service: Service,
    picker: Picker,
    image: gr.Image,
    top_k: gr.Slider,
    heat: gr.Checkbox,
    answers: gr.HTML,
    share: SharePanel,
) -> None:
    """Ask whenever something changes; remember what was picked and say how to ask it again."""
    question, answered, linked = (gr.Textbox(visible=False, container=False) for _ in range(3))

    waiting = Waiting(service.settings.limits.waiting)

    def answered_now(text: str, request: gr.Request) -> str:
        try:
            return reply(text, [_answers(service, request, read_question(text))])
        except (LoraVitError, RegistryError) as error:
            return reply(text, [notice(str(error), kind="error")])

    async def answer(text: str, request: gr.Request) -> str:
        try:
            return await waiting.run(partial(answered_now, text, request))
        except QueueFull as error:
            return reply(text, [notice(str(error), kind="error")])

    def keep(memory: Any, text: str, request: gr.Request) -> list[Any]:
        asked = read_question(text)
        kept = remembered(memory, asked.tasks)
        links = share_updates(service, page_url(request), asked.tasks, asked.labels)
        return [kept_json(kept, "recent"), listing(choices_for(service, kept)), reply(text, links)]

    gr.on(
        # not the slider's `release`, which a keyboard has none of
        [image.change, picker.tasks.change, top_k.change, heat.change],
        None,
        [image, picker.tasks, top_k, heat, picker.chips],
        question,
        js=_QUESTION,
        **QUIET,
    )
    asked = question.change(
        answer,
        question,
        answered,
        **LAST,
        queue=False,  # whoever waits is answered together with the others who wait; one trip, not two
        show_progress="minimal",
        show_progress_on=[answers],
        api_visibility="private",
    )
    answered.change(None, [answered, question], answers, js=_SHOW, **QUIET)
    linked.change(None, [linked, question], share.outputs, js=_SHOW, **QUIET)
    outputs = [picker.kept, picker.listing, linked]
    asked.then(keep, [picker.memory, question], outputs, **LAST, **QUIET)


def _answers(service: Service, request: gr.Request, asked: Question) -> str:
    admitted(service, request)
    html = answers_html(service, asked.picture, asked.tasks, asked.labels, heat=asked.looks)
    if asked.picture is not None and asked.tasks:
        service.ahead.want(partial(uploaded_picture, service, asked.picture), asked.near)
    return html
