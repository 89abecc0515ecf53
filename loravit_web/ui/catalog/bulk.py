"""Changes of several adapters that are selected in the list: tags and archiving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from loravit_web.catalog.bulk import BulkChange, archiving, carry_out_bulk
from loravit_web.ui.kit.confirm import ConfirmPanel, build_confirm
from loravit_web.ui.kit.errors import plain, told
from loravit_web.ui.kit.events import IN_TURN, QUEUED, QUIET, UNCHECKED, Data, Updates
from loravit_web.ui.kit.markup import line
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.language.texts import _, ngettext
from loravit_web.ui.scripts import call

if TYPE_CHECKING:
    from loravit_web.ui.catalog.view import CatalogView


@dataclass(frozen=True)
class BulkPanel:
    """The components of a change of several adapters, hidden until one is selected.

    Attributes:
        picked: Slugs of the selected adapters.
        bar: Contains the other components.
        count: Number of selected adapters.
        tags: Tags to add.
        tag: Adds the tags.
        archive: Asks for the confirmation of archiving.
        clear: Deselects all.
        confirm: Confirmation of archiving.
    """

    picked: gr.State
    bar: gr.Column
    count: gr.HTML
    tags: gr.Dropdown
    tag: gr.Button
    archive: gr.Button
    clear: gr.Button
    confirm: ConfirmPanel

    @property
    def outputs(self) -> list[Any]:
        """Components that `selected` updates."""
        return [self.picked, self.bar, self.count, *self.confirm.outputs]

    def selected(self, picked: Sequence[str]) -> Updates:
        """Return updates for the selected adapters."""
        return {
            self.picked: list(picked),
            self.bar: gr.Column(visible=bool(picked)),
            self.count: line(ngettext("{n} adapter selected", "{n} adapters selected", len(picked))),
            **self.confirm.closed(),
        }


def build_bulk() -> BulkPanel:
    """Build the panel, without events."""
    with gr.Column(visible=False, elem_id="catalog-bulk") as bar:
        count = gr.HTML(elem_id="catalog-bulk-count")
        tags = gr.Dropdown(
            label=_("Tags to add"),
            choices=[],
            value=[],
            multiselect=True,
            allow_custom_value=True,
            elem_id="catalog-bulk-tags",
        )
        with gr.Row():
            tag = gr.Button(_("Add tags"), size="sm", min_width=90, elem_id="catalog-bulk-tag")
            archive = gr.Button(_("Archive…"), size="sm", min_width=90, elem_id="catalog-bulk-archive")
            clear = gr.Button(_("Clear selection"), size="sm", min_width=90, elem_id="catalog-bulk-clear")
        confirm = build_confirm("catalog-bulk")
    return BulkPanel(gr.State([]), bar, count, tags, tag, archive, clear, confirm)


def connect_bulk(view: CatalogView) -> None:
    """Connect check boxes and buttons."""
    bulk, service = view.bulk, view.service

    def pick(data: Data, event: gr.EventData) -> Updates:
        slug = str(event.slug)
        others = [one for one in data[bulk.picked] if one != slug]
        return bulk.selected([*others, slug] if event.on else others)

    def clear(data: Data, request: gr.Request) -> Updates:
        return {**bulk.selected([]), **view.listed(seen_by(service, request), {**data, bulk.picked: []})}

    @told
    def ask(data: Data, request: gr.Request) -> Updates:
        seen = seen_by(service, request)
        seen.visitor.must("retire")
        return bulk.confirm.asking(archiving(seen.registry, tuple(data[bulk.picked])))

    def carried_out(change: BulkChange, data: Data, request: gr.Request) -> Updates:
        registry = seen_by(service, request).registry
        sentence = carry_out_bulk(actions_of(service, request), registry, change)
        updates = clear(data, request)
        gr.Success(plain(sentence), title=_("Done"))
        return {**updates, bulk.tags: []}

    @told
    def tag(data: Data, request: gr.Request) -> Updates:
        tags = tuple(name.strip().lstrip("#").lower() for name in data[bulk.tags] or ())
        return carried_out(BulkChange("tag", tuple(data[bulk.picked]), tags), data, request)

    @told
    def archive(data: Data, request: gr.Request) -> Updates:
        plan = data[bulk.confirm.pending]
        if plan is None:  # a second click before the reply to the first one
            return bulk.confirm.closed()
        if plan.change.slugs != tuple(data[bulk.picked]):  # selected or deselected after the question
            return ask(data, request)
        return carried_out(plan.change, data, request)

    view.rows.input(pick, {bulk.picked}, bulk.outputs, **IN_TURN, **UNCHECKED)
    outputs = [*bulk.outputs, bulk.tags, *view.list_outputs]
    for button, handler in ((bulk.tag, tag), (bulk.confirm.yes, archive)):
        given = {*view.inputs, bulk.tags, bulk.confirm.pending}
        event = button.click(handler, given, outputs, **QUEUED, **UNCHECKED)
        event.then(None, None, None, js=call("ticks.show"), **QUIET)
    cleared = bulk.clear.click(clear, view.inputs, outputs, **QUIET, **UNCHECKED)
    cleared.then(None, None, None, js=call("ticks.show"), **QUIET)
    bulk.archive.click(ask, {bulk.picked}, [*bulk.confirm.outputs], **QUEUED, **UNCHECKED)
    bulk.confirm.no.click(bulk.confirm.closed, None, [*bulk.confirm.outputs], **QUIET)
