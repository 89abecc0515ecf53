"""The scripts and styles of the page."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from loravit_web.ui.patches.assets import GRADIO_ASSETS, KeptAssets
from tests.ui.conftest import RunningApp


@pytest.fixture(scope="module")
def script(running_app: RunningApp) -> str:
    """Where the page's first script is."""
    found = re.search(r'src="\./(assets/[^"]+\.js)"', httpx.get(running_app.url).text)
    assert found is not None
    return running_app.url + found.group(1)


def test_a_script_is_compressed_and_never_asked_for_again(script: str) -> None:
    first, second = (httpx.get(script, headers={"accept-encoding": "br"}) for _ in range(2))
    plain = httpx.get(script, headers={"accept-encoding": "identity"})
    for one in (first, second):
        assert one.text == plain.text
        assert one.headers["content-encoding"] == "br"
        assert one.headers["content-type"].startswith("text/javascript")
        assert "immutable" in one.headers["cache-control"]
        assert int(one.headers["content-length"]) < len(plain.content) / 2


def test_a_browser_that_does_not_take_brotli_is_served_as_well(script: str) -> None:
    plain = httpx.get(script, headers={"accept-encoding": "identity"})
    answer = httpx.get(script, headers={"accept-encoding": "gzip, deflate"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.text == plain.text


def some_styles() -> list[str]:
    return sorted(one.name for one in GRADIO_ASSETS.glob("Index-*.css"))[:3]


def test_styles_can_be_asked_for_together(running_app: RunningApp) -> None:
    answer = httpx.get(f"{running_app.url}assets/together.css?{'&'.join(some_styles())}")
    assert answer.headers["content-type"].startswith("text/css")
    each = [httpx.get(f"{running_app.url}assets/{name}").text for name in some_styles()]
    assert answer.text == "\n".join(each)


@pytest.mark.parametrize(
    "names", ["", "nothing-abcdefgh.css", "../../../index-abcdefgh.css", "%2e%2e%2findex-abcdefgh.css"]
)
def test_styles_together_with_what_is_none_are_not_found(running_app: RunningApp, names: str) -> None:
    asked = "&".join([some_styles()[0], names])
    assert httpx.get(f"{running_app.url}assets/together.css?{asked}").status_code == 404


def test_the_same_style_is_not_joined_to_itself(running_app: RunningApp) -> None:
    asked = "&".join(some_styles()[:1] * 1000)
    assert httpx.get(f"{running_app.url}assets/together.css?{asked}").status_code == 404


def test_no_script_comes_together_with_styles(running_app: RunningApp, script: str) -> None:
    asked = f"{some_styles()[0]}&{script.rpartition('/')[2]}"
    assert httpx.get(f"{running_app.url}assets/together.css?{asked}").status_code == 404


@pytest.mark.parametrize(
    "name", ["nothing-abcdefgh.js", "..%2f..%2findex-abcdefgh.js", "../index-abcdefgh.js"]
)
def test_what_is_no_file_of_gradios_is_not_found(running_app: RunningApp, name: str) -> None:
    assert httpx.get(f"{running_app.url}assets/{name}").status_code in (403, 404)


@pytest.mark.parametrize("prefix", ["", "/loravit"])
def test_below_a_path_a_proxy_may_keep_or_strip_the_prefix(tmp_path: Path, prefix: str) -> None:
    for name in ("one-abcdefgh.css", "two-abcdefgh.css"):
        (tmp_path / name).write_text(name)
    middleware = Middleware(KeptAssets, folder=tmp_path, prefix="/loravit")
    client = TestClient(Starlette(middleware=[middleware]), headers={"accept-encoding": "gzip"})
    assert client.get(f"{prefix}/assets/one-abcdefgh.css").text == "one-abcdefgh.css"
    together = client.get(f"{prefix}/assets/together.css?one-abcdefgh.css&two-abcdefgh.css")
    assert together.text == "one-abcdefgh.css\ntwo-abcdefgh.css"
    assert client.get(f"/other{prefix}/assets/one-abcdefgh.css").status_code == 404
