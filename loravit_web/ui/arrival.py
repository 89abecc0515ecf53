"""Filling a page that has just been opened: what its link asks for first, and the rest after that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

_OPEN_TAB = """() => {
  const asked = new URLSearchParams(window.location.search).get("tab");
  const known = ["use", "train", "catalog", "runs"].includes(asked);
  return known ? {__type__: "update", selected: asked} : {__type__: "update"};
}"""
"""In the browser, so that a link's tab needs no answer of the server."""


def fill_page(demo: gr.Blocks, page: Page) -> None:
    """Add the events of an opened page.

    What the page shows is read after what it remembers having seen, so that nothing which happens meanwhile
    is missed. One event brings all that the link asks for: each trip to the server costs the reader a tenth
    of a second, and more while the page is still being built.
    """
    service, picker, catalog = page.service, page.use.picker, page.catalog
    filled: Mapping[str, Callable[[gr.Request], Updates]] = {
        "catalog": catalog.arrived,
        "runs": lambda request: runs_arrived(service, page.runs, request),
    }
    later = [*catalog.outputs, page.runs.chosen, *page.runs.everything]

    @told
    def arrive(memory: dict[str, list[str]] | None, request: gr.Request) -> Updates:
        # Only what the link asks for: by the time this runs the reader may have gone on.
        asked = dict(request.query_params)
        picked = [task for task in asked.get("task", "").split(",") if task]
        now, nothing = snapshot(service), service.predictor.empty
        run_id = watched_first(now)
        visitor = visitor_of(service, request)
        fill = filled.get(asked.get("tab", ""))
        return {
            page.who: who_line(service.settings, visitor),
            page.seen: remembered(now, empty=nothing),
            page.strip: gr.HTML(job_strip(now["active"]), visible=bool(now["active"])),
            picker.listing: with_tasks(service, memory, picked),
            picker.chips: chips_json(service, memory),
            **({page.use.answers: NO_TASKS} if nothing else {}),
            page.train.read_only: read_only(visitor.refusal("train")),
            page.train.run_id: run_id,
            **dict(zip(page.train.watch.outputs, watch_updates(service, run_id), strict=True)),
            **(fill(request) if fill else {}),
        }

    @told
    def go_on(request: gr.Request) -> Updates:
        shown = request.query_params.get("tab")
        rest: Updates = {}
        for name, fill in filled.items():
            rest |= {} if name == shown else fill(request)
        return {**rest, **catalog.filters.offered(service, catalog.untouched)}

    use = [picker.listing, picker.chips, page.use.answers]
    train = [page.train.read_only, page.train.run_id, *page.train.watch.outputs]
    demo.load(None, None, page.tabs, js=_OPEN_TAB, **QUIET)
    everything = [page.who, page.seen, page.strip, *use, *train, *later]
    arrived = demo.load(arrive, picker.memory, everything, **QUIET)
    then_points(page.runs.compare, arrived.then(go_on, None, later, **QUIET))
