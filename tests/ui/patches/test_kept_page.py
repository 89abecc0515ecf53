"""The page is written once for everybody who opens it by the same address."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Scope

from loravit_web.ui.patches.kept_page import KeptPage
from tests.ui.conftest import RunningApp

BR = {"accept-encoding": "br"}


def tags_for(scope: Scope) -> str:
    """The preview of a link is the task that the link names."""
    return f'<meta name="task" content="{Request(scope).query_params.get("task", "")}" />'


class Pages:
    """An app that counts how often it writes its page, and the client that opens it."""

    def __init__(self, prefix: str = "", **answer: Any) -> None:
        self.written = 0
        self._answer = answer
        routes = [Route("/", self._page), Route("/other", self._page)]
        app = Starlette(routes=routes, middleware=[Middleware(KeptPage, tags_for, {}, prefix)])
        self.client = TestClient(app, root_path=prefix, follow_redirects=False)

    def _page(self, request: Request) -> Response:
        self.written += 1
        return HTMLResponse(f"<p>{request.url.netloc} {self.written}</p>", **self._answer)

    def open(self, path: str = "/", **headers: str) -> str:
        return self.client.get(path, headers={**BR, **headers}).text


def test_it_is_written_once_whatever_its_link_asks_for() -> None:
    pages = Pages()
    assert pages.open("/?tab=use") == pages.open("/?tab=runs&run=1") == "<p>testserver 1</p>"


def test_below_a_path_it_is_the_same_whether_the_proxy_keeps_or_strips_the_prefix() -> None:
    pages = Pages(prefix="/loravit")
    assert pages.open("/loravit/?tab=use") == pages.open("/") == "<p>testserver 1</p>"
    assert pages.client.get("/loravit", headers=BR).is_redirect  # its relative addresses need the slash


@pytest.mark.parametrize("name", ["host", "x-forwarded-host", "x-forwarded-proto", "x-gradio-server"])
def test_another_address_has_a_page_of_its_own(name: str) -> None:
    pages = Pages()
    assert pages.open(**{name: "one"}) != pages.open(**{name: "other"})
    assert pages.open(**{name: "one"}) == pages.open(**{name: "one"})
    assert pages.written == 2


def test_addresses_that_are_made_up_do_not_fill_the_memory() -> None:
    pages = Pages()
    for number in range(70):
        pages.open(host=f"made-up-{number}")
    pages.open(host="made-up-69")
    assert pages.written == 70
    pages.open(host="made-up-0")
    assert pages.written == 71


@pytest.mark.parametrize("path", ["/other", "/?deep_link=1", "/?page=1", "/?all_endpoints=1"])
def test_what_is_not_the_page_of_everybody_is_not_kept(path: str) -> None:
    pages = Pages()
    assert pages.open(path) != pages.open(path)


@pytest.mark.parametrize(
    "answer",
    [{"status_code": 500}, {"media_type": "text/plain"}, {"headers": {"set-cookie": "who=me"}}],
)
def test_an_error_and_what_is_for_one_visitor_is_passed_on_and_not_kept(answer: dict[str, Any]) -> None:
    pages = Pages(**answer)
    first = pages.client.get("/", headers=BR)
    assert first.status_code == answer.get("status_code", 200)
    assert "content-encoding" not in first.headers
    assert first.text != pages.open()


def test_each_browser_gets_it_compressed_as_it_can_read_it() -> None:
    pages = Pages()
    for encoding in ("gzip, deflate, br", "gzip, deflate"):
        first, second = (pages.client.get("/", headers={"accept-encoding": encoding}) for _ in range(2))
        assert first.text == second.text
        assert first.headers["content-encoding"] == ("br" if "br" in encoding else "gzip")
    assert pages.written == 2


def test_a_client_that_reads_nothing_compressed_gets_the_same_page() -> None:
    pages = Pages()
    answers = [pages.client.get("/", headers={"accept-encoding": "identity"}) for _ in range(2)]
    assert [one.text for one in answers] == ["<p>testserver 1</p>"] * 2
    assert not any("content-encoding" in one.headers for one in answers)


def test_the_preview_of_a_link_is_about_its_task(running_app: RunningApp) -> None:
    own, linked, unknown = (
        httpx.get(running_app.url, params=query, headers=BR).text
        for query in ({}, {"task": "colours"}, {"task": "nothing"})
    )
    assert own == unknown
    for page in (own, linked):
        assert page.count('"og:title"') == page.count('"og:image"') == 1
        assert "@Gradio" not in page
    assert 'property="og:title" content="LoRA-ViT Web"' in own
    assert 'property="og:title" content="Colours · LoRA-ViT Web"' in linked
    assert "2 classes: green and red. 100% of 8 test images correct." in linked
    (image,) = re.findall('"og:image" content="([^"]+)"', linked)
    assert image.startswith(running_app.url)
    assert httpx.get(image).headers["content-type"] == "image/webp"


def test_the_apps_page_is_compressed(running_app: RunningApp) -> None:
    plain = httpx.get(running_app.url, headers={"accept-encoding": "identity"})
    first, second = (httpx.get(running_app.url, headers=BR) for _ in range(2))
    for one in (first, second):
        assert one.text == plain.text
        assert "window.gradio_config" in one.text
        assert one.headers["content-encoding"] == "br"
        assert int(one.headers["content-length"]) < len(plain.content) / 5


def test_the_apps_page_loads_the_script_for_frames_in_frames_only(running_app: RunningApp) -> None:
    page = httpx.get(running_app.url).text
    assert page.count("document.head.appendChild(script)") == 1
    assert "if (window.parent !== window) document.head.appendChild(script)" in page
