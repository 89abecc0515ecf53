"""An opened page is filled with what its link asks for first, and then stays in step with the registry."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from loravit_web.ui.kit.events import unchanged
from loravit_web.ui.page.follow import announce, ended_since, remembered, snapshot
from loravit_web.ui.train.relabel import key_of
from loravit_web.ui.use.answers import no_image
from loravit_web.ui.use.examples import examples
from tests.ui.catalog.catalog_page import request
from tests.ui.conftest import RunningApp


def handler(app: RunningApp, name: str) -> Any:
    """The page's event with this name, of the ones that open and follow it."""
    modules = ("loravit_web.ui.page.arrival", "loravit_web.ui.page.follow", "loravit_web.ui.page.pulse")
    found = [one for one in app.demo.fns.values() if one.fn and one.fn.__module__ in modules]
    (event,) = [one for one in found if one.fn.__name__ == name]
    return event


def filled(app: RunningApp, step: str, *given: Any, seen: Any = None, **query: str) -> dict[str, Any]:
    """What a step of the opening brings, by the ids of elements.

    Args:
        given: what the browser keeps, in the steps that ask for it.
    """
    (event,) = [one for one in app.demo.fns.values() if one.api_name == f"fill_{step}"]
    updates = event.fn(seen, request(**query), *given)
    if updates == unchanged():
        return {}
    assert set(updates) <= set(event.outputs)
    return by_id(updates)


def by_id(updates: dict[Any, Any]) -> dict[str, Any]:
    return {str(one.elem_id): value for one, value in updates.items() if one.elem_id}


def seen_after(updates: dict[Any, Any]) -> dict[str, Any]:
    """What a page remembers of a look that changed it."""
    (seen,) = [one for one in updates.values() if isinstance(one, dict) and "states" in one]
    return seen


def text(value: Any) -> str:
    return str(value.get("value", "") if isinstance(value, dict) else getattr(value, "value", value))


def test_every_step_fills_its_own_part(running_app: RunningApp) -> None:
    (run,) = running_app.service.registry.runs.list()
    assert "Colours" in filled(running_app, "use", None)["use-listing"]
    assert "Colours" in text(filled(running_app, "train", run.id, None)["train-progress"])
    assert "Colours" in text(filled(running_app, "catalog")["catalog-list"])
    assert "Colours" in text(filled(running_app, "runs")["runs-table"])
    assert "catalog-base" in by_id(handler(running_app, "offer").fn(request()))


def test_only_the_first_step_fills_what_stands_above_the_tabs(running_app: RunningApp) -> None:
    for step in ("catalog", "runs", "card", "run"):
        assert "job-strip" in filled(running_app, step)
        assert "job-strip" not in filled(running_app, step, seen={"key": []})


def test_a_link_opens_its_adapter_and_its_run(running_app: RunningApp) -> None:
    card = filled(running_app, "card", adapter="colours@1")
    assert "colours@1" in text(card["catalog-head"])
    assert 'aria-current="true"' in text(filled(running_app, "catalog", adapter="colours@1")["catalog-list"])
    (run,) = running_app.service.registry.runs.list()
    assert run.id[:8] in text(filled(running_app, "run", run=run.id)["runs-progress"])
    assert "aria-current" in text(filled(running_app, "runs", run=run.id)["runs-table"])


def test_a_link_that_names_neither_leaves_card_and_run_alone(running_app: RunningApp) -> None:
    for step in ("card", "run"):
        assert filled(running_app, step, seen={"key": []}) == {}


def test_the_run_that_a_browser_watched_is_watched_again(running_app: RunningApp) -> None:
    (run,) = running_app.service.registry.runs.list()
    for kept, again in ((run.id, True), ("of another registry", False), (None, False)):
        shown = filled(running_app, "train", kept, None).get("train-progress", "")
        assert ("Colours" in text(shown)) == again


def test_data_that_was_given_and_not_trained_on_is_there_again(running_app: RunningApp) -> None:
    dataset = running_app.service.datasets.import_source(running_app.images)
    key = key_of(dataset.items[0])
    changes = {key: None, "of no image": None, key_of(dataset.items[1]): 7}
    given = {"data": dataset.fingerprint, "name": "My colours", "mirror": False, "changes": changes}
    again = filled(running_app, "train", None, given)
    assert "32 images in 2 classes" in text(again["train-found"])
    assert (again["train-name"], again["train-mirror"]) == ("My colours", False)
    assert again["train-start"].interactive
    assert "1 excluded" in text(again["train-check-position"])
    assert again["train-look"].open
    bare = filled(running_app, "train", None, {**given, "changes": ["nonsense"]})
    assert "No changes" in text(bare["train-check-position"])
    for lost in ({**given, "data": "f" * 64}, {"data": 1}, {}, [], "text"):
        assert "train-found" not in filled(running_app, "train", None, lost)


def test_a_result_is_shown_as_long_as_its_run_is_watched(running_app: RunningApp) -> None:
    service = running_app.service
    event, at_arrival = [one for one in running_app.demo.fns.values() if one.name == "show_result"]
    (arrived,) = [one for one in running_app.demo.fns.values() if one.api_name == "fill_train"]
    assert at_arrival.trigger_after == arrived._id
    (run,) = service.registry.runs.list()

    def shown(watched: str | None, before: str | None) -> dict[str, Any]:
        updates = event.fn(watched, before, None, request())
        return updates if updates == unchanged() else by_id(updates)

    assert "colours@1" in text(shown(run.id, None)["train-result"])
    assert shown(run.id, run.id) == unchanged()
    assert shown(None, None) == unchanged()
    for other in (None, "of another registry"):
        assert "colours@1" not in text(shown(other, run.id)["train-result"])
        assert shown(other, run.id)["train-result-body"].visible is False


def test_a_link_to_a_task_picks_it(running_app: RunningApp) -> None:
    listing = json.loads(filled(running_app, "use", None, task="colours@1,gone")["use-listing"])
    assert listing["add"] == ["colours", "gone"]
    assert ["gone", "gone"] in listing["choices"]


def test_a_page_is_offered_an_image_with_the_tasks_that_fit_it(
    running_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = json.loads(filled(running_app, "use", None)["use-listing"])
    assert (bare["picture"], bare["pick"]) == (None, None)
    fitting = replace(examples()[0], tasks=("colours",))
    monkeypatch.setattr("loravit_web.ui.use.examples.examples", lambda: (fitting,))
    offered = json.loads(filled(running_app, "use", None)["use-listing"])
    assert (offered["pick"], offered["isOffer"]) == (["colours"], True)
    assert offered["picture"]["url"].startswith("gradio_api/file=")
    linked = json.loads(filled(running_app, "use", None, task="colours")["use-listing"])
    assert (linked["add"], linked["pick"]) == (["colours"], None)
    assert linked["picture"] == offered["picture"]


def test_a_look_that_finds_nothing_new_changes_nothing(running_app: RunningApp) -> None:
    beat = handler(running_app, "beat").fn
    now = remembered(snapshot(running_app.seen), empty=False)
    assert beat(now, request()) == {"__type__": "update"}
    other = {**now, "key": [0, []]}
    assert beat(other, request()) != beat(other, request())  # heard again where the page could not follow


def test_a_run_that_ended_since_the_last_look_is_told_once(
    running_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Success", lambda text, **_: told.append(text))
    (run,) = running_app.service.registry.runs.list()
    before = {"key": [0, []], "states": {run.id: "running", "of another registry": "running"}, "empty": False}
    event = handler(running_app, "follow")
    states = seen_after(event.fn(before, *[None] * 4, request()))["states"]
    assert ended_since(before["states"], states) == [run.id, "of another registry"]
    assert ended_since(states, states) == []
    announce(running_app.seen, [run.id, "of another registry"])
    (text,) = told
    assert text.startswith("“Colours” version 1 is ready. <a ")
    assert f'href="?tab=train&amp;run={run.id}"' in text


def test_a_page_that_outlived_its_app_catches_up(running_app: RunningApp) -> None:
    assert isinstance(handler(running_app, "beat").fn(None, request()), str)
    event = handler(running_app, "follow")
    updates = event.fn(*[None] * 5, request())
    assert seen_after(updates)["key"] == snapshot(running_app.seen)["key"]
    assert event.fn(seen_after(updates), *[None] * 4, request()) == unchanged()
    assert "Colours" in by_id(updates)["use-listing"]


def test_a_page_that_looks_before_it_is_filled_still_knows_that_nothing_was_there(
    running_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow = handler(running_app, "follow")

    def followed(seen: Any, *, empty: bool) -> dict[Any, Any]:
        monkeypatch.setattr(type(running_app.service.predictor), "empty", empty)
        updates: dict[Any, Any] = follow.fn(seen, *[None] * 4, request())
        return updates

    seen = seen_after(followed(None, empty=True))
    assert seen["empty"]
    assert by_id(followed({**seen, "key": [0, []]}, empty=False))["use-answers"] == no_image()
    assert "use-answers" not in by_id(followed({**seen, "key": [0, []]}, empty=True))
