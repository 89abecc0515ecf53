"""What the page asks, and which of the answers belong to it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from loravit_web.ui.use import ask as ask_module
from loravit_web.ui.use.ask import Question, UnreadableQuestion, read_question
from tests.ui.catalog.catalog_page import request
from tests.ui.conftest import RunningApp

T = TypeVar("T")


def test_a_question_is_read_as_the_page_writes_it() -> None:
    text = '{"picture":{"path":"a.png"},"tasks":["pets","birds@2"],"labels":3,"looks":true,"near":["fish"]}'
    asked = Question({"path": "a.png"}, ["pets", "birds@2"], 3, looks=True, near=["fish"])
    assert read_question(text) == asked
    empty = '{"picture":null,"tasks":null,"labels":1,"looks":false,"near":[]}'
    assert read_question(empty) == Question(None, [], 1, looks=False, near=[])


def test_a_question_about_a_frame_of_the_camera_holds_the_frame() -> None:
    text = '{"picture":{"frame":"data:"},"tasks":[],"labels":1,"looks":false,"near":[]}'
    assert read_question(text).image == {"frame": "data:"}


ENDLESS = '{"picture":null,"tasks":[],"labels":Infinity,"looks":false,"near":[]}'
NESTED = pytest.param("[" * 100_000, id="nested")
WRONG_KINDS = '{"picture":1,"tasks":2,"labels":3,"looks":4,"near":5}'


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", WRONG_KINDS, ENDLESS, NESTED])
def test_what_is_no_question_is_refused_with_what_to_do(text: str | None) -> None:
    with pytest.raises(UnreadableQuestion, match="Reload the page"):
        read_question(text)


def test_after_an_answer_those_that_are_one_click_away_are_prepared(
    running_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[Any] = []
    monkeypatch.setattr(
        running_app.service.prefetcher, "prefetch", lambda _image, tasks: wanted.append(tasks)
    )
    question: dict[str, Any] = {"picture": {"path": "a.png"}, "tasks": ["colours"], "labels": 3}
    question["looks"] = False

    def ask(**changed: Any) -> str:
        return answered(running_app, {**question, **changed})

    assert "not an uploaded file" in ask(near=["pets", "birds"])
    assert wanted == [["pets", "birds"]]
    ask(near=["pets"], picture=None)
    ask(near=["pets"], tasks=[])
    ask(near=[])
    assert len(wanted) == 1


def test_more_questions_than_may_wait_are_refused_and_the_others_answered(
    running_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    most, go_on = running_app.service.settings.limits.waiting, threading.Event()
    monkeypatch.setattr(ask_module, "answers_html", lambda *_asked, **_heat: str(go_on.wait(30)))
    question: dict[str, Any] = {"picture": None, "tasks": [], "labels": 3, "looks": False, "near": []}

    async def all_at_once() -> list[str]:
        asking = [asyncio.create_task(asked(running_app, question)) for _ in range(most + 2)]
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        go_on.set()
        return await asyncio.gather(*asking)

    shown = finished(all_at_once())
    assert sum("The server is busy" in one for one in shown) == 2
    assert shown.count("True") == most
    assert answered(running_app, question) == "True"


async def asked(app: RunningApp, question: dict[str, Any]) -> str:
    """What the page shows as the answer to a question."""
    (handler,) = [one.fn for one in app.demo.fns.values() if one.fn and one.api_name == "answers"]
    return str(await handler(json.dumps(question), request()))


def answered(app: RunningApp, question: dict[str, Any]) -> str:
    return finished(asked(app, question))


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """What it returns, in a thread of its own, as Playwright may run this one's loop."""
    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(asyncio.run, coroutine).result()
