"""Importing timm where a CPU build of torch stands beside PyPI's torchvision, and without torch's compiler.

timm imports torchvision, whose compiled operators are linked against the CUDA build of torch. Beside a
CPU build they do not load, and then ``import torchvision`` itself fails, because it registers a fake
kernel for an operator that nobody declared. Declaring the two schemas is all it needs.

Both also import ``torch._dynamo``, most of what their import takes: torchvision for one function of its
RoI operators, timm to except methods of NaFlex models from compiling. Here nothing compiles.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

_COMPILER = "torch._dynamo"
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@functools.cache
def import_timm() -> ModuleType:
    """Return the timm module, declaring torchvision's operators first where they can't be loaded."""
    _declared_operators()
    with _no_compiler():
        return importlib.import_module("timm")


class _Later(ModuleType):
    """Stands for a module until more of it is asked for than the one function, or that is called."""

    def is_compile_supported(self, device: str) -> bool:
        return bool(self.__getattr__("is_compile_supported")(device))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _compiled_too(fn: Any = None, *_how: Any, **_named: Any) -> Any:
    """In the place of `torch.compiler.disable`, which imports the compiler to except a function from it."""
    return fn if fn is not None else _compiled_too


@contextmanager
def _no_compiler() -> Iterator[None]:
    """Lets the two be imported without the compiler; what asks it for anything else has it imported."""
    if _COMPILER in sys.modules:
        yield
        return
    utils, disable = _Later(f"{_COMPILER}.utils"), torch.compiler.disable
    sys.modules[utils.__name__] = utils
    torch.compiler.disable = _compiled_too
    try:
        yield
    finally:
        torch.compiler.disable = disable
        if sys.modules.get(utils.__name__) is utils:
            del sys.modules[utils.__name__]


@functools.cache
def _declared_operators() -> torch.library.Library | None:
    """The library that holds the declarations; None where torchvision brings its own operators."""
    if hasattr(torch.ops.torchvision, "nms") or _compiled_operators_load():
        return None
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    return library


def _compiled_operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    for path in Path(spec.origin).parent.glob("_C.*"):
        try:
            torch.ops.load_library(str(path))  # type: ignore[no-untyped-call]
        except OSError:
            return False
        return True
    return False
