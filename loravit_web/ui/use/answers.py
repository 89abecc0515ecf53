"""The answers of the picked tasks about one picture, as HTML."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from loravit_web.errors import LoraVitError
from loravit_web.images.loading import encode_webp
from loravit_web.serving.answers import Answer, TaskAnswer
from loravit_web.serving.overlay import overlay
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.kit.uploads import uploaded_picture
from loravit_web.ui.templates import render
from loravit_web.visibility import Seen
from registry import RegistryError


def no_tasks() -> Markup:
    """Shown in the place of answers while the catalog is empty."""
    return notice(
        "Train the first adapter in the Train tab: a zip of class folders, or one of the samples.",
        title="The catalog is empty.",
    )


def no_image() -> Markup:
    """Shown in the place of answers before there is an image."""
    return notice(
        "Drop, paste or take a picture, or click an example; every task you pick answers at once. "
        "The tab Train makes a task of your own pictures."
    )


def no_pick() -> Markup:
    """Shown in the place of answers before a task is picked."""
    return notice("Pick one or several tasks above.")


def answers_html(seen: Seen, picture: Any, picked: Sequence[str], top_k: int, *, heat: bool) -> Markup:
    """The answers, or what to do to get some.

    Args:
        picture: an uploaded file, as the page sends it.
        heat: also show where each task looked.
    """
    if picture is None or not picked:
        return no_tasks() if seen.predictor.empty else no_image() if picture is None else no_pick()
    try:
        image = uploaded_picture(seen, picture)
        answer = seen.predictor.classify(image, picked, top_k=top_k)
        maps = {r.task: _heat(seen, image, r) for r in answer.results if r.labels} if heat else {}
        return answer_columns(answer, maps)
    except (LoraVitError, RegistryError) as error:
        return notice(error.in_public, kind="error")


def answer_columns(answer: Answer, maps: Mapping[str, Markup]) -> Markup:
    """One column per task, side by side.

    Args:
        maps: HTML of heat-maps by task.
    """
    return render(
        "use/answers",
        results=answer.results,
        maps=maps,
        answered=sum(1 for result in answer.results if result.error is None),
        milliseconds=answer.milliseconds,
    )


def _heat(seen: Seen, image: Any, result: TaskAnswer) -> Markup:
    """Where a task looked for its best label."""
    label = result.labels[0].label
    heat = seen.predictor.heatmap(image, result.task, label)
    data = base64.b64encode(encode_webp(overlay(image, heat.cpu().numpy()))).decode()
    return render("use/heat", data=data, title=result.title, label=label)
