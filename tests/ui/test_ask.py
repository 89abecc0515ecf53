"""What the page asks, and which of the answers belong to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loravit_web.ui.ask import Question, UnreadableQuestion, read_question, reply
from tests.ui.catalog_page import request
from tests.ui.conftest import RunningApp


def test_a_question_is_read_as_the_page_writes_it() -> None:
    text = '{"picture":{"path":"a.png"},"tasks":["pets","birds@2"],"labels":3,"looks":true,"near":["fish"]}'
    asked = Question({"path": "a.png"}, ["pets", "birds@2"], 3, looks=True, near=["fish"])
    assert read_question(text) == asked
    empty = '{"picture":null,"tasks":null,"labels":1,"looks":false,"near":[]}'
    assert read_question(empty) == Question(None, [], 1, looks=False, near=[])


ENDLESS = '{"picture":null,"tasks":[],"labels":Infinity,"looks":false,"near":[]}'
NESTED = pytest.param("[" * 100_000, id="nested")
WRONG_KINDS = '{"picture":1,"tasks":2,"labels":3,"looks":4,"near":5}'


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", WRONG_KINDS, ENDLESS, NESTED])
def test_what_is_no_question_is_refused_with_what_to_do(text: str | None) -> None:
    with pytest.raises(UnreadableQuestion, match="reload"):
        read_question(text)


def test_a_reply_names_its_question_and_is_heard_a_second_time() -> None:
    first, second = (json.loads(reply("asked", ["html"])) for _ in range(2))
    assert (first["to"], first["shown"]) == ("asked", ["html"])
    assert first != second


def test_after_an_answer_those_that_are_one_click_away_are_prepared(
    running_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[Any] = []
    monkeypatch.setattr(running_app.service.ahead, "want", lambda _picture, tasks: wanted.append(tasks))
    asked: dict[str, Any] = {"picture": {"path": "a.png"}, "tasks": ["colours"], "labels": 3, "looks": False}
    keep(running_app, {**asked, "near": ["pets", "birds"]})
    assert wanted == [["pets", "birds"]]
    keep(running_app, {**asked, "near": ["pets"], "picture": None})
    keep(running_app, {**asked, "near": ["pets"], "tasks": []})
    assert len(wanted) == 1


def keep(app: RunningApp, asked: dict[str, Any]) -> list[Any]:
    """What the page is told after the answer to a question."""
    handlers = [one.fn for one in app.demo.fns.values() if one.fn and one.fn.__module__.endswith("ui.ask")]
    (handler,) = [handler for handler in handlers if handler.__name__ == "keep"]
    return list(handler(None, json.dumps(asked), request()))
