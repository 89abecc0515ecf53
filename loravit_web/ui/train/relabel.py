"""Pages of images to select, to move to another class or to exclude."""

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
from loravit_web.ui.language.texts import _
from loravit_web.ui.templates import render_part

PAGE = 24
IN_ORDER: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "corrections"}
"""Options of events that read or change a `Sheet`: they run one after the other, in order."""
Kept = Mapping[str, str | None]
"""Changes by the key of an image: its new class, or None to exclude it."""


class NothingMarked(LoraVitError):
    """A change was requested without a selected image or without a class."""


@dataclass(frozen=True)
class Sheet:
    """Images in pages, with the selected ones and the changes.

    Attributes:
        fingerprint: Fingerprint of the dataset.
        entries: Key and caption of each image.
        page: Index of the page, from 0.
        marked: Keys of the selected images.
        changes: Changes so far, also of images that are not among the entries.
    """

    fingerprint: str
    entries: tuple[tuple[str, str], ...]
    page: int = 0
    marked: tuple[str, ...] = ()
    changes: Kept = field(default_factory=dict)

    @property
    def here(self) -> tuple[tuple[str, str], ...]:
        """Entries on the page."""
        return self.entries[self.page * PAGE : (self.page + 1) * PAGE]

    def turned(self, by: int) -> Sheet:
        """Return the sheet after turning by a number of pages, but not beyond its ends."""
        return replace(self, page=max(0, min(self.page + by, (len(self.entries) - 1) // PAGE)))

    def switched(self, keys: Sequence[str]) -> Sheet:
        """Return the sheet with these images selected, or deselected if all of them are selected."""
        others = [key for key in self.marked if key not in keys]
        return replace(self, marked=tuple(others if set(keys) <= set(self.marked) else [*others, *keys]))

    def changed(self, name: str | None) -> Sheet:
        """Return the sheet with the selected images moved to a class, or excluded if it is None.

        Raises:
            NothingMarked: If no image is selected.
        """
        if not self.marked:
            raise NothingMarked(_("No image is selected. Click images to select them."))
        return replace(self, marked=(), changes={**self.changes, **dict.fromkeys(self.marked, name)})


@dataclass(frozen=True)
class RelabelPanel:
    """Components of the panel.

    Attributes:
        sheet: `Sheet` that is shown, or None.
        changes: Changes of the sheet as JSON, for the browser.
        images: Column with all visible components.
        title: Title of the images.
        position: Position in the sheet, number of selected images, and changes so far.
        gallery: Images of the page.
        target: Class for the selected images.
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
        """Components that depend on the page and on the selection."""
        return [self.sheet, self.changes, self.position, self.gallery]

    @property
    def outputs(self) -> list[Any]:
        """Components that the methods update."""
        return [*self.painted, self.images, self.target, self.title]

    def shown(
        self,
        dataset: ImageDataset,
        entries: Sequence[tuple[ImageItem, str]],
        changes: Kept,
        *,
        title: str = "",
    ) -> Updates:
        """Return updates that show the first page of some images.

        Args:
            dataset: Dataset of the images.
            entries: Images, each with its caption.
            changes: Changes that were made before.
            title: Title of the images.
        """
        captions = tuple((key_of(item), caption) for item, caption in entries)
        return {
            **self.page_shown(dataset, Sheet(dataset.fingerprint, captions, changes=changes)),
            self.images: gr.Column(visible=True),
            self.target: gr.Dropdown(choices=list(dataset.classes), value=None),
            self.title: render_part("strong", title) if title else "",
        }

    def changed(self, dataset: ImageDataset, changes: Kept) -> Updates:
        """Return updates that show the changed images."""
        entries = [(item, place_of(dataset, item)) for item in dataset.items if key_of(item) in changes]
        return self.shown(dataset, entries, changes, title=_("Your changes"))

    def suspicious(
        self, dataset: ImageDataset, entries: Sequence[tuple[ImageItem, str]], changes: Kept
    ) -> Updates:
        """Return updates that show images whose label looks wrong, or that hide the panel if there are none.

        Args:
            dataset: Dataset of the images.
            entries: Images, each with its caption, the most suspicious first.
            changes: Changes that were made before.
        """
        if not entries:
            return self.hidden()
        return self.shown(
            dataset, entries, changes, title=_("Labels that look wrong · most suspicious first")
        )

    def hidden(self) -> Updates:
        """Return updates that clear and hide the panel."""
        return {
            self.sheet: None,
            **dict.fromkeys([self.changes, self.position, self.title], ""),
            self.gallery: gr.Gallery([], visible=False),
            self.images: gr.Column(visible=False),
        }

    def page_shown(self, dataset: ImageDataset, sheet: Sheet) -> Updates:
        """Return updates of ``painted`` that show the current page of a sheet."""
        items = {key_of(item): item for item in dataset.items}
        here, first = sheet.here, sheet.page * PAGE + 1
        last = first + len(here) - 1
        where = _("No images")
        if here:
            where = _("{first}–{last} of {n}", first=first, last=last, n=len(sheet.entries))
        hint, selected = _("Click images to select them"), _("{n} selected", n=len(sheet.marked))
        position = " · ".join([where, hint, selected, changes_text(sheet.changes)])
        images = [(thumbnail(dataset, items[key]), _caption(key, caption, sheet)) for key, caption in here]
        return {
            self.sheet: sheet,
            self.changes: json.dumps(sheet.changes),
            self.position: line(position),
            self.gallery: gr.Gallery(images, selected_index=None, visible=True),
        }


def key_of(item: ImageItem) -> str:
    """Return the key of an image. The same file in two classes has two keys."""
    return f"{item.sha256}:{','.join(map(str, item.labels))}"


def place_of(dataset: ImageDataset, item: ImageItem) -> str:
    """Return class and split of an image as text."""
    return ", ".join([*dataset.names_of(item), item.split])


def changes_of(sheet: Sheet | None) -> Kept:
    """Return the changes of a sheet."""
    return sheet.changes if sheet is not None else {}


def changes_in(sheet: Sheet | None) -> Changes:
    """Return the changes of a sheet by file and class, as `datasets` takes them."""
    kept = changes_of(sheet)
    return {(key.partition(":")[0], int(key.partition(":")[2])): name for key, name in kept.items()}


def changes_kept(dataset: ImageDataset, given: Any) -> Kept:
    """Return those changes that apply to a dataset.

    Args:
        dataset: Dataset to change.
        given: Changes as the browser kept them; any JSON value.
    """
    if not isinstance(given, dict):
        return {}
    fitting = {key_of(item) for item in dataset.items} & given.keys()
    return {key: given[key] for key in fitting if given[key] is None or isinstance(given[key], str)}


def build_relabel(service: Service, *, prefix: str) -> RelabelPanel:
    """Build the panel and its events. It is hidden until it shows images.

    Args:
        service: Service with the datasets.
        prefix: Prefix of the element IDs.
    """
    sheet, changes = gr.State(None), gr.Textbox(visible=False, container=False)
    with gr.Column(visible=False, elem_id=f"{prefix}-images") as images:
        title = gr.HTML(elem_id=f"{prefix}-title")
        position = gr.HTML(elem_id=f"{prefix}-position")
        gallery = gr.Gallery(
            label=_("Images"),
            show_label=False,
            columns=8,
            height="auto",
            object_fit="contain",
            allow_preview=False,
            interactive=False,
            buttons=[],
            visible=False,  # Gradio loads the script for galleries only when one becomes visible
            elem_id=f"{prefix}-gallery",
            elem_classes="lv-gallery",
        )
        with gr.Row():
            back = gr.Button(_("‹ Previous 24"), size="sm", min_width=100, elem_id=f"{prefix}-back")
            on = gr.Button(_("Next 24 ›"), size="sm", min_width=100, elem_id=f"{prefix}-next")
            every = gr.Button(_("Select page"), size="sm", min_width=100, elem_id=f"{prefix}-all")
        with gr.Row(equal_height=False):
            target = gr.Dropdown(
                label=_("Move to class"),
                info=_("Pick or type a class."),
                allow_custom_value=True,
                min_width=200,
                elem_id=f"{prefix}-class",
            )
            give = gr.Button(_("Move selected"), size="sm", min_width=130, elem_id=f"{prefix}-give")
            leave = gr.Button(_("Exclude selected"), size="sm", min_width=130, elem_id=f"{prefix}-leave")
            undo = gr.Button(_("Discard changes"), size="sm", min_width=130, elem_id=f"{prefix}-undo")

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
        return paint(now.switched([key for key, _caption_of in now.here]), request)

    @told
    def change(now: Sheet, name: str | None, request: gr.Request) -> Updates:
        if not (name or "").strip():
            raise NothingMarked(_("There is no class to move to. Pick or type a class."))
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
    """Return the number of changes of each kind as text."""
    if not kept:
        return _("No changes")
    counts = Counter(kept.values())
    return ", ".join(
        _("{n} excluded", n=n) if name is None else _("{n} moved to “{name}”", n=n, name=name)
        for name, n in counts.items()
    )


def _caption(key: str, caption: str, sheet: Sheet) -> str:
    if key in sheet.changes:
        name = sheet.changes[key]
        caption = _("✕ excluded") if name is None else f"→ {name}"
    return f"☑ {caption}" if key in sheet.marked else caption
