"""A body is measured before anything is made of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from loravit_web.ui.gate import bodies
from loravit_web.ui.gate.bodies import Budget, check_json, read_body
from loravit_web.ui.gate.gate import Gate, House
from loravit_web.ui.gate.refusals import Refused
from loravit_web.ui.gate.routes import API
from tests.aside import run_aside
from tests.ui.gate.conftest import Ask, echo

RUN = f"{API}/run/classify"


async def in_parts(part: bytes, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield part


def test_a_document_of_usual_size_reaches_the_app_whole(ask: Ask) -> None:
    assert ask("POST", RUN, json={"data": ["x" * 1000], "session_hash": "abc"}).json()["body"] > 1000


@pytest.mark.parametrize("path", [RUN, f"{API}/queue/join", f"{API}/call/classify", f"{API}/call/v2/tasks"])
def test_a_document_that_is_too_large_is_refused_whether_it_says_so_or_not(ask: Ask, path: str) -> None:
    size = bodies.JSON_BYTES
    assert ask("POST", path, content=b" " * (size + 1)).status_code == 413
    assert ask("POST", path, content=in_parts(b" " * 65536, size // 65536 + 1)).status_code == 413
    assert (
        ask("POST", path, content=b"{}" + b" " * 10, headers={"Content-Length": str(size + 1)}).status_code
        == 413
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "null",
        "{",
        '{"data": [1,]}',
        "[" * 100_000,
        '{"a":' * 50_000,
        '{"data": ' + "[" * 3000 + "]" * 3000 + "}",
        '{"data": [], "session_hash": 3}',
        '{"data": [], "session_hash": ""}',
        '{"data": [], "session_hash": "a b"}',
        '{"data": [], "session_hash": "' + "x" * 129 + '"}',
        '{"data": [], "fn_index": {"a": 1}}',
        '{"data": [], "fn_index": 1e400}',
        '{"data": [], "event_id": "' + "x" * 1000 + '"}',
        "\xff\xfe",
    ],
)
def test_a_document_of_another_form_is_refused_in_a_sentence(ask: Ask, text: str) -> None:
    reply = ask("POST", RUN, content=text.encode("latin-1"))
    assert reply.status_code in (400, 413)
    assert reply.json()["detail"].endswith(".")


def test_an_answer_waits_only_for_a_body_that_is_still_coming(house: House) -> None:
    async def answered(more: bool) -> int:
        """The number of messages that are read of a document that is refused at its first part."""
        read = 0

        async def receive() -> dict[str, Any]:
            nonlocal read
            read += 1
            return {"type": "http.request", "body": b"[]", "more_body": more and read < 3}

        async def send(_message: Message) -> None:
            pass

        length = str(bodies.JSON_BYTES + 1) if more else "2"
        scope = {
            "type": "http",
            "method": "POST",
            "path": RUN,
            "query_string": b"",
            "scheme": "http",
            "client": ("203.0.113.5", 4711),
            "server": ("app.example", 80),
            "headers": [(b"host", b"app.example"), (b"content-length", length.encode())],
        }
        await Gate(echo, house)(scope, receive, send)
        return read

    assert run_aside(answered(more=False)) == 1
    assert run_aside(answered(more=True)) == 3


def test_more_values_than_any_page_sends_are_refused_before_they_are_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies.json, "loads", lambda _body: pytest.fail("it was parsed"))
    with pytest.raises(Refused, match="values") as refused:
        run_aside(check_json(b'{"data": [' + b"[]," * 60_000 + b"0]}"))
    assert refused.value.status == 413


def test_documents_of_all_callers_share_one_budget() -> None:
    async def read(budget: Budget) -> int:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"x" * 60, "more_body": False}

        async with budget.share() as one:
            assert len(await read_body(receive, 100, one, declared=None)) == 60
            async with budget.share() as other:
                with pytest.raises(Refused, match="busy") as refused:
                    await read_body(receive, 100, other, declared=None)
        async with budget.share() as third:  # what the first one held is free again
            await read_body(receive, 100, third, declared=None)
        return refused.value.status

    assert run_aside(read(Budget(100))) == 503


def test_a_body_that_stops_coming_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SILENCE_SECONDS", 0.05)

    async def read() -> None:
        async def receive() -> dict[str, Any]:
            await asyncio.sleep(10)
            return {}

        async with Budget().share() as share:
            await read_body(receive, 100, share, declared=None)

    with pytest.raises(Refused) as refused:
        run_aside(read())
    assert refused.value.status == 408


def test_a_body_that_comes_byte_by_byte_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "DOCUMENT_SECONDS", 0.05)

    async def read() -> None:
        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.005)
            return {"type": "http.request", "body": b"x", "more_body": True}

        async with Budget().share() as share:
            await read_body(receive, 10_000, share, declared=None)

    with pytest.raises(Refused) as refused:
        run_aside(read())
    assert refused.value.status == 408
