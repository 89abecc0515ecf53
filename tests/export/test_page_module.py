"""The module of the web page computes as the runtime does, checked in Node."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from loravit_web.export import web
from loravit_web.training.files import reliability

RESIZE = """
import { readFileSync } from "node:fs";
const [module, file] = process.argv.slice(1);
globalThis.ImageData = class {};
const { resized } = await import(module);
const cases = JSON.parse(readFileSync(file));
const small = cases.map(({ side, ...image }) => [...resized(image, side, side)]);
console.log(JSON.stringify(small));
"""

HAS_GPU = """
const [module, adapter] = process.argv.slice(1);
const gpu = { requestAdapter: async () => JSON.parse(adapter) };
Object.defineProperty(globalThis, "navigator", { value: { gpu } });
globalThis.ImageData = class {};
const { hasGpu } = await import(module);
console.log(JSON.stringify([await hasGpu(true), await hasGpu(false)]));
"""

OFFLINE = """
import { readFileSync } from "node:fs";
const [worker, kept, asked] = process.argv.slice(1);
const [pages, listeners] = [new Map(), {}];
const match = async (key) => pages.get(key)?.clone();
const cache = { match, put: async (key, page) => pages.set(key, page) };
globalThis.caches = { open: async () => cache };
globalThis.location = { origin: "https://host" };
const addEventListener = (kind, listener) => (listeners[kind] = listener);
globalThis.self = { registration: { scope: "/" }, addEventListener };
new Function(readFileSync(worker, "utf-8"))();
const get = (url) =>
  new Promise((respondWith) => listeners.fetch({ request: { method: "GET", url }, respondWith }));
globalThis.fetch = async () => new Response("page");
await get(kept);
globalThis.fetch = async () => { throw new Error("no network"); };
console.log(JSON.stringify(await (await get(asked)).text()));
"""

KEEP = """
const [module, stored, missing] = process.argv.slice(1);
const [pages, asked] = [new Set(JSON.parse(stored)), []];
globalThis.caches = { match: async (address) => pages.has(address) };
globalThis.fetch = async (address) => {
  asked.push(address);
  if (missing === "network") throw new Error("no network");
  if (missing !== address) pages.add(address); // as the service worker does
};
const { keep } = await import(module);
console.log(JSON.stringify([await keep(["a", "b", "c"]), asked]));
"""

OWN = """
const [module, addresses] = process.argv.slice(1);
const { ownAddresses } = await import(module);
console.log(JSON.stringify(ownAddresses(JSON.parse(addresses), "https://host")));
"""

FILES = """
const [module] = process.argv.slice(1);
globalThis.ImageData = class {};
const { Model } = await import(module);
const graphs = ["trunk", "branch-8", "branch-9"].map((file) => ({ file }));
const task = (folder, graphs) => ({ folder, weights: "adapter", class_names: [], graphs });
const document = { weights: "base", graphs, tasks: [task("one", [0, 1]), task("two", [0, 2])] };
console.log(JSON.stringify(new Model("https://host/model/", document, null, ["wasm"]).files));
"""


@pytest.fixture
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("Node.js is not installed")
    return found


def run(node: str, code: str, *arguments: str) -> Any:
    command = [node, "--input-type=module", "-e", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_images_are_resized_as_pillow_resizes_them(node: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    cases, expected = [], []
    for (width, height), side in (((50, 40), 28), ((28, 90), 28), ((13, 17), 42), ((300, 200), 70)):
        pixels = random.integers(0, 256, (height, width, 4), dtype=np.uint8)
        cases.append({"width": width, "height": height, "side": side, "data": pixels.ravel().tolist()})
        image = Image.fromarray(np.ascontiguousarray(pixels[:, :, :3]))
        expected.append(np.asarray(image.resize((side, side), Image.Resampling.BICUBIC)).ravel().tolist())
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    module = as_module("loravit-web.js", tmp_path)
    assert run(node, RESIZE, module.as_uri(), str(file)) == expected


@pytest.mark.parametrize(
    ("adapter", "by_itself", "when_asked"),
    [
        ("null", False, False),
        ('{"info": {"isFallbackAdapter": false}}', True, True),
        ('{"info": {"isFallbackAdapter": true}}', False, True),
        ('{"isFallbackAdapter": true}', False, True),
    ],
    ids=["none", "GPU", "software", "software, as older browsers say it"],
)
def test_webgpu_without_a_gpu_is_only_used_when_asked_for(
    node: str, tmp_path: Path, adapter: str, by_itself: bool, when_asked: bool
) -> None:
    module = as_module("loravit-web.js", tmp_path)
    assert run(node, HAS_GPU, module.as_uri(), adapter) == [by_itself, when_asked]


@pytest.mark.parametrize("name", ["NEARLY_UNLIKE", "CLEAR_LEAD"])
def test_the_page_is_as_sure_of_an_answer_as_the_app(name: str) -> None:
    script = (web.PAGE / "loravit-web.js").read_text(encoding="utf-8")
    (value,) = re.findall(rf"^const {name} = ([\d.]+);", script, re.MULTILINE)
    assert float(value) == getattr(reliability, name)


@pytest.mark.parametrize("name", sorted(path.name for path in web.PAGE.glob("*.js")))
def test_the_scripts_are_valid(node: str, name: str, tmp_path: Path) -> None:
    command = [node, "--check", str(as_module(name, tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def as_module(name: str, folder: Path) -> Path:
    """Copy a script of the page to where Node takes it for a module."""
    return Path(shutil.copy(web.PAGE / name, folder / f"{name.removesuffix('.js')}.mjs"))


@pytest.mark.parametrize(
    ("kept", "asked"),
    [("index.html", ""), ("", "index.html"), ("", "?provider=wasm"), ("#top", "index.html")],
)
def test_without_a_network_the_page_opens_by_each_of_its_addresses(node: str, kept: str, asked: str) -> None:
    addresses = (f"https://host/export/{name}" for name in (kept, asked))
    assert run(node, OFFLINE, str(web.PAGE / "sw.js"), *addresses) == "page"


@pytest.mark.parametrize(
    ("stored", "missing", "complete", "asked"),
    [
        ([], "nothing", True, ["a", "b", "c"]),
        (["a", "c"], "nothing", True, ["b"]),
        (["a", "b", "c"], "network", True, []),
        (["a"], "network", False, ["b"]),
        ([], "b", False, ["a", "b", "c"]),
    ],
    ids=["first visit", "some are kept", "all are kept", "no network", "one is not kept"],
)
def test_files_that_are_not_kept_yet_are_fetched_for_use_without_a_network(
    node: str, tmp_path: Path, stored: list[str], missing: str, complete: bool, asked: list[str]
) -> None:
    module = as_module("offline.js", tmp_path)
    assert run(node, KEEP, module.as_uri(), json.dumps(stored), missing) == [complete, asked]


def test_only_files_of_the_host_are_kept_each_once(node: str, tmp_path: Path) -> None:
    paths = ("index.html?provider=wasm", "", "page.js", "page.js#top")
    addresses = [f"https://host/export/{path}" for path in paths]
    elsewhere = ["https://other/x.js", "blob:https://host/1"]
    found = run(node, OWN, as_module("offline.js", tmp_path).as_uri(), json.dumps([*addresses, *elsewhere]))
    assert found == ["https://host/export/", "https://host/export/page.js"]


def test_a_model_names_the_files_of_all_its_tasks(node: str, tmp_path: Path) -> None:
    files = run(node, FILES, as_module("loravit-web.js", tmp_path).as_uri())
    names = ["export.json", "one/adapter", "base", "trunk", "branch-8", "two/adapter", "branch-9"]
    assert files == [f"https://host/model/{name}" for name in names]
