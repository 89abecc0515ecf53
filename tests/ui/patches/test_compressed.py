"""Who takes which way of compression, and how strongly answers are compressed."""

from __future__ import annotations

import asyncio

import brotli
import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from loravit_web.ui.patches.compressed import CompressedAnswers, CompressedEvents, encoding_of
from tests.aside import run_aside


@pytest.mark.parametrize(
    ("told", "way"),
    [
        ("gzip, deflate, br", "br"),
        ("gzip;q=0.8, br;q=0.5", "br"),
        ("gzip, br;q=0", "gzip"),
        ("gzip; q=0.0", None),
        ("identity", None),
        ("", None),
    ],
)
def test_brotli_is_taken_before_gzip_and_what_is_refused_is_not(told: str, way: str | None) -> None:
    assert encoding_of(Headers({"accept-encoding": told})) == way


def test_an_answer_that_is_asked_for_again_is_compressed_more_strongly() -> None:
    content = b"".join(b"line %d of many lines\n" % (number * 7919 % 1000) for number in range(1000))

    async def sizes() -> list[int]:
        answers = CompressedAnswers(most=8, strong=1)
        first = await answers.keep("one", content, "br", "text/plain", {"cache-control": "no-store"})
        other = await answers.keep("other", content, "br", "text/plain")
        while (again := answers.get("one")) is first:
            await asyncio.sleep(0.01)
        assert again is not None
        assert brotli.decompress(bytes(again.body)) == content
        assert {**again.headers, "content-length": ""} == {**first.headers, "content-length": ""}
        assert answers.get("other") is other is answers.get("other")  # no more than one is
        return [len(first.body), len(again.body)]

    first, again = run_aside(sizes())
    assert again < first


@pytest.mark.parametrize(
    ("path", "encoding"), [("/api/run/predict", "gzip"), ("/api/run/answers", None), ("/other", None)]
)
def test_only_what_events_of_the_page_return_is_compressed_when_it_is_sent(
    path: str, encoding: str | None
) -> None:
    def answer(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("text " * 1000)

    app = Starlette(routes=[Route(path, answer)], middleware=[Middleware(CompressedEvents)])
    got = TestClient(app).get(path, headers={"accept-encoding": "gzip, br"})
    assert got.headers.get("content-encoding") == encoding
    assert got.text == "text " * 1000
