"""Every open page keeps in step with the registry; it only ever reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import gradio as gr

from loravit_web.ui.kit.errors import plain
from loravit_web.ui.kit.events import QUEUED, QUIET, Updates, unchanged
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.page.page import Page
from loravit_web.ui.page.strip import strip_update
from loravit_web.ui.runs.listing import MOST_ACTIVE, active_runs
from loravit_web.ui.runs.watch import is_known
from loravit_web.ui.use.answers import no_image
from loravit_web.ui.use.choices import choices_for
from loravit_web.ui.use.picker import chips_json, listing
from loravit_web.visibility import Seen
from registry import Run

RECENT = 20
"""Runs that a page hears of also after their end."""
_NOTHING_SEEN: dict[str, Any] = {"key": [None, None], "states": {}, "empty": False}
"""Of a page whose app was started again, or that looks before it was filled."""


def snapshot(seen: Seen) -> dict[str, Any]:
    """What a page depends on: the catalog's revision and where every recent or active run is."""
    runs = seen.registry.runs.progress(RECENT, active=MOST_ACTIVE)
    places = [[run.id, run.status, run.stage, round(run.progress, 3), run.stop_request] for run in runs]
    return {
        "key": [seen.registry.revision(), places],
        "states": {run.id: run.status for run in runs},
    }


def remembered(now: dict[str, Any], *, empty: bool) -> dict[str, Any]:
    """What a page keeps of a snapshot until its next look.

    Args:
        empty: whether there is no task to pick.
    """
    return {"key": now["key"], "states": now["states"], "empty": empty}


def watched_first(seen: Seen, active: Sequence[Run], kept: str | None) -> str | None:
    """The run that a page watches until another is started or chosen there.

    Args:
        active: the runs that have not ended, of which the first is chosen unless one was kept.
        kept: the run that this browser watched before.
    """
    if kept is not None and is_known(seen, kept):
        return kept
    return active[0].id if active else None


def follow_registry(page: Page) -> None:
    """Add the event that follows the pulse."""
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
    # rare, so that not every look has to go through the queue
    news.change(tell, news, None, **QUEUED)


def ended_since(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The runs that waited or ran and do so no more."""
    active = ("running", "queued")
    return [run_id for run_id, status in before.items() if status in active and now.get(run_id) not in active]


def announce(seen: Seen, ended: Sequence[str]) -> None:
    """A toast for each run; of one that was cancelled nobody needs to be told.

    Args:
        ended: only those of which a page can have heard are told of.
    """
    recent = {run.id for run in seen.registry.runs.progress(RECENT, active=MOST_ACTIVE)}
    for run_id in dict.fromkeys(one for one in ended if one in recent):
        run = seen.registry.runs.get(run_id)
        if run.status == "completed":
            gr.Success(plain(f"“{run.title}” is in the catalog and in the list of tasks: {run.published}."))
        elif run.status in ("failed", "interrupted"):
            gr.Warning(plain(f"“{run.title}”: {run.error or f'the run was {run.status}.'}"))
