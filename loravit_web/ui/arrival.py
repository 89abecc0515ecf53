"""Filling a page that has just been opened, part by part."""

from __future__ import annotations

from typing import Any

import gradio as gr

from loravit_web.ui.answers import NO_TASKS
from loravit_web.ui.errors import told
from loravit_web.ui.events import QUIET
from loravit_web.ui.follow import remembered, snapshot, watched_first
from loravit_web.ui.markup import job_strip, who_line
from loravit_web.ui.page import Page
from loravit_web.ui.picker import chips_json, with_tasks
from loravit_web.ui.runs import runs_arrived
from loravit_web.ui.runs_compare import then_points
from loravit_web.ui.visitors import read_only, visitor_of
from loravit_web.ui.watch import watch_updates

Updates = dict[Any, Any]

SCRIPT = """
<script>
(() => {
  const asked = new URLSearchParams(window.location.search).get("tab");
  const tabs = window.gradio_config?.components?.find((one) => one.props.elem_id === "tabs");
  if (tabs && ["use", "train", "catalog", "runs"].includes(asked)) tabs.props.selected = asked;
})();
</script>
"""
"""For the head of the page, after Gradio's description: a link's tab is the first that is drawn."""


def fill_page(demo: gr.Blocks, page: Page) -> None:
    """Add the events of an opened page.

    What the page shows is read after what it remembers having seen, so that nothing which happens meanwhile
    is missed. First comes what Use and Train need, then Catalog and Runs: with an answer Gradio makes all of
    its outputs anew, changed or not, and four fifths of them are in those two. What there is to filter by
    comes last, as it takes the longest.
    """
    service, picker, catalog = page.service, page.use.picker, page.catalog

    @told
    def arrive(memory: dict[str, list[str]] | None, watched: str | None, request: gr.Request) -> Updates:
        # Only what the link asks for: by the time this runs the reader may have gone on.
        asked = dict(request.query_params)
        picked = [task for task in asked.get("task", "").split(",") if task]
        now, nothing = snapshot(service), service.predictor.empty
        run_id = watched_first(service, now, watched)
        visitor = visitor_of(service, request)
        return {
            page.who: who_line(service.settings, visitor),
            page.seen: remembered(now, empty=nothing),
            page.strip: gr.HTML(job_strip(now["active"]), visible=bool(now["active"])),
            picker.listing: with_tasks(service, memory, picked),
            picker.chips: chips_json(service, memory),
            **({page.use.answers: NO_TASKS} if nothing else {}),
            page.train.read_only: read_only(visitor.refusal("train")),
            page.train.run_id: gr.skip() if run_id == watched else run_id,
            **dict(zip(page.train.watch.outputs, watch_updates(service, run_id), strict=True)),
        }

    @told
    def go_on(request: gr.Request) -> Updates:
        return {**catalog.arrived(request), **runs_arrived(service, page.runs, request)}

    def offer() -> Updates:
        return catalog.filters.offered(service, catalog.untouched)

    use = [picker.listing, picker.chips, page.use.answers]
    train = [page.train.read_only, page.train.run_id, *page.train.watch.outputs]
    arrived = demo.load(
        arrive, [picker.memory, page.train.run_id], [page.who, page.seen, page.strip, *use, *train], **QUIET
    )
    later = [*catalog.outputs, page.runs.chosen, *page.runs.everything]
    filled = arrived.then(go_on, None, later, **QUIET)
    then_points(page.runs.compare, filled)
    filled.then(offer, None, list(catalog.filters.fields.values()), **QUIET)
