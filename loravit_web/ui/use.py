"""The tab Use: one image, one or several tasks, their answers side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from loravit_web.examples import example_pictures
from loravit_web.rates import TooManyRequests
from loravit_web.service import Service
from loravit_web.ui.answers import NO_IMAGE, answers_html
from loravit_web.ui.many import build_many
from loravit_web.ui.markup import notice
from loravit_web.ui.pick import (
    Picker,
    as_text,
    build_picker,
    chip_updates,
    chips_of,
    choices_for,
    listed,
    meant,
    picked_by_chips,
    pinned,
    remembered,
)
from loravit_web.ui.share import build_share, page_url, share_updates
from loravit_web.ui.visitors import admitted

LABELS = 3


@dataclass(frozen=True)
class UseTab:
    """What other parts of the page change here.

    Whoever changes the picked tasks needs no more: they are asked wherever they were picked.
    """

    picker: Picker
    answers: gr.HTML


def build_use(service: Service) -> UseTab:
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
            examples = gr.Gallery(
                list(_examples()),
                label="Examples",
                show_label=False,
                columns=7,
                rows=1,
                height="auto",
                fit_columns=False,
                allow_preview=False,
                interactive=False,
                buttons=[],
                object_fit="cover",
                elem_id="use-examples",
            )
        with gr.Column(scale=3, min_width=300):
            picker = build_picker(service)
            with gr.Row():
                top_k = gr.Slider(1, 10, value=LABELS, step=1, label="Labels per task", elem_id="use-top-k")
                heat = gr.Checkbox(
                    label="Where did it look?",
                    info="Marks what in the picture spoke for each answer (by gradients: HiResCAM). Key t.",
                    elem_id="use-heat",
                )
            answers = gr.HTML(NO_IMAGE, elem_id="use-answers")
    share = build_share()
    build_many(service, picker.tasks, top_k)

    def answer(
        picture: Any, picked: list[str] | None, labels: float | None, looks: bool, request: gr.Request
    ) -> list[Any]:
        chosen, count = list(picked or []), int(labels or LABELS)
        html = _answers(service, request, picture, chosen, count, heat=bool(looks))
        return [_question(picture, picked, labels, looks), html]

    def settle(
        answered_last: Any,
        checked: list[str] | None,
        shown: list[str],
        picture: Any,
        picked: list[str] | None,
        labels: float | None,
        looks: bool,
        request: gr.Request,
    ) -> list[Any]:
        if set(checked or []) != set(chips_of(picked or [], shown)):  # another pick is on its way
            return [gr.skip()] * len([*answered, *share.outputs])
        links = share_updates(service, page_url(request), list(picked or []), int(labels or LABELS))
        # whoever drops a picture while a pick is on its way, or the other way round, changed both
        if answered_last == _question(picture, picked, labels, looks):
            return [*[gr.skip()] * len(answered), *links]
        return [*answer(picture, picked, labels, looks, request), *links]

    def switched(
        checked: list[str] | None,
        shown: list[str],
        memory: Any,
        picture: Any,
        picked: list[str] | None,
        labels: float | None,
        looks: bool,
        request: gr.Request,
    ) -> list[Any]:
        # picking and asking in one event: the way to the server and back is most of the time
        tasks = picked_by_chips(checked or [], picked or [], shown)
        return [
            as_text(tasks),
            tasks,
            remembered(memory, tasks),
            *answer(picture, tasks, labels, looks, request),
        ]

    def chosen(
        shown: list[str],
        memory: Any,
        picture: Any,
        picked: list[str] | None,
        labels: float | None,
        looks: bool,
        request: gr.Request,
    ) -> list[Any]:
        tasks = meant(service, picked or [])
        kept = remembered(memory, tasks)
        view = [chips_of(tasks, shown), kept, listed(choices_for(service, kept, tasks), tasks)]
        return [as_text(tasks), *view, *answer(picture, tasks, labels, looks, request)]

    def pin(memory: Any, picked: list[str] | None) -> list[Any]:
        kept = pinned(memory, picked or [])
        return [kept, *chip_updates(service, kept, picked or [])]

    last = gr.State(None)
    asked, answered = [image, picker.tasks, top_k, heat], [last, answers]
    quickly: dict[str, Any] = {
        "preprocess": False,  # pictures are decoded by the app's own code, wherever they come from
        "trigger_mode": "always_last",
        "queue": False,  # whoever waits is answered together with the others who wait; one trip, not two
        "api_visibility": "private",
    }
    seen: dict[str, Any] = {"show_progress": "minimal", "show_progress_on": [answers]}

    def then_settle(event: Any) -> Any:
        asking, outputs = [last, picker.quick, picker.shown, *asked], [*answered, *share.outputs]
        return event.then(settle, asking, outputs, show_progress="hidden", **quickly)

    for changed in (image.change, top_k.release, heat.change):
        then_settle(changed(answer, asked, answered, **seen, **quickly))
    told: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    then_settle(
        picker.quick.input(
            switched,
            [picker.quick, picker.shown, picker.memory, *asked],
            [picker.known, picker.tasks, picker.memory, *answered],
            **seen,
            **quickly,
        )
    )
    then_settle(
        picker.news.change(
            chosen,
            [picker.shown, picker.memory, *asked],
            [picker.known, picker.quick, picker.memory, picker.tasks, *answered],
            **seen,
            **quickly,
        )
    )
    picker.pin.click(pin, [picker.memory, picker.tasks], [picker.memory, picker.quick, picker.shown], **told)
    examples.select(_chosen_example, None, image, **told)
    return UseTab(picker, answers)


def _question(picture: Any, picked: list[str] | None, labels: float | None, looks: bool) -> list[Any]:
    """What an answer depends on, to be compared."""
    path = picture.get("path") if isinstance(picture, dict) else None
    return [path, list(picked or []), labels, bool(looks)]


def _answers(
    service: Service, request: gr.Request, picture: Any, picked: list[str], labels: int, *, heat: bool
) -> str:
    try:
        admitted(service, request)
    except TooManyRequests as error:
        return notice(str(error), kind="error")
    return answers_html(service, picture, picked, labels, heat=heat)


def _examples() -> list[tuple[str, str]]:
    """In Gradio's own folder, from which it may serve them."""
    pictures = example_pictures(Path(get_upload_folder()) / "examples")
    return [(str(path), caption) for path, caption in pictures]


def _chosen_example(event: gr.SelectData) -> str:
    path, _caption = _examples()[int(event.index)]
    return path
