"""What the page asks, and which of the answers belong to it."""

from __future__ import annotations

import json

import pytest

from loravit_web.ui.ask import Question, UnreadableQuestion, read_question, reply


def test_a_question_is_read_as_the_page_writes_it() -> None:
    text = '{"picture":{"path":"a.png"},"tasks":["pets","birds@2"],"labels":3,"looks":true}'
    assert read_question(text) == Question({"path": "a.png"}, ["pets", "birds@2"], 3, looks=True)
    empty = '{"picture":null,"tasks":null,"labels":1,"looks":false}'
    assert read_question(empty) == Question(None, [], 1, looks=False)


ENDLESS = '{"picture":null,"tasks":[],"labels":Infinity,"looks":false}'
NESTED = pytest.param("[" * 100_000, id="nested")
WRONG_KINDS = '{"picture":1,"tasks":2,"labels":3,"looks":4}'


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", WRONG_KINDS, ENDLESS, NESTED])
def test_what_is_no_question_is_refused_with_what_to_do(text: str | None) -> None:
    with pytest.raises(UnreadableQuestion, match="reload"):
        read_question(text)


def test_a_reply_names_its_question_and_is_heard_a_second_time() -> None:
    first, second = (json.loads(reply("asked", ["html"])) for _ in range(2))
    assert (first["to"], first["shown"]) == ("asked", ["html"])
    assert first != second
