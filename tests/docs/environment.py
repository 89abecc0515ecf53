"""Which environment variables the code reads, found in its syntax."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from loravit_web.settings.limits import Limits, variable_of
from tests.docs.markdown import ROOT

_SOURCES = (
    ROOT / "app.py",
    *sorted((ROOT / "loravit_web").rglob("*.py")),
    *sorted((ROOT / "registry").rglob("*.py")),
)
_READS = frozenset({"get", "pop", "setdefault", "getenv"})


def variables_read() -> set[str]:
    """Return the names of all environment variables that app, package and registry read."""
    return {name for path in _SOURCES for name in _variables_in(path)}


def _variables_in(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node, parameters in _with_parameters(tree):
        for name in _names_at(node):
            if isinstance(name, ast.Constant):
                yield str(name.value)
            elif isinstance(name, ast.Name) and name.id in constants:
                yield str(constants[name.id])
            elif isinstance(name, ast.Call) and getattr(name.func, "id", "") == variable_of.__name__:
                yield from (variable_of(one.name) for one in fields(Limits))
            else:
                # the calls of a function that is given the name are found by themselves
                known = isinstance(name, ast.Name) and name.id in parameters
                assert known, f"{path}:{node.lineno} reads a variable whose name is not found"


def _with_parameters(tree: ast.Module) -> Iterator[tuple[ast.expr, frozenset[str]]]:
    """Give every expression with the parameters of the functions around it."""
    stack: list[tuple[ast.AST, frozenset[str]]] = [(tree, frozenset())]
    while stack:
        node, parameters = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            arguments = node.args
            parameters |= {
                one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
            }
        if isinstance(node, ast.expr):
            yield node, parameters
        stack += [(child, parameters) for child in ast.iter_child_nodes(node)]


def _names_at(node: ast.expr) -> list[ast.expr]:
    """Return the expression that names a variable, where an expression reads one."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _is_environment(node.value):
        return [node.slice]
    if isinstance(node, ast.Compare) and any(map(_is_environment, node.comparators)):
        return [node.left]
    if not isinstance(node, ast.Call) or not node.args:
        return []
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr in _READS and _is_environment(function.value):
        return [node.args[0]]
    if isinstance(function, ast.Attribute) and function.attr == "getenv":
        return [node.args[0]]
    # a function that takes the environment and the name of a variable
    return [one for one in node.args[1:2] if _is_environment(node.args[0]) and _is_name(one)]


def _is_environment(node: ast.expr) -> bool:
    """Whether an expression is ``environ`` or ``os.environ``."""
    return (isinstance(node, ast.Name) and node.id == "environ") or (
        isinstance(node, ast.Attribute) and node.attr == "environ"
    )


def _is_name(node: ast.expr) -> bool:
    """Whether an expression can be the name of a variable."""
    return isinstance(node, ast.Constant | ast.Name)
