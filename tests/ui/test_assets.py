"""The scripts and styles of the page."""

from __future__ import annotations

import re

import httpx
import pytest

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


def test_a_browser_that_does_not_take_brotli_gets_the_script_as_well(script: str) -> None:
    answer = httpx.get(script, headers={"accept-encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    "name", ["nothing-abcdefgh.js", "..%2f..%2findex-abcdefgh.js", "../index-abcdefgh.js"]
)
def test_what_is_no_file_of_gradios_is_not_found(running_app: RunningApp, name: str) -> None:
    assert httpx.get(f"{running_app.url}assets/{name}").status_code in (403, 404)
