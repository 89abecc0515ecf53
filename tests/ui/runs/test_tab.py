"""The tab Runs shows true states with their next step, and nothing of a user's text as markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import gradio as gr
import pytest

from loravit_web.access.rights import LOCAL, member
from loravit_web.actions import Actions
from loravit_web.ui.kit.events import Updates
from loravit_web.ui.runs import listing
from loravit_web.ui.runs.compare import TooManyRuns, ticked
from loravit_web.ui.runs.markup import Scores, active_banner, compared_table, log_text, runs_table
from loravit_web.ui.runs.tab import RunsTab, build_runs
from registry import Run
from tests.conftest import RECIPE
from tests.runs.test_next_steps import MOMENT, run
from tests.ui.conftest import RunningApp

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def tab(running_app: RunningApp) -> RunsTab:
    """The tab without a server."""
    with gr.Blocks():
        return build_runs(running_app.service)


def test_a_row_has_sign_word_link_and_tick_and_escapes_what_people_typed() -> None:
    html = table([run("failed", title=EVIL, created_by=EVIL)], chosen="a" * 32, compared=["a" * 32])
    assert "<img" not in html
    assert "<code>" not in html  # the ID is in the details
    assert '<span aria-hidden="true">✕</span> failed' in html
    assert f'href="?tab=runs&amp;run={"a" * 32}"' in html
    assert 'aria-current="true"' in html
    assert " checked" in html


def table(
    runs: list[Run], *, chosen: str | None = None, compared: Sequence[str] = (), **scores: float
) -> str:
    """The table, a minute after the runs began; ``scores`` are those of every run."""
    given = {name: {one.id: score for one in runs} for name, score in scores.items()}
    found = Scores(accuracy=given.get("accuracy", {}), probe=given.get("probe", {}))
    return runs_table(runs, found, chosen, compared, now=MOMENT + timedelta(minutes=1), own_names=("ann",))


def test_a_row_is_named_by_adapter_and_version_and_compares_with_the_probe() -> None:
    html = table(
        [run("completed", published="cups@2", config={"preset": "draft"})], accuracy=0.714, probe=0.924
    )
    assert ">Cups · v2</a>" in html
    assert 'aria-label="Compare Cups · v2, 1 min ago"' in html
    for cell in ("71.4%", "−21.0", "Draft", "1 min ago"):
        assert f">{cell}</td>" in html
    assert "Owner" not in html
    assert '<td data-label="Owner">bob</td>' in table([run("failed", created_by="bob")])


def test_a_run_without_epochs_has_the_accuracy_of_its_probe() -> None:
    instant = run("completed", config={"preset": "instant", "adapter": {"adapter_type": "PROBE"}})
    html = table([instant], probe=0.924)
    assert re.findall(r'<td data-label="(?:Accuracy|vs. probe)">([^<]+)<', html) == ["92.4%", "–"]


def test_a_row_of_a_sweep_says_what_it_tries() -> None:
    tried = run("completed", group="79cdd122" + 24 * "0", environment={"sweep": {"tries": {"lr": 0.002}}})
    assert "Sweep 79cdd122: lr 0.002" in table([tried])
    assert "Sweep" not in table([run("completed")])


def test_the_banner_says_who_waits_behind_whom_and_offers_what_may_be_done() -> None:
    going, waiting = run("running", progress=0.4, stage="Epoch 2"), run("queued", created_by="bob")
    active = [going, replace(waiting, id="b" * 32)]
    html = active_banner(active, {"b" * 32: 3}, member("ann", "editor"))
    assert "Epoch 2, 40%" in html
    assert "“Cups” by bob</a> · position 3 in the queue" in html
    assert [html.count(f'data-act="{act}"') for act in ("watch", "stop")] == [1, 1]
    assert active_banner(active, {}, LOCAL).count('data-act="stop"') == 2
    assert active_banner([], {}, LOCAL) == ""


def test_logs_and_comparisons_escape_and_say_when_there_is_nothing() -> None:
    assert "&lt;img" in log_text(EVIL)
    assert "No log available" in log_text("")
    assert "Identical settings." in compared_table("Settings", [EVIL], [], "Identical settings.")


def test_a_seventh_run_is_not_ticked() -> None:
    six: list[str] = []
    for number in range(6):
        six = ticked(six, str(number), on=True)
    with pytest.raises(TooManyRuns, match="up to 6 runs. Deselect one first"):
        ticked(six, "7", on=True)
    assert ticked(six, "3", on=False) == ["0", "1", "2", "4", "5"]


def test_the_list_finds_by_words_and_states_and_turns_its_pages(
    running_app: RunningApp, tab: RunsTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = running_app.service
    dataset = service.datasets.import_source(running_app.images)
    waiting = Actions(service, LOCAL).queue_training(dataset, "Shades", RECIPE)

    def shown(text: str = "", states: Sequence[str] = (), page: int = 1) -> Updates:
        given = {tab.listing.search: text, tab.listing.states: list(states)}
        return tab.listed(running_app.seen, {**tab.untouched, **given}, page=page)

    table, states = tab.listing.table, tab.listing.states
    assert "position 1 in the queue" in shown()[tab.listing.banner].value
    assert waiting.id not in shown("colours", ["completed"])[table]
    assert "No matching runs" in shown("zebra")[table]
    assert shown()[states].choices == [("… queued 1", "queued"), ("✓ completed 1", "completed")]
    assert shown("shades", ["completed"])[states].choices == [
        ("… queued 1", "queued"),
        ("✓ completed 0", "completed"),
    ]
    own = tab.listed(running_app.seen, {**tab.untouched, tab.listing.mine: True})[table]
    assert waiting.id in own
    assert "Colours" not in own
    monkeypatch.setattr(listing, "PAGE", 1)
    last = shown(page=9)
    assert last[tab.listing.page] == 2
    assert "Colours" in last[table]
    assert (last[tab.listing.previous].visible, last[tab.listing.following].visible) == (True, False)


def test_a_chosen_run_shows_its_state_and_leads_on_and_a_lost_one_says_so(
    running_app: RunningApp, tab: RunsTab
) -> None:
    (done,) = running_app.service.registry.runs.list(status=["completed"])
    detail = tab.detail
    shown = detail.updates(running_app.seen, done.id)
    assert {*detail.outputs} - set(shown) == {detail.confirm.text, detail.confirm.yes}
    assert "completed" in shown[detail.head]
    assert shown[detail.result].visible
    assert shown[detail.catalog].visible
    assert "The run is completed." in shown[detail.log]
    assert "epoch 1: train_loss" in shown[detail.log]
    assert shown[detail.column].visible
    assert shown[detail.delete].visible
    lost = detail.updates(running_app.seen, "f" * 32)
    assert "There is no run" in lost[detail.head]
    assert lost[detail.buttons.cancel]["visible"] is False


def test_a_run_that_is_looked_at_again_leaves_what_does_not_change(
    running_app: RunningApp, tab: RunsTab
) -> None:
    (done,) = running_app.service.registry.runs.list(status=["completed"])
    again = tab.detail.updates(running_app.seen, done.id, fresh=False)
    assert not {tab.detail.facts, tab.detail.settings, tab.detail.record} & set(again)
    assert tab.detail.updates(running_app.seen, None) == {}


def test_the_chosen_run_is_drawn_until_others_are_ticked(running_app: RunningApp, tab: RunsTab) -> None:
    (done,) = running_app.service.registry.runs.list(status=["completed"])
    panel = tab.compare

    def drawn(**given: Any) -> Updates:
        parts = {"chosen": tab.chosen, "compared": tab.compared, "metric": panel.metric, "axis": panel.axis}
        values = {parts[name]: value for name, value in given.items()}
        updates = tab.drawn(running_app.seen, {**tab.untouched, **values})
        if updates[panel.body].visible:
            assert set(updates) == {*panel.outputs}
        return updates

    shown = drawn(chosen=done.id)
    assert "<h3>Metrics</h3>" in shown[panel.title]
    assert shown[panel.metric].value == "val_accuracy"
    assert shown[panel.plot].visible
    assert [row[0] for row in shown[panel.rows]] == [1, 2, 3]
    assert "test accuracy" in shown[panel.tables]
    assert shown[panel.body].visible
    assert drawn()[panel.body].visible is False  # no controls without anything to control
    assert "1 run compared" in drawn(compared=[done.id], metric="lr", axis="minutes")[panel.title]
    assert drawn(compared=["f" * 32])[panel.rows] == []
