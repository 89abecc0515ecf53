"""The scripts of the page: each is JavaScript, is loaded, and is called by a name that exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from loravit_web.ui import scripts
from loravit_web.ui.gate.signing_in import SigningIn
from loravit_web.ui.language.texts import speaking
from loravit_web.ui.page.head import SCRIPTS, TRANSLATING, page_head
from loravit_web.ui.page.preview import FIRST_SCRIPT
from tests.ui.conftest import RunningApp

FILES = sorted(str(path.relative_to(scripts.FOLDER).with_suffix("")) for path in scripts.FOLDER.rglob("*.js"))


def offered() -> Iterator[str]:
    """Every function of every script."""
    for name in FILES:
        text = (scripts.FOLDER / f"{name}.js").read_text(encoding="utf-8")
        owner = re.search(r"^loravit\.(\w+) = ", text, re.MULTILINE)
        if owner is not None:
            *_, returned = re.findall(r"^  return \{([\w, ]+)\};$", text, re.MULTILINE)
            yield from (f"{owner[1]}.{function}" for function in returned.split(", "))


def called(text: str) -> set[str]:
    """The functions that JavaScript calls."""
    found = re.findall(r"loravit\.(\w+\.\w+)", text)
    return {one for one in found if not one.startswith("values.")}


@pytest.mark.parametrize("name", FILES)
def test_each_script_is_javascript(name: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node here: install it, for example with apt-get install nodejs")
    text = scripts.source(name)  # as the page loads it
    checked = subprocess.run([node, "--check", "-"], input=text, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_each_script_is_loaded_once_by_the_page_or_by_the_sign_in_page(running_app: RunningApp) -> None:
    assert sorted([*SCRIPTS, FIRST_SCRIPT, "gate/sign_in"]) == FILES
    with speaking("de"):
        assert all(page_head().count(scripts.source(name)) == 1 for name in SCRIPTS)
    in_english = [name for name in SCRIPTS if name != TRANSLATING]
    assert [name for name in SCRIPTS if scripts.source(name) in page_head()] == in_english
    assert httpx.get(running_app.url).text.count(scripts.source(FIRST_SCRIPT)) == 1
    assert str(SigningIn.page().body, "utf-8").count(scripts.source("gate/sign_in")) == 1


def test_each_function_exists_that_is_called_and_is_called_where_it_exists(running_app: RunningApp) -> None:
    config = running_app.demo.config
    events = [one["js"] for one in config["dependencies"] if isinstance(one["js"], str)]
    components = [one["props"].get("js_on_load") or "" for one in config["components"]]
    assert len(events) > 20
    by_scripts = called("\n".join(scripts.source(name) for name in FILES))
    assert called("\n".join([*events, *components])) | by_scripts == set(offered())


def test_no_value_and_no_script_can_end_the_element_that_holds_it() -> None:
    hostile = "</script><script>alert(1)</script><!--\u2028&"
    first, *_ = scripts.head([], {"name": hostile}).partition("</script>")
    assert json.loads(first.partition("{values: ")[2].strip().removesuffix("};")) == {"name": hostile}
    assert all("</script" not in scripts.source(name) for name in FILES)


def test_values_reach_a_function_before_those_of_the_event() -> None:
    assert scripts.call("data.show") == "loravit.data.show"
    assert scripts.call("data.show", 2, "“") == '(...inputs) => loravit.data.show(2, "\\u201c", ...inputs)'
    assert scripts.on_load("focus.keep", "strip.listen") == (
        "loravit.focus.keep(element, trigger);\nloravit.strip.listen(element, trigger);"
    )
