"""Updates of open pages after changes of the registry. Pages only read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import gradio as gr

from loravit_web.ui.kit.errors import plain
from loravit_web.ui.kit.events import QUEUED, QUIET, Updates, unchanged
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.language.texts import _
from loravit_web.ui.page.page import Page
from loravit_web.ui.page.strip import strip_update
from loravit_web.ui.runs.listing import MOST_ACTIVE, active_runs
from loravit_web.ui.runs.watch import is_known
from loravit_web.ui.scripts import call
from loravit_web.ui.templates import render
from loravit_web.ui.use.answers import no_image
from loravit_web.ui.use.choices import choices_for
from loravit_web.ui.use.picker import chips_json, listing
from loravit_web.visibility import Seen
from registry import Run

RECENT = 20
"""Number of recent runs whose end a page reports."""
_NOTHING_SEEN: dict[str, Any] = {"key": [None, None, None], "states": {}, "empty": False}
"""State of a page whose app was restarted, or that was not filled yet."""


def snapshot(seen: Seen) -> dict[str, Any]:
    """Return what a page depends on: the revision of the catalog, the progress of recent runs, and nodes."""
    runs = seen.registry.runs.progress(RECENT, active=MOST_ACTIVE)
    places = [[run.id, run.status, run.stage, round(run.progress, 3), run.stop_request] for run in runs]
    nodes = seen.registry.nodes.list() if seen.shows_nodes else []
    return {
        "key": [seen.registry.revision(), places, [[one.id, one.busy, one.is_silent] for one in nodes]],
        "states": {run.id: run.status for run in runs},
    }


def remembered(now: dict[str, Any], *, empty: bool) -> dict[str, Any]:
    """Return what a page remembers of a snapshot.

    Args:
        now: Snapshot.
        empty: Whether there is no task to pick.
    """
    return {"key": now["key"], "states": now["states"], "empty": empty}


def watched_first(seen: Seen, active: Sequence[Run], kept: str | None) -> str | None:
    """Return the ID of the run that an opened page watches, or None.

    Args:
        seen: What the visitor sees.
        active: Runs that have not ended; the first is watched by default.
        kept: ID of the run that the browser watched before; it has priority if it exists.
    """
    if kept is not None and is_known(seen, kept):
        return kept
    return active[0].id if active else None


def follow_registry(page: Page) -> None:
    """Add the event that updates the page when ``page.pulse`` changes."""
    service, train, picker = page.service, page.train, page.use.picker
    offered = [picker.listing, picker.chips]
    above = [page.seen, page.catalog.revision, page.strip]
    training = [train.run_id, *train.watch.outputs, *train.result.outputs]
    news = gr.Textbox(visible=False, container=False)
    outputs = [*above, *offered, page.use.answers, news, *training]

    def follow(
        seen: dict[str, Any] | None,
        watched: str | None,
        memory: dict[str, list[str]] | None,
        result: str | None,
        corrections: Any,
        request: gr.Request,
    ) -> Updates:
        sight = seen_by(service, request)
        now, before = snapshot(sight), seen or _NOTHING_SEEN
        if before["key"] == now["key"]:
            return unchanged()
        ended = ended_since(before["states"], now["states"])
        active = active_runs(sight)
        if seen is None:
            watched = watched_first(sight, active, watched)
        empty = sight.predictor.empty
        updates: Updates = {
            page.seen: remembered(now, empty=empty and (seen is None or before["empty"])),
            page.catalog.revision: str(now["key"][0]),
            page.strip: strip_update(active),
            **train.watch.updates(sight, watched),
            **train.result.of_watched(sight, watched, result, corrections),
        }
        if before["key"][0] != now["key"][0]:
            updates[picker.listing] = listing(choices_for(sight, memory))
            updates[picker.chips] = chips_json(sight, memory)
        if before["empty"] and not empty:
            updates[page.use.answers] = no_image()
        if ended:
            updates[news] = json.dumps({"ended": ended, "nonce": uuid4().hex})
        if seen is None:
            updates[train.run_id] = watched
        return updates

    def tell(text: str, request: gr.Request) -> None:
        announce(seen_by(service, request), json.loads(text)["ended"])

    page.pulse.change(
        follow,
        [page.seen, train.run_id, picker.memory, train.result.run_id, train.corrections],
        outputs,
        **QUIET,
    )
    # a separate event, because toasts need the queue, and frequent events should not use it
    news.change(tell, news, None, js=call("steps.unseen"), **QUEUED)


def ended_since(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the IDs of runs that were active before and are not any more."""
    active = ("running", "queued")
    return [run_id for run_id, status in before.items() if status in active and now.get(run_id) not in active]


def announce(seen: Seen, ended: Sequence[str]) -> None:
    """Show a toast for each run that ended, unless it was cancelled.

    Args:
        seen: What the visitor sees.
        ended: IDs of the runs. Only recent runs are reported, because the browser sends this list.
    """
    recent = {run.id for run in seen.registry.runs.progress(RECENT, active=MOST_ACTIVE)}
    for run_id in dict.fromkeys(one for one in ended if one in recent):
        run = seen.registry.runs.get(run_id)
        if run.status == "completed":
            version = (run.published or "").rpartition("@")[2]
            text = _("“{title}” version {version} is ready.", title=run.title, version=version)
            gr.Success(render("page/ready", text=text, run=run), title=_("Training completed"))
        elif run.status in ("failed", "interrupted"):
            error = run.error or _("The run has no error message.")
            gr.Warning(
                plain(f"“{run.title}”: {error}"),
                title=_("Training failed") if run.status == "failed" else _("Training interrupted"),
            )
