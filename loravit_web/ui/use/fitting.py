"""Search for the tasks that fit an image: those that answer it surely, and know images like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.serving.answers import TaskAnswer
from loravit_web.serving.predictor import MAX_TASKS
from loravit_web.ui.kit.errors import told_at
from loravit_web.ui.kit.events import QUIET, UNCHECKED, Updates
from loravit_web.ui.kit.uploads import uploaded_image
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.language.texts import _
from loravit_web.ui.scripts import call
from loravit_web.ui.templates import render
from loravit_web.ui.use.picker import Opening, Picker, with_tasks
from loravit_web.visibility import Seen


class NoImageToFit(LoraVitError):
    """A search for fitting tasks without an image."""


@dataclass(frozen=True)
class Fitting:
    """Result of a search for the tasks that fit an image.

    Attributes:
        fits: Sure answers for an image like the training images, the surest first.
        may_fit: Sure answers of versions that cannot tell whether an image is like their training images.
        asked: Number of tasks asked.
    """

    fits: tuple[TaskAnswer, ...]
    may_fit: tuple[TaskAnswer, ...]
    asked: int

    @property
    def found(self) -> tuple[TaskAnswer, ...]:
        """The answers of the tasks to select."""
        return (self.fits or self.may_fit)[:MAX_TASKS]


def fitting_tasks(seen: Seen, upload: Any) -> Fitting:
    """Return the tasks that fit an image.

    Only tasks in memory are asked, because loading one takes longer than many answers.

    Args:
        seen: What the visitor sees of the app.
        upload: Uploaded file as the page sends it.

    Raises:
        LoraVitError: If there is no image, or it cannot be read.
    """
    if upload is None:
        raise NoImageToFit(_("Choose an image first."))
    image, tasks = uploaded_image(seen, upload), seen.predictor.loaded()
    answers: list[TaskAnswer] = []
    for start in range(0, len(tasks), MAX_TASKS):
        answers += seen.predictor.classify(image, tasks[start : start + MAX_TASKS], top_k=2).results
    sure = [answer for answer in answers if answer.answer and not answer.unsure]
    sure.sort(key=lambda answer: -answer.answer[0].score)
    return Fitting(
        fits=tuple(answer for answer in sure if answer.unlike is False),
        may_fit=tuple(answer for answer in sure if answer.unlike is None),
        asked=len(tasks),
    )


def fitting_line(fitting: Fitting) -> str:
    """Return the result of the search as a paragraph."""
    return render("use/fitting", fitting=fitting)


def connect_fitting(service: Service, picker: Picker, image: gr.Image, fit: gr.Button, fits: gr.HTML) -> None:
    """Add the event that selects the tasks that fit the image.

    Args:
        service: Answers the requests.
        picker: Components that select tasks.
        image: Image to classify.
        fit: Button that starts the search.
        fits: Component that shows the result in a sentence.
    """

    @told_at(fits)
    def search(upload: Any, memory: Any, request: gr.Request) -> Updates:
        seen = seen_by(service, request)
        fitting = fitting_tasks(seen, upload)
        updates: Updates = {fits: fitting_line(fitting)}
        if fitting.found:
            picked = [answer.task.partition("@")[0] for answer in fitting.found]
            updates[picker.listing] = with_tasks(seen, memory, [], Opening(None, picked))
        return updates

    fit.click(search, [image, picker.memory], [fits, picker.listing], **QUIET, **UNCHECKED)
    image.change(None, None, fits, js=call("answers.nothing"), **QUIET)
