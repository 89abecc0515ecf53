"""Tab Train with its five steps: data, check, settings, watch, result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loravit_web.datasets import ImageDataset
from loravit_web.datasets.errors import AmbiguousLayout, DatasetError
from loravit_web.datasets.layout.plan import ClassLevel
from loravit_web.errors import LoraVitError
from loravit_web.runs.pool_actions import joined_text
from loravit_web.service import Service
from loravit_web.training.recipe import Recipe
from loravit_web.ui.kit.browser_state import kept_in_browser
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import QUIET, Updates, unchanged
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.kit.uploads import uploaded
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.language.texts import gettext_noop
from loravit_web.ui.runs.watch import WatchPanel, build_watch
from loravit_web.ui.scripts import call
from loravit_web.ui.train.check import CheckPanel, build_check, chosen_level, connect_check
from loravit_web.ui.train.data import Way, build_answer, build_data
from loravit_web.ui.train.relabel import changes_kept
from loravit_web.ui.train.result import ResultPanel, build_result
from loravit_web.ui.train.review.pool import PoolPanel
from loravit_web.ui.train.review.revise import connect_revise
from loravit_web.ui.train.settings import (
    LONGEST_NAME,
    SettingsPanel,
    build_settings,
    connect_settings,
    suggested_name,
    suggestions,
)
from loravit_web.ui.train.steps import build_bar, step
from loravit_web.util.cancellation import raise_if_cancelled
from loravit_web.visibility import Seen
from registry import Version


@dataclass(frozen=True)
class TrainTab:
    """Components of the tab that other parts of the page change.

    Attributes:
        read_only: Reason why the visitor cannot train.
        run_id: ID of the watched run, kept in the browser; the caller renders it.
        given: Dataset that was not trained on yet, with its changes and settings, kept in the browser; the
            caller renders it.
        corrections: Changes of images behind a result, kept in the browser; the caller renders them.
        check: Components of step 2.
        settings: Components of step 3.
        watch: Components of step 4.
        result: Components of step 5.
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
        """Components that `given_before` fills."""
        settings = self.settings
        mirror = [settings.mirror, settings.mirrored]
        return [*self.check.outputs, settings.start, *mirror, settings.name, settings.suggested]

    @property
    def given_outputs(self) -> list[Any]:
        """Components that `given_data` fills."""
        return [*self.check.outputs, self.settings.start, self.settings.brought]

    def given_data(self, seen: Seen, dataset: ImageDataset, version: Version) -> Updates:
        """Return updates that show the data for the next version of an adapter.

        Args:
            seen: What the visitor sees.
            dataset: The data.
            version: Version whose title and horizontal flips the settings take over.
        """
        run = seen.registry.runs.get(version.run_id) if version.run_id is not None else None
        mirror = run is None or Recipe.from_json(run.config).mirror
        return {
            **self.check.filled(seen, dataset),
            self.settings.start: gr.Button(interactive=True),
            self.settings.brought: suggestions(version.title, mirror=mirror),
        }

    def given_before(self, seen: Seen, given: Any) -> Updates:
        """Return updates that show the dataset that was on the page before a reload, if it still exists.

        Args:
            seen: What the visitor sees.
            given: Value that the browser kept; any JSON value.
        """
        try:
            dataset = seen.datasets.load(str(given["data"]))
            name, mirror = str(given["name"])[:LONGEST_NAME], bool(given["mirror"])
            changes = changes_kept(dataset, given.get("changes"))
        except (TypeError, KeyError, DatasetError):
            return {}
        return {
            **self.check.filled(seen, dataset, changes),
            self.settings.start: gr.Button(interactive=True),
            self.settings.mirror: mirror,
            self.settings.mirrored: mirror,
            self.settings.name: name,
            self.settings.suggested: suggested_name(dataset.name),
        }


def build_train(service: Service, presence: Presence) -> TrainTab:
    """Build the tab and its events. One step is in view; see `train.steps`."""
    data, run_id = gr.State(None), kept_in_browser("watched")
    given, corrections = kept_in_browser("given"), kept_in_browser("corrections")
    read_only = gr.HTML(visible=False, elem_id="train-read-only")
    with gr.Column(elem_id="train-steps"):
        build_bar()
        with step("data"):
            ways, pool = build_data(service, presence)
            problem, level = build_answer()
        with step("check"):
            check = build_check(service, data, problem, level)
        with step("settings"):
            settings = build_settings(service)
        with step("watch"):
            watch = build_watch(
                service, run_id, prefix="train", empty=gettext_noop("Training progress appears here.")
            )
        with step("result"):
            result = build_result(service, run_id, corrections, watch)
    watch.state.change(None, watch.state, None, js=call("steps.takeRun"), **QUIET)

    # the previous dataset must not be trained on instead
    given_anew = [*(event for way in ways for event in way.events), check.level.input]
    gr.on(given_anew, None, None, settings.start, js=call("data.disable"), **QUIET)
    for way in ways:
        _take_in(service, way, check, settings, presence)
    connect_check(service, check, settings.start)
    connect_revise(service, check, settings.start)
    started = connect_settings(service, settings, check, run_id, watch, presence)
    kept: list[Any] = [check.taken, settings.name, settings.mirror, check.panel.changes]
    gr.on([one.change for one in kept], None, kept, given, js=call("data.store"), **QUIET)
    started.success(None, [check.taken, settings.problem], given, js=call("data.forget"), **QUIET)

    tab = TrainTab(read_only, run_id, given, corrections, check, settings, watch, result)
    _join_pool(service, tab, pool)
    show_result(service, tab, run_id.change)
    return tab


def _join_pool(service: Service, train: TrainTab, pool: PoolPanel) -> None:
    """Add the event that adds the confirmed images of a pool to the data of its task, and shows the data."""

    @told
    def join(task: str | None, request: gr.Request) -> Updates:
        joined = actions_of(service, request).join_pool(task or "")
        seen = seen_by(service, request)
        version = seen.registry.catalog.resolve(joined.task)
        return {
            **pool.shown(seen, joined.task, said=joined_text(joined)),
            **train.given_data(seen, joined.dataset, version),
        }

    pool.join.click(
        join,
        pool.task,
        [*pool.outputs, *train.given_outputs],
        show_progress_on=[pool.status],
        api_visibility="private",
    )


def show_result(service: Service, train: TrainTab, when: Callable[..., Any]) -> None:
    """Show the result of the watched run after an event, unless it is shown already.

    Args:
        service: Service with the runs.
        train: Components of the tab.
        when: Function that adds a listener to the event.
    """
    result = train.result

    def show_result(watched: str | None, shown: str | None, kept: Any, request: gr.Request) -> Updates:
        return result.of_watched(seen_by(service, request), watched, shown, kept) or unchanged()

    when(show_result, [train.run_id, result.run_id, train.corrections], result.outputs, **QUIET)


def _take_in(
    service: Service, way: Way, check: CheckPanel, settings: SettingsPanel, presence: Presence
) -> None:
    """Add the event that imports a dataset from one source and shows its summary, or the error."""

    def take(
        given: Mapping[Any, Any],
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio passes one only for this default
    ) -> Updates:
        return imported(given, None, request, progress)

    def take_level(
        given: Mapping[Any, Any],
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio passes one only for this default
    ) -> Updates:
        return imported(given, chosen_level(given[check.level]), request, progress)

    def imported(
        given: Mapping[Any, Any], level: ClassLevel, request: gr.Request, progress: gr.Progress
    ) -> Updates:
        is_cancelled = presence.watch(request.session_hash)

        def tell(fraction: float, text: str) -> None:
            raise_if_cancelled(is_cancelled)
            progress(fraction, desc=text)

        cannot_start = {settings.start: gr.Button(interactive=False)}
        files = [given[component] for component in way.given]
        try:
            taken = way.take(given, actions_of(service, request, uploads=uploaded(files)), tell, level)
        except AmbiguousLayout as question:
            return {**check.emptied(question.in_public, question.levels), **cannot_start}
        except LoraVitError as error:
            return {**check.emptied(error.in_public), **cannot_start}
        if taken is None:
            return {**check.emptied(), **cannot_start}
        dataset = taken.dataset
        return {
            **check.filled(seen_by(service, request), dataset, None, taken.levels, taken.at),
            settings.start: gr.Button(interactive=True),
            settings.brought: suggestions(dataset.name, mirror=way.mirror),
            **dict.fromkeys(way.empties),
        }

    outputs = [*check.outputs, settings.start, settings.brought, *way.empties]
    handlers = [(way.events, take, set(way.given))]
    if way.has_levels:
        handlers.append(([check.level.input], take_level, {*way.given, check.level}))
    for events, handler, inputs in handlers:
        gr.on(
            events,
            handler,
            inputs,
            outputs,
            show_progress_on=[check.problem],
            concurrency_limit=2,
            concurrency_id="imports",
            api_visibility="private",
        )
