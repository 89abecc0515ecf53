"""One way to write: page, HTTP and shell change the registry through the actions alone.

What writes is read from the sources: a method of the registry that opens a transaction for writing or stores
a file, everything in the registry that calls such a method, and every function of the app that does.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.test_imports import ROOT, imported, sources

STEPS = {"writing", "writing_row", "put_bytes"}
"""What every change of the registry does in the end: open a transaction for writing, or store a file."""

WRITERS = (
    "actions.py",
    "access/actions.py",
    "catalog/actions.py",
    "runs/actions.py",
    "runs/data_actions.py",
    "runs/revision_actions.py",
    # for the actions
    "catalog/exchange.py",
    "catalog/publishing.py",
    "runs/queueing.py",
    "runs/sweeps.py",
    # for the app itself
    "doctor/",
    "expiry.py",
    "saver.py",
    "worker/",
)
"""Modules and folders that may write."""

ALSO: Mapping[str, set[str]] = {
    "access/members.py": {"record_hub_user"},
    "cli/": {"registry.restore"},
    "cluster/": {"nodes.leave", "nodes.report"},
    "service.py": {"add_bundled", "offer_images", "usage.add"},
}
"""Others, each with the only changes that it may make: a sign-in through the Hub, a backup that is restored,
trainers of a cluster that report, adapters that come with the app, images for other machines, and counts of
questions."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class RegistryCode:
    """The sources of the registry.

    Attributes:
        functions: Those on the top level of a module, by name.
        classes: The methods of each class, by name.
        parts: The class of each part of `Registry`, by the name of the attribute.
    """

    functions: dict[str, Function]
    classes: dict[str, dict[str, Function]]
    parts: dict[str, str]

    def writes(self) -> set[tuple[str, str]]:
        """Return class and name of each method that writes; a function has no class."""
        found: set[tuple[str, str]] = set()
        everything = [("", name, one) for name, one in self.functions.items()] + [
            (kind, name, one) for kind, methods in self.classes.items() for name, one in methods.items()
        ]
        while True:
            new = {
                (kind, name)
                for kind, name, one in everything
                if any(self._is_step(call, kind, found) for call in calls_in(one))
            }
            if new <= found:
                return found
            found |= new

    def _is_step(self, call: ast.Call, kind: str, found: set[tuple[str, str]]) -> bool:
        match call.func:
            case ast.Attribute(attr=name) if name in STEPS:
                return True
            case ast.Name(id=name):
                return ("", name) in found
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return (kind, name) in found
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr=part), attr=name):
                return (self.parts.get(part, ""), name) in found
        return False


def calls_in(node: ast.AST) -> Iterator[ast.Call]:
    return (one for one in ast.walk(node) if isinstance(one, ast.Call))


def methods_of(node: ast.ClassDef) -> dict[str, Function]:
    return {one.name: one for one in node.body if isinstance(one, Function)}


@pytest.fixture(scope="module")
def registry_code() -> RegistryCode:
    top = [node for path in sources("registry") for node in parsed(path).body]
    classes = {node.name: methods_of(node) for node in top if isinstance(node, ast.ClassDef)}
    parts = {
        target.attr: node.value.func.id
        for node in ast.walk(classes["Registry"]["__init__"])
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for target in node.targets
        if isinstance(target, ast.Attribute) and isinstance(node.value.func, ast.Name)
    }
    return RegistryCode(
        functions={node.name: node for node in top if isinstance(node, Function)},
        classes=classes,
        parts={**parts, "registry": "Registry"},
    )


@pytest.fixture(scope="module")
def changes(registry_code: RegistryCode) -> dict[str, set[str]]:
    """The writing methods of each part of the registry, by the name of the part."""
    writes = registry_code.writes()
    return {
        part: {name for owner, name in writes if owner == kind and not name.startswith("_")}
        for part, kind in registry_code.parts.items()
    }


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def last_name(node: ast.expr) -> str:
    """The last name of ``service.registry.runs`` without underscores: what is called so is that part."""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name.strip("_")


def other_names(tree: ast.Module, registry_code: RegistryCode) -> dict[str, str]:
    """Names that a module gives to parts of the registry, by assignment or by a parameter's type."""
    kinds = {kind: part for part, kind in registry_code.parts.items()}
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and isinstance(node.annotation, ast.Name):
            if node.annotation.id in kinds:
                names[node.arg.strip("_")] = kinds[node.annotation.id]
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                pairs = [(target, node.value)]
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = list(zip(target.elts, node.value.elts, strict=True))
                for given, value in pairs:
                    if isinstance(value, ast.Attribute) and last_name(value) in registry_code.parts:
                        names[last_name(given)] = last_name(value)
    return names


def changes_in(tree: ast.Module, registry_code: RegistryCode, changes: Mapping[str, set[str]]) -> set[str]:
    """The writing methods of the registry that a module calls or hands on, as ``runs.requeue``."""
    names = other_names(tree, registry_code)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            part = last_name(node.value)
            part = part if part in changes else names.get(part, "")
            if node.attr in changes.get(part, ()):
                found.add(f"{part}.{node.attr}")
    return found


def module_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")


@pytest.fixture(scope="module")
def writing_functions(registry_code: RegistryCode, changes: dict[str, set[str]]) -> set[str]:
    """Full names of the app's functions that write, themselves or through others."""
    found: set[str] = set()
    called: dict[str, set[str]] = {}
    for path in sources("loravit_web"):
        at_hand = {name.rpartition(".")[2]: name for name in imported(path)}
        functions = [node for node in parsed(path).body if isinstance(node, Function)]
        at_hand |= {node.name: f"{module_of(path)}.{node.name}" for node in functions}
        for node in functions:
            name = at_hand[node.name]
            names = {call.func.id for call in calls_in(node) if isinstance(call.func, ast.Name)}
            called[name] = {at_hand[one] for one in names & set(at_hand)}
            if changes_in(ast.Module([node], []), registry_code, changes):
                found.add(name)
    while new := {name for name, others in called.items() if others & found} - found:
        found |= new
    return found


@pytest.fixture(scope="module")
def written(
    registry_code: RegistryCode, changes: dict[str, set[str]], writing_functions: set[str]
) -> dict[str, set[str]]:
    """What each module of the app changes, by its path; nothing where it changes nothing."""
    modules = tuple(f"loravit_web.{path.removesuffix('.py').replace('/', '.')}" for path in WRITERS)
    for_writers = {name for name in writing_functions if name.startswith(modules)}
    found = {}
    for path in sources("loravit_web"):
        functions = {name.rpartition(".")[2] for name in for_writers & imported(path)}
        if here := changes_in(parsed(path), registry_code, changes) | functions:
            found[path.relative_to(ROOT / "loravit_web").as_posix()] = here
    return found


def test_what_writes_is_found_in_the_registry(changes: dict[str, set[str]]) -> None:
    assert {"create", "requeue", "request_stop", "claim", "finish"} <= changes["runs"]
    assert {"publish", "describe", "tag", "withdraw", "archive", "restore"} <= changes["catalog"]
    assert {"promote", "rollback", "remove", "protect", "unprotect"} == changes["aliases"]
    assert {"ensure", "set_role", "set_password"} == changes["users"]
    assert {"add"} == changes["base_files"]
    assert {"ensure", "record_deletion"} == changes["datasets"]
    assert {"restore", "restore_snapshot", "delete_inactive"} <= changes["registry"]
    assert {"delete_version", "delete_adapter", "delete_run"} == changes["deletions"]
    assert {"remove", "remove_released", "remove_run_files", "release", "repair"} == changes["maintenance"]
    assert not {"get", "list", "resolve", "backup", "seen_by"} & set().union(*changes.values())
    assert not changes["lineage"] | changes["comparer"] | changes["evaluations"]


def test_what_writes_is_found_in_the_app(writing_functions: set[str]) -> None:
    assert {
        "loravit_web.catalog.exchange.publish_bundle",
        "loravit_web.catalog.exchange.add_bundled",
        "loravit_web.catalog.publishing.publish",
        "loravit_web.runs.queueing.create_run",
    } <= writing_functions
    assert "loravit_web.catalog.exchange.exported" not in writing_functions


PAST_THE_ACTIONS = """
def resume(service: Service, people: Users) -> None:
    service.registry.runs.requeue("1234")
    history, other = service.registry.runs, 1
    history.request_stop("1234", "cancel")
    people.set_role("ann", "admin", actor="shell")
    later(service.registry.catalog.archive)
    service.registry.runs.get("1234")
    service.thread.finish()
"""


def test_a_way_past_the_actions_is_noticed(registry_code: RegistryCode, changes: dict[str, set[str]]) -> None:
    assert changes_in(ast.parse(PAST_THE_ACTIONS), registry_code, changes) == {
        "runs.requeue",
        "runs.request_stop",
        "users.set_role",
        "catalog.archive",
    }


def test_nothing_but_the_actions_and_these_modules_writes(written: dict[str, set[str]]) -> None:
    past = {path: names for path, names in written.items() if not path.startswith(WRITERS)}
    for prefix, allowed in ALSO.items():
        for path in past:
            if path.startswith(prefix):
                past[path] = past[path] - allowed
    assert {path: names for path, names in past.items() if names} == {}


def test_every_module_that_may_write_does(written: dict[str, set[str]]) -> None:
    idle = [prefix for prefix in WRITERS if not any(path.startswith(prefix) for path in written)]
    assert idle == []
    for prefix, allowed in ALSO.items():
        assert set().union(*(names for path, names in written.items() if path.startswith(prefix))) == allowed
