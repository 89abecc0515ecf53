"""Pages of images in which some are marked, to give them another class or leave them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from loravit_web.datasets import Changes, ImageDataset, ImageItem
from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.ui.errors import told
from loravit_web.ui.thumbnails import thumbnail

PAGE = 24
Shown = list[list[str]]
"""Key and caption of each image to page through."""
Kept = dict[str, str | None]
"""The changes by key, as they are kept in the page."""


class NothingMarked(LoraVitError):
    """A change was asked for before any image was marked."""


@dataclass(frozen=True)
class RelabelPanel:
    """What owners fill and read.

    Attributes:
        data: fingerprint of the dataset.
        shown: what is paged through.
        changes: what was changed so far.
        outputs: what `relabel_updates` fills.
    """

    data: gr.State
    shown: gr.State
    changes: gr.State
    outputs: list[Any]


def key_of(item: ImageItem) -> str:
    """Names an image of a class."""
    return f"{item.sha256}:{item.label}"


def as_changes(kept: Kept | None) -> Changes:
    """The changes as the datasets want them."""
    return {(key.partition(":")[0], int(key.partition(":")[2])): name for key, name in (kept or {}).items()}


def build_relabel(service: Service, *, prefix: str) -> RelabelPanel:
    """Build the panel; hidden until `relabel_updates` shows images."""
    data, shown, page = gr.State(None), gr.State([]), gr.State(0)
    marked, changes = gr.State([]), gr.State({})
    with gr.Column(visible=False, elem_id=f"{prefix}-images") as column:
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
    panel = RelabelPanel(
        data, shown, changes, [data, shown, page, marked, changes, column, position, gallery, target, title]
    )
    state = [data, shown, page, marked, changes]
    painted = [page, marked, changes, position, gallery]

    def paint(
        fingerprint: str, entries: Shown, at: int, marks: Sequence[str], kept: Kept | None
    ) -> list[Any]:
        dataset = service.datasets.load(fingerprint)
        at = max(0, min(at, (len(entries) - 1) // PAGE))
        return [at, list(marks), kept or {}, *_painted(dataset, entries, at, marks, kept or {})]

    @told
    def toggle(d: str, s: Shown, p: int, m: list[str], c: Kept, event: gr.SelectData) -> list[Any]:
        key = s[p * PAGE + int(event.index)][0]
        return paint(d, s, p, [one for one in m if one != key] if key in m else [*m, key], c)

    @told
    def turn_back(d: str, s: Shown, p: int, m: list[str], c: Kept) -> list[Any]:
        return paint(d, s, p - 1, m, c)

    @told
    def turn_on(d: str, s: Shown, p: int, m: list[str], c: Kept) -> list[Any]:
        return paint(d, s, p + 1, m, c)

    @told
    def mark_all(d: str, s: Shown, p: int, m: list[str], c: Kept) -> list[Any]:
        here = [key for key, _ in s[p * PAGE : (p + 1) * PAGE]]
        marks = [one for one in m if one not in here] if set(here) <= set(m) else list({*m, *here})
        return paint(d, s, p, marks, c)

    @told
    def change(d: str, s: Shown, p: int, m: list[str], c: Kept, name: str | None) -> list[Any]:
        if not (name or "").strip():
            raise NothingMarked("Choose or type the class first.")
        return paint(d, s, p, [], {**(c or {}), **dict.fromkeys(_some(m), name)})

    @told
    def leave_out(d: str, s: Shown, p: int, m: list[str], c: Kept) -> list[Any]:
        return paint(d, s, p, [], {**(c or {}), **dict.fromkeys(_some(m))})

    @told
    def forget(d: str, s: Shown, p: int, _m: list[str], _c: Kept) -> list[Any]:
        return paint(d, s, p, [], {})

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    gallery.select(toggle, state, painted, **quiet)
    buttons = ((back, turn_back), (on, turn_on), (every, mark_all), (leave, leave_out), (undo, forget))
    for button, handler in buttons:
        button.click(handler, state, painted, **quiet)
    give.click(change, [*state, target], painted, **quiet)
    return panel


def relabel_updates(
    dataset: ImageDataset,
    entries: Sequence[tuple[ImageItem, str]],
    kept: Kept | None,
    *,
    title: str = "",
) -> list[Any]:
    """Updates for `RelabelPanel.outputs`: the first page of these images, each with its caption.

    Args:
        kept: changes of the same dataset to go on with.
        title: what these images are.
    """
    shown = [[key_of(item), caption] for item, caption in entries]
    kept = kept or {}
    return [
        dataset.fingerprint,
        shown,
        0,
        [],
        kept,
        gr.Column(visible=True),
        *_painted(dataset, shown, 0, [], kept),
        gr.Dropdown(choices=list(dataset.classes), value=None),
        f"<strong>{escape(title)}</strong>" if title else "",
    ]


def hidden_updates() -> list[Any]:
    """Updates that empty the panel."""
    return [None, [], 0, [], {}, gr.Column(visible=False), "", gr.Gallery([]), gr.skip(), ""]


def changes_text(kept: Mapping[str, str | None]) -> str:
    """What was changed so far, as one sentence."""
    if not kept:
        return "Nothing changed yet."
    counts = Counter("left out" if name is None else f"now “{name}”" for name in kept.values())
    return "Changes: " + ", ".join(f"{n} {what}" for what, n in counts.items()) + "."


def _painted(dataset: ImageDataset, entries: Shown, at: int, marks: Sequence[str], kept: Kept) -> list[Any]:
    items = {key_of(item): item for item in dataset.items}
    here = entries[at * PAGE : (at + 1) * PAGE]
    first, last = at * PAGE + 1, at * PAGE + len(here)
    where = f"Images {first} to {last} of {len(entries)}." if here else "No images here."
    position = f"{where} Click images to mark them: {len(marks)} marked. {changes_text(kept)}"
    pictures = [
        (thumbnail(dataset, items[key]), _caption(key, caption, key in marks, kept)) for key, caption in here
    ]
    return [
        f'<p class="lv-muted" role="status">{escape(position)}</p>',
        gr.Gallery(pictures, selected_index=None),
    ]


def _caption(key: str, caption: str, marked: bool, kept: Kept) -> str:
    if key in kept:
        name = kept[key]
        caption = "✕ left out" if name is None else f"→ {name}"
    return f"☑ {caption}" if marked else caption


def _some(marks: Sequence[str]) -> Sequence[str]:
    if not marks:
        raise NothingMarked("Mark some images first: click them.")
    return marks
