"""The tab Train in five steps: data, check, settings, watch, result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loravit_web.datasets.errors import DatasetError
from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.ui.gate.presence import Presence
from loravit_web.ui.kit.browser_state import kept_in_browser
from loravit_web.ui.kit.events import QUIET
from loravit_web.ui.kit.uploads import uploaded
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.runs.watch import WatchPanel, build_watch
from loravit_web.ui.train.check import CheckPanel, build_check, check_updates, connect_check, nothing_updates
from loravit_web.ui.train.data import Way, build_data
from loravit_web.ui.train.relabel import changes_kept
from loravit_web.ui.train.result import ResultPanel, build_result, result_of_watched
from loravit_web.ui.train.settings import (
    LONGEST_NAME,
    SettingsPanel,
    build_settings,
    connect_settings,
    suggested_name,
    suggestions,
)
from loravit_web.ui.use.tab import UseTab
from loravit_web.util.cancellation import raise_if_cancelled
from loravit_web.visibility import Seen

Updates = dict[Any, Any]

_KEEP = """(taken, name, mirror, changes) => {
  if (!taken) return {__type__: "update"};
  const [data] = taken.split(" "), corrected = JSON.parse(changes || "{}");
  const trained = taken === window.loravitTrained && !Object.keys(corrected).length;
  return data && !trained ? {data, name, mirror, changes: corrected} : {};
}"""
"""In the browser, as a reload waits for no server; a page without data of its own leaves what was kept."""
_WAIT = "() => ({__type__: 'update', interactive: false})"
_TRAINED = "(taken) => { window.loravitTrained = taken; return {}; }"
"""Gradio says of what is in a tab that it changed whenever the tab is opened again."""


@dataclass(frozen=True)
class TrainTab:
    """What other parts of the page change here.

    Attributes:
        read_only: why this visitor can't train.
        run_id: of the run that is watched, kept in the browser; not rendered yet.
        given: what was given and not trained on yet, kept in the browser; not rendered yet.
        corrections: of images behind a result, likewise.
    """

    read_only: gr.HTML
    run_id: gr.BrowserState
    given: gr.BrowserState
    corrections: gr.BrowserState
    check: CheckPanel
    settings: SettingsPanel
    watch: WatchPanel
    result: ResultPanel

    @property
    def of_given(self) -> list[Any]:
        """What `given_before` fills."""
        settings = self.settings
        mirror = [settings.mirror, settings.mirrored]
        return [*self.check.outputs, settings.start, *mirror, settings.name, settings.suggested]

    def given_before(self, seen: Seen, given: Any) -> Updates:
        """The data that was on the page before it was loaded anew, if it is still there."""
        try:
            dataset = seen.datasets.load(str(given["data"]))
            name, mirror = str(given["name"])[:LONGEST_NAME], bool(given["mirror"])
            changes = changes_kept(dataset, given.get("changes"))
        except (TypeError, KeyError, DatasetError):
            return {}
        suggested = suggested_name(dataset.name)
        updates = [*check_updates(dataset, changes), mirror, mirror, name, suggested]
        return dict(zip(self.of_given, updates, strict=True))


def build_train(service: Service, tabs: gr.Tabs, use: UseTab, presence: Presence) -> TrainTab:
    """Build the tab and its events.

    All steps stay in view, so that none hides what another one says: the data on the left, what is made of it
    on the right, one below the other on a narrow screen.
    """
    data, run_id = gr.State(None), kept_in_browser("watched")
    given, corrections = kept_in_browser("given"), kept_in_browser("corrections")
    read_only = gr.HTML(visible=False, elem_id="train-read-only")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            gr.HTML("<h3>1 · Data</h3>")
            ways = build_data()
            gr.HTML("<h3>2 · Check</h3>")
            check = build_check(service, data)
        with gr.Column(min_width=300):
            gr.HTML("<h3>3 · Settings</h3>")
            settings = build_settings(service.base.patch_size)
            gr.HTML("<h3>4 · Watch</h3>")
            watch = build_watch(
                service, run_id, prefix="train", empty="Start a training and watch it learn here."
            )
    gr.HTML("<h3>5 · Result</h3>")
    result = build_result(service, tabs, use, run_id, corrections, watch)

    # what was given before is not to be trained on instead
    given_anew = [event for way in ways for event in way.events]
    gr.on(given_anew, None, None, settings.start, js=_WAIT, **QUIET)
    for way in ways:
        _take_in(service, way, check, settings, presence)
    connect_check(service, check, settings.start)
    started = connect_settings(service, settings, check, run_id, watch, presence)
    kept: list[Any] = [check.taken, settings.name, settings.mirror, check.panel.changes]
    gr.on([one.change for one in kept], None, kept, given, js=_KEEP, **QUIET)
    started.success(None, check.taken, given, js=_TRAINED, **QUIET)

    tab = TrainTab(read_only, run_id, given, corrections, check, settings, watch, result)
    show_result(service, tab, run_id.change)
    return tab


def show_result(service: Service, train: TrainTab, when: Callable[..., Any]) -> None:
    """Let an event show the watched run's result, unless it is shown."""
    result = train.result

    def show_result(watched: str | None, shown: str | None, kept: Any, request: gr.Request) -> list[Any]:
        return result_of_watched(seen_by(service, request), result, watched, shown, kept)

    when(show_result, [train.run_id, result.run_id, train.corrections], result.outputs, **QUIET)


def _take_in(
    service: Service, way: Way, check: CheckPanel, settings: SettingsPanel, presence: Presence
) -> None:
    """Import what one way gives and show what is in it; what is wrong with it is said in its place."""

    def take(
        given: Mapping[Any, Any],
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio's own way to ask for one
    ) -> list[Any]:
        is_cancelled = presence.watch(request.session_hash)

        def tell(fraction: float, text: str) -> None:
            raise_if_cancelled(is_cancelled)
            progress(fraction, desc=text)

        same = [gr.skip()] * (1 + len(way.empties))
        try:
            dataset = way.take(given, actions_of(service, request, uploads=uploaded(given.values())), tell)
        except LoraVitError as error:
            return [*nothing_updates(error.in_public), *same]
        if dataset is None:
            return [*nothing_updates(), *same]
        brought = suggestions(dataset.name, mirror=way.mirror)
        return [*check_updates(dataset), brought, *[None] * len(way.empties)]

    gr.on(
        way.events,
        take,
        set(way.given),
        [*check.outputs, settings.start, settings.brought, *way.empties],
        show_progress_on=[check.found],
        concurrency_limit=2,
        concurrency_id="imports",
        api_visibility="private",
    )
