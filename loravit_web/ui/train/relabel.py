"""Pages of images in which some are marked, to give them another class or leave them out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr

from loravit_web.datasets import Changes, ImageDataset, ImageItem
from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import IN_TURN, Updates
from loravit_web.ui.kit.markup import line
from loravit_web.ui.kit.thumbnails import thumbnail
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.templates import render_part

PAGE = 24
IN_ORDER: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "corrections"}
"""How events run that read or change a `Sheet`: one after the other, in the order in which they come."""
Kept = Mapping[str, str | None]
"""Changes by the key of an image: its new class, or None to leave it out."""


class NothingMarked(LoraVitError):
    """A change was asked for before any image was marked."""


@dataclass(frozen=True)
class Sheet:
    """Images to page through, and what was marked and changed among them.

    Attributes:
        fingerprint: of the dataset.
        entries: key and caption of each image.
        page: from 0.
        marked: keys.
    """

    fingerprint: str
    entries: tuple[tuple[str, str], ...]
    page: int = 0
    marked: tuple[str, ...] = ()
    changes: Kept = field(default_factory=dict)

    @property
    def here(self) -> tuple[tuple[str, str], ...]:
        """Those on the page."""
        return self.entries[self.page * PAGE : (self.page + 1) * PAGE]

    def turned(self, by: int) -> Sheet:
        """The same some pages further, or at the last one."""
        return replace(self, page=max(0, min(self.page + by, (len(self.entries) - 1) // PAGE)))

    def switched(self, keys: Sequence[str]) -> Sheet:
        """The same with these marked, or none of them if all are."""
        others = [key for key in self.marked if key not in keys]
        return replace(self, marked=tuple(others if set(keys) <= set(self.marked) else [*others, *keys]))

    def changed(self, name: str | None) -> Sheet:
        """The same with the marked ones in another class, or left out.

        Raises:
            NothingMarked: if none is marked.
        """
        if not self.marked:
            raise NothingMarked("Mark some images first: click them.")
        return replace(self, marked=(), changes={**self.changes, **dict.fromkeys(self.marked, name)})


@dataclass(frozen=True)
class RelabelPanel:
    """What owners fill and read.

    Attributes:
        sheet: a `Sheet`; None while nothing is shown.
        changes: those of the sheet as JSON, for the browser.
        images: holds all that is drawn.
        target: the class that the marked images get.
    """

    sheet: gr.State
    changes: gr.Textbox
    images: gr.Column
    title: gr.HTML
    position: gr.HTML
    gallery: gr.Gallery
    target: gr.Dropdown

    @property
    def painted(self) -> list[Any]:
        """What depends on the page and on what is marked."""
        return [self.sheet, self.changes, self.position, self.gallery]

    @property
    def outputs(self) -> list[Any]:
        """All that the methods update."""
        return [*self.painted, self.images, self.target, self.title]

    def shown(
        self,
        dataset: ImageDataset,
        entries: Sequence[tuple[ImageItem, str]],
        changes: Kept,
        *,
        title: str = "",
    ) -> Updates:
        """Updates that show the first page of these images, each with its caption.

        Args:
            changes: that were made before.
            title: what these images are.
        """
        captions = tuple((key_of(item), caption) for item, caption in entries)
        return {
            **self.page_shown(dataset, Sheet(dataset.fingerprint, captions, changes=changes)),
            self.images: gr.Column(visible=True),
            self.target: gr.Dropdown(choices=list(dataset.classes), value=None),
            self.title: render_part("strong", title) if title else "",
        }

    def changed(self, dataset: ImageDataset, changes: Kept) -> Updates:
        """Updates that show the images that were changed."""
        entries = [(item, place_of(dataset, item)) for item in dataset.items if key_of(item) in changes]
        return self.shown(dataset, entries, changes, title="What you changed so far")

    def hidden(self) -> Updates:
        """Updates that empty the panel."""
        return {
            self.sheet: None,
            **dict.fromkeys([self.changes, self.position, self.title], ""),
            self.gallery: gr.Gallery([], visible=False),
            self.images: gr.Column(visible=False),
        }

    def page_shown(self, dataset: ImageDataset, sheet: Sheet) -> Updates:
        """Updates of ``painted`` that show a sheet's page."""
        items = {key_of(item): item for item in dataset.items}
        here, first = sheet.here, sheet.page * PAGE + 1
        last = first + len(here) - 1
        where = f"Images {first} to {last} of {len(sheet.entries)}." if here else "No images here."
        done = changes_text(sheet.changes)
        position = f"{where} Click images to mark them: {len(sheet.marked)} marked. {done}"
        pictures = [(thumbnail(dataset, items[key]), _caption(key, caption, sheet)) for key, caption in here]
        return {
            self.sheet: sheet,
            self.changes: json.dumps(sheet.changes),
            self.position: line(position),
            self.gallery: gr.Gallery(pictures, selected_index=None, visible=True),
        }


def key_of(item: ImageItem) -> str:
    """Names an image of a class."""
    return f"{item.sha256}:{item.label}"


def place_of(dataset: ImageDataset, item: ImageItem) -> str:
    """Its class and split, in words."""
    return f"{dataset.classes[item.label]}, {item.split}"


def changes_of(sheet: Sheet | None) -> Kept:
    """What was changed."""
    return sheet.changes if sheet is not None else {}


def changes_in(sheet: Sheet | None) -> Changes:
    """The same as the datasets want it."""
    kept = changes_of(sheet)
    return {(key.partition(":")[0], int(key.partition(":")[2])): name for key, name in kept.items()}


def changes_kept(dataset: ImageDataset, given: Any) -> Kept:
    """Of the changes that a browser kept those that can be made to the dataset."""
    if not isinstance(given, dict):
        return {}
    fitting = {key_of(item) for item in dataset.items} & given.keys()
    return {key: given[key] for key in fitting if given[key] is None or isinstance(given[key], str)}


def build_relabel(service: Service, *, prefix: str) -> RelabelPanel:
    """Build the panel; hidden until it shows images."""
    sheet, changes = gr.State(None), gr.Textbox(visible=False, container=False)
    with gr.Column(visible=False, elem_id=f"{prefix}-images") as images:
        title = gr.HTML(elem_id=f"{prefix}-title")
        position = gr.HTML(elem_id=f"{prefix}-position")
        gallery = gr.Gallery(
            label="Images",
            show_label=False,
            columns=8,
            height="auto",
            object_fit="contain",
            allow_preview=False,
            interactive=False,
            buttons=[],
            visible=False,  # until then Gradio does not load what draws galleries
            elem_id=f"{prefix}-gallery",
            elem_classes="lv-gallery",
        )
        with gr.Row():
            back = gr.Button("‹ Previous 24", size="sm", min_width=100, elem_id=f"{prefix}-back")
            on = gr.Button("Next 24 ›", size="sm", min_width=100, elem_id=f"{prefix}-next")
            every = gr.Button("Mark all here", size="sm", min_width=100, elem_id=f"{prefix}-all")
        with gr.Row(equal_height=False):
            target = gr.Dropdown(
                label="Class of the marked images",
                info="Choose one, or type a new one.",
                allow_custom_value=True,
                min_width=200,
                elem_id=f"{prefix}-class",
            )
            give = gr.Button("Give them this class", size="sm", min_width=130, elem_id=f"{prefix}-give")
            leave = gr.Button("Leave them out", size="sm", min_width=130, elem_id=f"{prefix}-leave")
            undo = gr.Button("Undo all changes", size="sm", min_width=130, elem_id=f"{prefix}-undo")

    panel = RelabelPanel(sheet, changes, images, title, position, gallery, target)

    def paint(now: Sheet, request: gr.Request) -> Updates:
        return panel.page_shown(seen_by(service, request).datasets.load(now.fingerprint), now)

    @told
    def toggle(now: Sheet, event: gr.SelectData, request: gr.Request) -> Updates:
        return paint(now.switched([now.here[int(event.index)][0]]), request)

    @told
    def turn_back(now: Sheet, request: gr.Request) -> Updates:
        return paint(now.turned(-1), request)

    @told
    def turn_on(now: Sheet, request: gr.Request) -> Updates:
        return paint(now.turned(1), request)

    @told
    def mark_all(now: Sheet, request: gr.Request) -> Updates:
        return paint(now.switched([key for key, _ in now.here]), request)

    @told
    def change(now: Sheet, name: str | None, request: gr.Request) -> Updates:
        if not (name or "").strip():
            raise NothingMarked("Choose or type the class first.")
        return paint(now.changed(name), request)

    @told
    def leave_out(now: Sheet, request: gr.Request) -> Updates:
        return paint(now.changed(None), request)

    @told
    def forget(now: Sheet, request: gr.Request) -> Updates:
        return paint(replace(now, marked=(), changes={}), request)

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", **IN_ORDER}
    painted = panel.painted
    gallery.select(toggle, sheet, painted, **IN_TURN, **IN_ORDER)
    for button, handler in ((back, turn_back), (on, turn_on)):
        button.click(handler, sheet, painted, **IN_TURN, **IN_ORDER)
    for button, handler in ((every, mark_all), (leave, leave_out), (undo, forget)):
        button.click(handler, sheet, painted, **quiet)
    give.click(change, [sheet, target], painted, **quiet)
    return panel


def changes_text(kept: Kept) -> str:
    """What was changed so far, as one sentence."""
    if not kept:
        return "Nothing changed yet."
    counts = Counter("left out" if name is None else f"now “{name}”" for name in kept.values())
    return "Changes: " + ", ".join(f"{n} {what}" for what, n in counts.items()) + "."


def _caption(key: str, caption: str, sheet: Sheet) -> str:
    if key in sheet.changes:
        name = sheet.changes[key]
        caption = "✕ left out" if name is None else f"→ {name}"
    return f"☑ {caption}" if key in sheet.marked else caption
