"""What the app uses of Gradio beside its documents is still there, is in one place, and is in the table."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from loravit_web.ui.patches.table import PATCHES, Patch

ROOT = Path(__file__).resolve().parents[3]
UI = ROOT / "loravit_web" / "ui"
GRADIO = Path(gr.__file__).parent
NAMES = sorted({name for patch in PATCHES for name in patch.names})
TEXTS = sorted({text for patch in PATCHES for text in patch.texts})
DOCUMENTED = {
    "gradio.events.api",  # as gr.api, which Gradio's hints do not export
    "gradio.events.Dependency",  # the type of what the listeners of components return
}
OF_BLOCKS = {"queue", "launch", "load", "close", "block_thread"}
"""What the documents and guides of Gradio say of a page."""
OUR_OWN = {"self", "cls", "service", "seen", "record"}
"""Names of objects that are not Gradio's, whose attributes our modules set."""
WITHOUT_ENTRY = {"patches/__init__.py", "patches/table.py", "patches/compressed.py"}


def is_there(name: str) -> bool:
    """Whether a dotted name can be reached; of a class also what its methods set on instances."""
    place, _, last = name.rpartition(".")
    try:
        owner = pkgutil.resolve_name(place)
    except (ImportError, AttributeError):
        return False
    if hasattr(owner, last):
        return True
    classes = [one for one in owner.__mro__ if one is not object] if inspect.isclass(owner) else []
    return any(re.search(rf"\bself\.{last}\b", inspect.getsource(one)) for one in classes)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_used_is_still_there(name: str) -> None:
    assert is_there(name)


@pytest.mark.parametrize(
    "name",
    ["gradio.nothing.start", "gradio.http_server.stop_server", "gradio.queueing.Queue.sleep_when_busy"],
)
def test_a_name_that_is_gone_is_found_out(name: str) -> None:
    assert not is_there(name)


@pytest.mark.parametrize(("file", "text"), TEXTS)
def test_a_text_that_is_relied_on_is_still_there(file: str, text: str) -> None:
    assert text in (GRADIO / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("patch", PATCHES, ids=lambda one: f"{one.place}: {one.gains}")
def test_every_entry_names_its_place_and_its_test(patch: Patch) -> None:
    source = (UI / patch.place).read_text(encoding="utf-8")
    unused = [name for name in patch.names if name.rpartition(".")[2] not in source]
    assert unused == []
    file, _, test = patch.test.partition("::")
    assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")


def test_every_patch_has_an_entry() -> None:
    found = [*UI.glob("patches/*.py"), *UI.glob("scripts/patches/*.js")]
    places = {path.relative_to(UI).as_posix() for path in found} - WITHOUT_ENTRY
    assert places <= {patch.place for patch in PATCHES}


def imported(tree: ast.AST) -> Iterator[str]:
    """What a module takes of Gradio's modules, be it by its import or by the module's name, dotted."""
    modules = {"gr": "gradio"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gradio":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if is_module(full):
                    modules[alias.asname or alias.name] = full
                else:
                    yield full
    for node in ast.walk(tree):
        root, *rest = ast.unparse(node).split(".") if isinstance(node, ast.Attribute) else [""]
        full = ".".join([modules.get(root, ""), *rest])
        owner = full.rpartition(".")[0]
        if owner not in ("gradio", "gradio.themes") and is_module(owner):
            yield full


def is_module(name: str) -> bool:
    try:
        return name.startswith("gradio") and inspect.ismodule(pkgutil.resolve_name(name))
    except (ImportError, AttributeError, ValueError):
        return False


def touched(tree: ast.AST) -> Iterator[str]:
    """Attributes that a module sets, or that are private, of others' objects; and what it wants of a page."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = getattr(node.value, "attr", getattr(node.value, "id", ""))
            is_private = node.attr.startswith("_") and not node.attr.endswith("__")
            is_set = isinstance(node.ctx, ast.Store) and not isinstance(node.value, ast.Call)
            if owner == "demo":
                found = node.attr not in OF_BLOCKS
            else:
                found = owner not in OUR_OWN and (is_private or is_set)
            if found:
                yield node.attr


def names_in(code: str) -> set[str]:
    """What a module uses of Gradio that is not documented: dotted, or an attribute alone."""
    tree = ast.parse(code)
    return {*imported(tree), *touched(tree)} - DOCUMENTED


@pytest.mark.parametrize("path", sorted(UI.rglob("*.py")), ids=lambda one: one.relative_to(UI).as_posix())
def test_no_name_is_used_that_is_not_in_the_table_or_outside_of_its_place(path: Path) -> None:
    place = path.relative_to(UI).as_posix()
    listed = {name for patch in PATCHES if patch.place == place for name in patch.names}
    assert names_in(path.read_text(encoding="utf-8")) <= listed | {name.rpartition(".")[2] for name in listed}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("from gradio.route_utils import upload_fn", "gradio.route_utils.upload_fn"),
        ("from gradio import http_server\nhttp_server.start_server()", "gradio.http_server.start_server"),
        ("import gradio as gr\ngr.blocks.Block", "gradio.blocks.Block"),
        ("app.demo._queue", "_queue"),
        ("demo.fns", "fns"),
        ("event.show_progress_on = []", "show_progress_on"),
        ("event._data['run']", "_data"),
    ],
)
def test_what_is_not_documented_is_found_in_code(code: str, name: str) -> None:
    assert name in names_in(code)


def test_what_is_documented_is_not() -> None:
    code = "import gradio as gr\ngr.HTML(); gr.themes.Default(); demo.launch(); self._own = 1; x.click(f)"
    assert names_in(code) == set()
