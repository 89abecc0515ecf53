"""The answers of the picked tasks about one picture, as HTML."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from loravit_web.errors import LoraVitError
from loravit_web.images.loading import encode_webp
from loravit_web.serving.answers import Answer, TaskAnswer
from loravit_web.serving.overlay import overlay
from loravit_web.ui.kit.markup import bar, notice
from loravit_web.ui.kit.uploads import uploaded_picture
from loravit_web.visibility import Seen
from registry import RegistryError

NO_TASKS = notice(
    "Train the first adapter in the Train tab: a zip of class folders, or one of the samples.",
    title="The catalog is empty.",
)
NO_IMAGE = notice(
    "Drop, paste or take a picture, or click an example; every task you pick answers at once. "
    "The tab Train makes a task of your own pictures."
)
NO_PICK = notice("Pick one or several tasks above.")
UNSURE = (
    '<p class="lv-unsure" title="The picture may show something that this task was not trained on.">'
    "⚠ unsure: no class is clearly ahead</p>"
)


def answers_html(seen: Seen, picture: Any, picked: Sequence[str], top_k: int, *, heat: bool) -> str:
    """The answers, or what to do to get some.

    Args:
        picture: an uploaded file, as the page sends it.
        heat: also show where each task looked.
    """
    if picture is None or not picked:
        return NO_TASKS if seen.predictor.empty else NO_IMAGE if picture is None else NO_PICK
    try:
        image = uploaded_picture(seen, picture)
        answer = seen.predictor.classify(image, picked, top_k=top_k)
        maps = {r.task: _heat(seen, image, r) for r in answer.results if r.labels} if heat else {}
        return answer_columns(answer, maps)
    except (LoraVitError, RegistryError) as error:
        return notice(error.in_public, kind="error")


def answer_columns(answer: Answer, heat: Mapping[str, str]) -> str:
    """One column per task, side by side.

    Args:
        heat: HTML of heat-maps by task.
    """
    cards = "".join(_card(result, heat.get(result.task, "")) for result in answer.results)
    answered = sum(1 for result in answer.results if result.error is None)
    tasks = f"{answered} tasks answered together" if answered != 1 else "1 task answered"
    footer = f'<p class="lv-muted">{tasks} in {answer.milliseconds:.0f} ms.</p>' if answered else ""
    return f'<div class="lv-cards" aria-live="polite">{cards}</div>{footer}'


def _card(result: TaskAnswer, heat: str) -> str:
    head = (
        f'<header><h3>{escape(result.title)}</h3><span class="lv-tag">{escape(result.task)}</span></header>'
    )
    if result.error is not None:
        return f'<article class="lv-card">{head}{notice(result.error, kind="error")}</article>'
    rows = "".join(
        f'<li{" class=lv-top" if rank == 0 else ""}><span class="lv-label">{escape(one.label)}</span>'
        f'<span class="lv-score">{one.score:.1%}</span>{bar(one.score, f"{one.label} {one.score:.1%}")}</li>'
        for rank, one in enumerate(result.labels)
    )
    unsure = UNSURE if result.unsure else ""
    return (
        f'<article class="lv-card">{head}<ol>{rows}</ol>{unsure}{heat}'
        f'<p class="lv-muted">this task alone: {result.milliseconds:.1f} ms</p></article>'
    )


def _heat(seen: Seen, image: Any, result: TaskAnswer) -> str:
    """Where a task looked for its best label."""
    label = result.labels[0].label
    heat = seen.predictor.heatmap(image, result.task, label)
    data = base64.b64encode(encode_webp(overlay(image, heat.cpu().numpy()))).decode()
    alt = escape(f"Where {result.title} looked for “{label}”: bright parts spoke for it")
    return (
        f'<figure class="lv-heat"><img src="data:image/webp;base64,{data}" alt="{alt}">'
        f"<figcaption>spoke for “{escape(label)}”</figcaption></figure>"
    )
