"""Every answer tells the browser what it must not do, and none is a bare failure."""

from __future__ import annotations

import pytest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from loravit_web.ui.gate.headers import security_headers
from loravit_web.ui.gate.refusals import FAILED
from loravit_web.ui.gate.routes import API
from tests.ui.gate.conftest import Ask


async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RuntimeError("/home/secret/place")


@pytest.mark.parametrize("path", ["/", "/config", "/nowhere", f"{API}/info"])
def test_every_answer_may_not_be_framed_sniffed_or_told_to_other_sites(ask: Ask, path: str) -> None:
    headers = ask("GET", path).headers
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert "object-src 'none'" in headers["Content-Security-Policy"]


def test_a_file_that_a_visitor_gave_runs_no_script(ask: Ask, house: object) -> None:
    folder = house.folder  # type: ignore[attr-defined]
    policy = ask("GET", f"{API}/file={folder}/a/page.html").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy


def test_the_hub_alone_may_show_a_space_in_a_frame() -> None:
    headers = security_headers(on_spaces=True)
    assert "https://huggingface.co" in headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in headers


@pytest.mark.parametrize(
    "app",
    [
        broken,
        JSONResponse({"error": None}, status_code=500),
        PlainTextResponse("Internal Server Error", status_code=500),
        JSONResponse(["x"], status_code=500),
    ],
)
def test_a_failure_is_told_in_a_sentence_without_its_details(ask: Ask, app: ASGIApp) -> None:
    reply = ask("GET", "/", app=app)
    assert reply.status_code == 500
    assert reply.json() == {"error": FAILED, "detail": FAILED}
    assert "secret" not in reply.text


def test_a_form_that_the_app_refuses_is_told_in_a_sentence(ask: Ask) -> None:
    reply = ask("GET", "/", app=JSONResponse({"detail": [{"loc": ["body"]}]}, status_code=422))
    assert reply.status_code == 422
    assert "does not have the expected form" in reply.json()["detail"]


def test_a_failure_with_a_sentence_keeps_it(ask: Ask) -> None:
    reply = ask("GET", "/", app=JSONResponse({"error": "The image is missing."}, status_code=500))
    assert reply.json() == {"error": "The image is missing."}
