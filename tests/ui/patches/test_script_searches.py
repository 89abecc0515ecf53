"""What Gradio's scripts look for while a page opens."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from loravit_web.ui.patches.assets import GRADIO_ASSETS, KeptAssets
from loravit_web.ui.patches.script_searches import REPLACED, without_searches

SEARCHED, LOOKED_UP, ASKED, ASKED_IF_ANY = (text.decode() for pair in REPLACED.items() for text in pair)
TREE = """
class Tree {%s
  get_state_cb(id) { asked.push(id); return { value: id }; }
  update_state_cb(id, args) { updated.push([id, args]); }
}
const asked = [], updated = [], tree = new Tree();
"""
EVENTS = [
    {"targets": [[1, "click"], [1, "change"], [2, "input"]]},
    {"targets": [[2, "input"], [None, "then"]]},
    {"targets": [[1, "click"]]},
    {"targets": [[3, None], [3, "blur"]]},
    {"targets": []},
]


def computed(script: str) -> object:
    """What a script writes in Node, as JSON."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node here: install it, for example with apt-get install nodejs")
    done = subprocess.run([node, "-e", script], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def events_of(method: str) -> object:
    """The events of four components, asked twice of the same events and once of others."""
    each = "[1, 2, 3, 4].map((id) => tree.find_attached_events({id, props: {shared_props: {}}}, %s))"
    lists = ", ".join(each % events for events in ("events", "events", "others"))
    return computed(
        f"{TREE % method} const events = {json.dumps(EVENTS)}, others = {json.dumps(EVENTS[1:2])};"
        f"process.stdout.write(JSON.stringify([{lists}]));"
    )


def arguments_of(method: str) -> object:
    """What sets the arguments of an event with some and of one without, and what undoes it."""
    body = method.removesuffix("let n={},")
    whole = (
        f"{body}let n={{}},r=await this.get_state_cb?.(e);if(!r)return()=>{{}};"
        "for(let[e]of Object.entries(t))n[e]=r?.[e]??null;return Object.keys(t).length===0?()=>{}:"
        "(await this.update_state_cb(e,t,!1),()=>{this.update_state_cb(e,n,!1)})}"
    )
    return computed(
        f"{TREE % whole} (async () => {{ for (const args of [{{value: 3}}, {{}}]) "
        "(await tree.set_event_args(7, args))(); process.stdout.write(JSON.stringify(updated)); })();"
    )


def test_gradio_has_each_search_once_and_it_is_served_without() -> None:
    client = TestClient(
        Starlette(middleware=[Middleware(KeptAssets, folder=GRADIO_ASSETS)]),
        headers={"accept-encoding": "gzip"},
    )
    scripts = {path.name: path.read_bytes() for path in GRADIO_ASSETS.glob("*.js")}
    for searched, found in REPLACED.items():
        (name,) = [name for name, script in scripts.items() if script.count(searched) == 1]
        served = client.get(f"/assets/{name}").content
        assert searched not in served
        assert found in served


def test_a_script_without_the_searches_stays_as_it_is() -> None:
    assert without_searches(b"find_attached_events(e,t){}") == b"find_attached_events(e,t){}"


def test_a_component_has_the_same_events_as_before() -> None:
    looked_up = events_of(LOOKED_UP)
    assert looked_up == events_of(SEARCHED)
    assert looked_up[0][0]["props"]["shared_props"]["attached_events"] == ["click", "click"]  # type: ignore[index]


def test_the_arguments_of_an_event_are_set_and_undone_as_before() -> None:
    undone = arguments_of(ASKED_IF_ANY)
    assert undone == arguments_of(ASKED)
    assert undone == [[7, {"value": 3}], [7, {"value": 7}]]
