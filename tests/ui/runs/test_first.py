"""The watch of a run that is training shows its first answer, and a button leads to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import pytest

from loravit_web.adapters.files.first_answer import EVALUATION_FILE, FirstAnswer, write_first_answer
from loravit_web.serving.stored import task_of_run
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.runs.watch import WatchPanel
from loravit_web.ui.train.tab import build_train
from loravit_web.ui.use.choices import NOTHING_KEPT, choices_for, pinned, remembered
from registry import NewRun, Run
from tests.adapters.makers import random_adapter
from tests.ui.catalog.catalog_page import request
from tests.ui.conftest import RunningApp

WORKER = "elsewhere:1"


@pytest.fixture
def watch(running_app: RunningApp) -> WatchPanel:
    """The panel without a server."""
    with gr.Blocks():
        return build_train(running_app.service, Presence()).watch


@pytest.fixture
def run(running_app: RunningApp) -> Iterator[Run]:
    """A run that trains in another process."""
    registry = running_app.service.registry
    (done,) = registry.runs.list(status=["completed"])
    new = NewRun("paints", "Paints", done.base_id, done.dataset_id, 0, done.config, {})
    started = registry.runs.create(new, worker=WORKER)
    yield started
    if registry.runs.get(started.id).status == "running":
        registry.runs.finish(started.lease, "cancelled")


@pytest.fixture
def answer_first(running_app: RunningApp, run: Run) -> Callable[[], None]:
    """A function that stores the run's first answer."""

    def store() -> None:
        base = running_app.service.predictor.engines.configured.base
        adapter = random_adapter(base, classes=("green", "red"))
        answer = FirstAnswer(12.3, adapter.class_names, 4, 0.75, ((0, 0, 2), (0, 1, 1), (1, 1, 1)))
        files = write_first_answer(adapter, base, answer)
        for name, data in files.items():
            running_app.service.registry.run_files.put(run.id, name, data)

    return store


def is_visible(update: Any) -> bool:
    return bool(update.visible)


def test_the_watch_says_when_the_first_answer_was_ready_and_how_good_it_is(
    running_app: RunningApp, watch: WatchPanel, run: Run, answer_first: Callable[[], None]
) -> None:
    before = watch.updates(running_app.seen, run.id)
    assert set(before) <= {*watch.outputs}
    assert not any(map(is_visible, (before[watch.first.sentence], before[watch.try_it])))
    answer_first()
    during = watch.updates(running_app.seen, run.id)
    assert all(map(is_visible, (during[watch.first.sentence], during[watch.first.details])))
    assert is_visible(during[watch.try_it])
    assert (
        "First answer after 12 s: 75% of 4 validation images correct (a probe without training)."
        in during[watch.first.sentence].value
    )
    assert "<button" not in during[watch.first.matrix]
    assert during[watch.first.matrix].count(">1</td>") == 2
    running_app.service.registry.runs.finish(run.lease, "cancelled")
    after = watch.updates(running_app.seen, run.id)
    assert not any(map(is_visible, (after[watch.first.sentence], after[watch.try_it])))
    assert after[watch.first.matrix] == ""


def test_a_first_answer_of_another_version_of_the_app_does_not_stop_the_watch(
    running_app: RunningApp, watch: WatchPanel, run: Run
) -> None:
    running_app.service.registry.run_files.put(run.id, EVALUATION_FILE, b'{"schema": 99}')
    shown = watch.updates(running_app.seen, run.id)
    assert "cannot be read by this version of the app" in shown[watch.first.sentence].value
    assert not is_visible(shown[watch.try_it])


def test_a_button_picks_the_first_answer_in_use(
    running_app: RunningApp, run: Run, answer_first: Callable[[], None]
) -> None:
    answer_first()
    (event,) = [one for one in running_app.demo.fns.values() if one.fn and one.fn.__name__ == "try_watched"]
    updates = event.fn(run.id, dict(NOTHING_KEPT), request())
    assert [one.selected for one in updates.values() if isinstance(one, gr.Tabs)] == ["use"]
    assert any(task_of_run(run.id) in str(one) for one in updates.values())
    with pytest.raises(gr.Error, match="Train an adapter first"):
        event.fn(None, dict(NOTHING_KEPT), request())


def test_the_list_names_a_picked_first_answer_and_remembers_none(
    running_app: RunningApp, run: Run, answer_first: Callable[[], None]
) -> None:
    answer_first()
    task = task_of_run(run.id)
    assert ("Paints (first answer, still training)", task) in choices_for(running_app.seen, None, [task])
    assert task not in dict(map(reversed, choices_for(running_app.seen, None)))
    assert remembered(None, [task, "colours@1"])["recent"] == ["colours"]
    assert pinned(None, [task])["pinned"] == []
    running_app.service.registry.runs.finish(run.lease, "cancelled")
    assert ("Paints · cancelled", task) in choices_for(running_app.seen, None, [task])
