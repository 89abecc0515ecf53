"""The tab Runs shows true states with their next step, and nothing of a user's text as markup."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from loravit_web.access.rights import LOCAL
from loravit_web.actions import Actions
from loravit_web.ui.runs import listing
from loravit_web.ui.runs.compare import TooManyRuns, compare_updates, ticked
from loravit_web.ui.runs.detail import detail_updates
from loravit_web.ui.runs.listing import listed_runs
from loravit_web.ui.runs.markup import compared_table, log_text, queue_list, runs_table
from tests.conftest import RECIPE
from tests.runs.test_next_steps import run
from tests.ui.conftest import RunningApp

EVIL = "<img src=x onerror=alert(1)>"
NOBODY = gr.Request(username=None)


def test_a_row_has_sign_word_link_and_tick_and_escapes_what_people_typed() -> None:
    html = runs_table([run("failed", title=EVIL, created_by=EVIL)], {}, "a" * 32, ["a" * 32])
    assert "<img" not in html
    assert '<span aria-hidden="true">✕</span> failed' in html
    assert f'href="?tab=runs&amp;run={"a" * 32}"' in html
    assert 'aria-current="true"' in html
    assert " checked" in html


def test_the_queue_says_who_waits_behind_whom() -> None:
    going, waiting = run("running", progress=0.4, stage="Epoch 2"), run("queued", created_by="bob")
    html = queue_list([going, replace(waiting, id="b" * 32)], {"b" * 32: 3})
    assert "Epoch 2, 40%" in html
    assert "“Cups” of bob</a> · number 3 in the queue" in html
    assert queue_list([], {}) == ""


def test_logs_and_comparisons_escape_and_say_when_there_is_nothing() -> None:
    assert "&lt;img" in log_text(EVIL)
    assert "no log" in log_text("")
    assert "No setting differs." in compared_table("Settings", [EVIL], [], "No setting differs.")


def test_a_seventh_run_is_not_ticked() -> None:
    six: list[str] = []
    for number in range(6):
        six = ticked(six, str(number), on=True)
    with pytest.raises(TooManyRuns, match="6 runs are ticked already"):
        ticked(six, "7", on=True)
    assert ticked(six, "3", on=False) == ["0", "1", "2", "4", "5"]


def test_the_list_finds_by_words_and_states_and_turns_its_pages(
    running_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = running_app.service
    dataset = service.import_dataset(running_app.pictures)
    waiting = Actions(service, LOCAL).queue_training(dataset, "Shades", RECIPE)

    def table(text: str = "", states: Any = (), page: int = 1) -> list[Any]:
        return listed_runs(running_app.seen, text, list(states), page, None, [])

    assert "number 1 in the queue" in table()[1]
    assert waiting.id not in table("colours", ["completed"])[1].partition("<table")[2]
    assert "No run meets this" in table("zebra")[1]
    monkeypatch.setattr(listing, "PAGE", 1)
    page, html, _found, previous, following = table(page=9)
    assert page == 2
    assert "Colours" in html
    assert (previous.visible, following.visible) == (True, False)


def test_a_chosen_run_shows_its_state_and_leads_on_and_a_lost_one_says_so(running_app: RunningApp) -> None:
    service = running_app.service
    (done,) = service.registry.runs.list(status=["completed"])
    head, result, catalog, *_, log = detail_updates(running_app.seen, done.id)
    assert "completed" in head
    assert result.visible
    assert catalog.visible
    assert "The run is completed." in log
    assert "epoch 1: train_loss" in log
    assert "There is no run" in detail_updates(running_app.seen, "f" * 32)[0]


def test_the_chosen_run_is_drawn_until_others_are_ticked(running_app: RunningApp) -> None:
    service = running_app.service
    (done,) = service.registry.runs.list(status=["completed"])
    title, metric, plot, rows, tables, _clear = compare_updates(
        running_app.seen, done.id, [], None, 0.0, "epoch"
    )
    assert "Curves of the chosen run" in title
    assert metric.value == "val_accuracy"
    assert plot.visible
    assert [row[0] for row in rows] == [1, 2, 3]
    assert "test accuracy" in tables
    assert "1 run compared" in compare_updates(running_app.seen, None, [done.id], "lr", 0.5, "minutes")[0]
    assert compare_updates(running_app.seen, None, ["f" * 32], None, 0.0, "epoch")[3] == []
