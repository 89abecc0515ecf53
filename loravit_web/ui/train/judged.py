"""The images of a result with their answers, mistakes first. A click opens one in Use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import gradio as gr
from markupsafe import Markup

from loravit_web.datasets import ImageDataset
from loravit_web.images.loading import ImageError
from loravit_web.runs.results import Judged, Result, result_of
from loravit_web.service import Service
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import LAST, Updates
from loravit_web.ui.kit.served import file_link, stored_picture
from loravit_web.ui.kit.thumbnails import thumbnail
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.scripts import on_load
from loravit_web.ui.templates import render
from loravit_web.ui.train.relabel import key_of
from loravit_web.visibility import Seen
from registry import Run, Split

SHOWN = 60
"""Maximum number of images with their answers. The confusion matrix leads to all of them."""


@dataclass(frozen=True)
class Shown:
    """An image with its answer.

    Attributes:
        key: Key of the image.
        link: Link to its thumbnail.
        actual: Its class.
        predicted: Class that was predicted.
        score: Probability of the predicted class.
    """

    key: str
    link: str
    actual: str
    predicted: str
    score: float

    @property
    def is_correct(self) -> bool:
        """Whether the answer is correct."""
        return self.actual == self.predicted


@dataclass(frozen=True)
class JudgedPanel:
    """Components of the images.

    Attributes:
        key: Run and split whose images to show, and a random number. Its change fills ``images``, because
            thumbnails may take seconds.
        images: The images. Its event ``select`` opens one in Use.
    """

    key: gr.Textbox
    images: gr.HTML

    def shown(self, run: Run, split: Split) -> Updates:
        """Return updates that show the images of a split."""
        return {self.key: f"{run.id} {split} {uuid4().hex}"}


def build_judged(service: Service) -> JudgedPanel:
    """Build the components and the event that fills them.

    Args:
        service: Service with the runs and datasets.
    """
    key = gr.Textbox(visible=False, container=False)
    images = gr.HTML(js_on_load=on_load("judged.listen"), elem_id="train-judged")

    @told
    def show(shown: str, request: gr.Request) -> Markup:
        if not shown:
            return Markup()
        run_id, _, rest = shown.partition(" ")
        seen = seen_by(service, request)
        result = result_of(seen.registry, run_id)
        split = next(name for name in result.splits if rest.startswith(f"{name} "))
        return judged_html(result, seen.datasets.load(result.run.dataset.fingerprint), split)

    key.change(
        show,
        key,
        images,
        show_progress="hidden",
        concurrency_limit=2,
        concurrency_id="thumbnails",
        api_visibility="private",
        **LAST,
    )
    return JudgedPanel(key, images)


def judged_html(result: Result, dataset: ImageDataset, split: Split) -> Markup:
    """Return the images of a split with their answers, mistakes first; empty without answers per image."""
    answered = answered_images(result, dataset, split)
    shown = [
        Shown(
            key_of(one.item),
            file_link(thumbnail(dataset, one.item)),
            dataset.classes[one.answer.true],
            dataset.classes[one.answer.predicted],
            one.answer.score,
        )
        for one in answered[:SHOWN]
        if _is_readable(dataset, one)
    ]
    if not shown:
        return Markup()
    mistakes = sum(one.answer.true != one.answer.predicted for one in answered)
    return render("train/judged", shown=shown, all=len(answered), mistakes=mistakes, split=split)


def answered_images(result: Result, dataset: ImageDataset, split: Split) -> Sequence[Judged]:
    """Return the images of a split with their answers: mistakes first, and the most confident ones first."""
    items = {(item.sha256, item.labels): item for item in dataset.items}
    found = [
        Judged(items[key], answer)
        for answer in (result.predictions or {}).get(split, ())
        if (key := (answer.sha256, (answer.true,))) in items
    ]
    return sorted(found, key=lambda one: (one.answer.true == one.answer.predicted, -one.answer.score))


def picture_to_try(seen: Seen, run_id: str, key: str | None = None) -> dict[str, Any] | None:
    """Return an image of a result as the page sends an uploaded one, or None if there is none.

    Args:
        seen: What the visitor sees.
        run_id: ID of the run.
        key: Key of the image, or None for the correct one with the highest confidence.

    Raises:
        ImageError: If the image cannot be read.
    """
    result = result_of(seen.registry, run_id)
    if not seen.datasets.has(result.run.dataset.fingerprint):
        return None
    dataset = seen.datasets.load(result.run.dataset.fingerprint)
    if key is not None:
        item = next((item for item in dataset.items if key_of(item) == key), None)
        return None if item is None else stored_picture(dataset, item)
    answered = answered_images(result, dataset, result.splits[0]) if result.splits else ()
    correct = [one for one in answered if one.answer.true == one.answer.predicted]
    first = next(iter([*correct, *answered]), None)
    return None if first is None else stored_picture(dataset, first.item)


def _is_readable(dataset: ImageDataset, judged: Judged) -> bool:
    try:
        thumbnail(dataset, judged.item)
    except ImageError:
        return False
    return True
