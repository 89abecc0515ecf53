"""Step 2 of Train: what is in the data, what to think of, and its correction in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import gradio as gr
from markupsafe import Markup

from loravit_web.datasets import SPLITS, ImageDataset, ImageItem, NearDuplicates, advice, near_duplicates
from loravit_web.images.loading import ImageError
from loravit_web.service import Service
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import LAST, Updates
from loravit_web.ui.kit.markup import dataset_summary, notice
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.templates import render
from loravit_web.ui.train.relabel import (
    IN_ORDER,
    Kept,
    RelabelPanel,
    Sheet,
    build_relabel,
    changes_in,
    changes_of,
    key_of,
    place_of,
)
from loravit_web.visibility import Seen

EVERYTHING, NEAR, SPARE = "every", "near", "spare"
Near = list[list[str]]
"""Key and caption of near-duplicates, pair by pair."""


@dataclass(frozen=True)
class CheckPanel:
    """The components of the step.

    Attributes:
        data: fingerprint of the dataset that is shown and trained on.
        taken: the same and a number that is new whenever data was taken in, be it the same again.
        near: what is known of near-duplicates.
        look: holds the images.
    """

    data: gr.State
    taken: gr.Textbox
    near: gr.State
    found: gr.HTML
    doubles: gr.HTML
    look: gr.Accordion
    view: gr.Dropdown
    panel: RelabelPanel
    fix: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """All that the methods update."""
        found = [self.near, self.found, self.doubles]
        return [self.data, self.taken, *found, self.look, self.view, self.fix, *self.panel.outputs]

    def filled(self, dataset: ImageDataset, changes: Kept | None = None) -> Updates:
        """Updates that show what was found in the data.

        Args:
            changes: corrections that were made before and are not in the data.
        """
        thoughts = Markup().join(notice(sentence, kind="warning") for sentence in advice(dataset))
        return {
            self.data: dataset.fingerprint,
            self.taken: f"{dataset.fingerprint} {uuid4().hex}",
            self.near: [],
            self.found: dataset_summary(dataset) + thoughts,
            self.doubles: "",
            **({self.look: gr.Accordion(open=True)} if changes else {}),
            self.view: gr.Dropdown(choices=views_of(dataset, 0), value=EVERYTHING, visible=True),
            self.fix: gr.Button(visible=True),
            **self.panel.shown(dataset, entries_of(dataset, EVERYTHING, []), changes or {}),
        }

    def emptied(self, problem: str = "") -> Updates:
        """Updates for when there is no data, or something is wrong with it."""
        return {
            self.data: None,
            self.taken: f" {uuid4().hex}",
            self.near: [],
            self.found: (notice(problem, kind="error") if problem else Markup()) + render("train/layout"),
            self.doubles: "",
            self.view: gr.Dropdown(visible=False),
            self.fix: gr.Button(visible=False),
            **self.panel.hidden(),
        }

    def near_found(self, seen: Seen, fingerprint: str | None) -> Updates:
        """Updates that say which images look the same, and let them be looked at."""
        if fingerprint is None:
            return {self.near: [], self.doubles: ""}
        dataset = seen.datasets.load(fingerprint)
        try:
            found = near_duplicates(dataset)
        except ImageError as error:
            return {self.near: [], self.doubles: notice(error.in_public, kind="error")}
        doubtful = [
            [key_of(item), f"{number}: {item.split}, {dataset.classes[item.label]}"]
            for number, pair in enumerate(found.pairs, start=1)
            for item in (pair.first, pair.second)
        ]
        return {
            self.near: doubtful,
            self.doubles: doubles_notice(found, len(dataset.items)),
            self.view: gr.Dropdown(choices=views_of(dataset, len(found.pairs))),
        }


def build_check(service: Service, data: gr.State) -> CheckPanel:
    """Build the components and the events among them."""
    near, taken = gr.State([]), gr.Textbox(visible=False, container=False)
    found = gr.HTML(render("train/layout"), elem_id="train-found")
    doubles = gr.HTML("", elem_id="train-near")
    with gr.Accordion("Look at the images, and correct them", open=False, elem_id="train-look") as images:
        view = gr.Dropdown(label="Show", visible=False, elem_id="train-view")
        panel = build_relabel(service, prefix="train-check")
        fix = gr.Button("Use the corrected data", variant="primary", visible=False, elem_id="train-fix")

    @told
    def look(
        fingerprint: str, chosen: str, doubtful: Near, sheet: Sheet | None, request: gr.Request
    ) -> Updates:
        dataset = seen_by(service, request).datasets.load(fingerprint)
        return panel.shown(dataset, entries_of(dataset, chosen, doubtful), changes_of(sheet))

    view.input(
        look,
        [data, view, near, panel.sheet],
        panel.outputs,
        show_progress="minimal",
        show_progress_on=[view],
        api_visibility="private",
        **LAST,
        **IN_ORDER,
    )
    return CheckPanel(data, taken, near, found, doubles, images, view, panel, fix)


def connect_check(service: Service, check: CheckPanel, start: gr.Button) -> None:
    """Add the events that make a corrected dataset, and look for near-duplicates in each."""

    @told
    def correct(fingerprint: str, sheet: Sheet | None, request: gr.Request) -> Updates:
        actions = actions_of(service, request)
        corrected = actions.correct(fingerprint, changes_in(sheet))
        return {**check.filled(corrected), start: gr.Button(interactive=True)}

    @told
    def find(fingerprint: str | None, request: gr.Request) -> Updates:
        return check.near_found(seen_by(service, request), fingerprint)

    check.fix.click(
        correct,
        [check.data, check.panel.sheet],
        [*check.outputs, start],
        show_progress_on=[check.found],
        api_visibility="private",
        **IN_ORDER,
    )
    check.taken.change(
        find,
        check.data,
        [check.near, check.doubles, check.view],
        **LAST,
        show_progress="minimal",
        show_progress_on=[check.doubles],
        concurrency_limit=1,
        concurrency_id="doubles",
        api_visibility="private",
    )


def doubles_notice(found: NearDuplicates, images: int) -> str:
    """How many images look the same."""
    part = f" of {images}" if found.compared < images else ""
    seen = f"{found.compared}{part} images were compared."
    if not found.pairs:
        return notice(f"No near-duplicates: {seen}", kind="success")
    pairs = len(found.pairs)
    text = f"{pairs} pair{'s look' if pairs > 1 else ' looks'} nearly the same"
    if found.across:
        text += (
            f", {found.across} of them with one image in training and the other outside: "
            "they make the measured accuracy too high"
        )
    todo = "“One of each pair”, below, shows what to leave out; or train as it is."
    return notice(f"{text}. {seen} {todo}", kind="warning")


def views_of(dataset: ImageDataset, pairs: int) -> list[tuple[str, str]]:
    """What can be looked at: everything, near-duplicates, one of each pair of them, or one class."""
    doubtful = [(f"Near-duplicates ({pairs} pairs)", NEAR), ("One of each pair", SPARE)] if pairs else []
    classes = [(f"Class “{name}”", f"class:{label}") for label, name in enumerate(dataset.classes)]
    return [("All images", EVERYTHING), *doubtful, *classes]


def entries_of(dataset: ImageDataset, view: str, doubtful: Near) -> Sequence[tuple[ImageItem, str]]:
    """The images of a view, each with its caption."""
    if view in (NEAR, SPARE):
        items = {key_of(item): item for item in dataset.items}
        shown = doubtful if view == NEAR else _one_of_each(doubtful, items)
        return [(items[key], caption) for key, caption in shown if key in items]
    kind, _, label = view.partition(":")
    chosen = [item for item in dataset.items if kind != "class" or item.label == int(label)]
    chosen.sort(key=lambda item: SPLITS.index(item.split))  # it is training images that get corrected
    return [(item, place_of(dataset, item)) for item in chosen]


def _one_of_each(doubtful: Near, items: Mapping[str, ImageItem]) -> Near:
    """Those without which nothing looks the same: of two, the one in training where the other is not."""
    spare: dict[str, str] = {}
    for first, second in zip(doubtful[::2], doubtful[1::2], strict=True):
        splits = [items[key].split if key in items else None for key, _caption in (first, second)]
        key, caption = first if splits[0] == "train" != splits[1] else second
        spare.setdefault(key, caption)
    return [[key, caption] for key, caption in spare.items()]
