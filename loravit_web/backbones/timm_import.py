"""Import of timm beside a CPU build of torch, and without torch's compiler.

timm imports torchvision, whose compiled operators are linked against the CUDA build of torch. Beside a CPU
build they do not load, and ``import torchvision`` fails when it registers a fake kernel for an undeclared
operator. Declaring two schemas is enough.

Both also import ``torch._dynamo``, which takes most of their import time: torchvision for one function of its
RoI operators, timm to exclude methods of NaFlex models from compilation. Nothing is compiled here.
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
    """Return the module timm; declare torchvision's operators first if they cannot be loaded."""
    _declared_operators()
    with _no_compiler():
        return importlib.import_module("timm")


class _LazyModule(ModuleType):
    """Placeholder for a module until anything except one function is used."""

    def is_compile_supported(self, device: str) -> bool:
        return bool(self.__getattr__("is_compile_supported")(device))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _no_disable(fn: Any = None, *_how: Any, **_named: Any) -> Any:
    """Return a function unchanged: replaces `torch.compiler.disable`, which would import the compiler."""
    return fn if fn is not None else _no_disable


@contextmanager
def _no_compiler() -> Iterator[None]:
    """Import both packages without the compiler; any other use of the compiler still imports it."""
    if _COMPILER in sys.modules:
        yield
        return
    utils, disable = _LazyModule(f"{_COMPILER}.utils"), torch.compiler.disable
    sys.modules[utils.__name__] = utils
    torch.compiler.disable = _no_disable
    try:
        yield
    finally:
        torch.compiler.disable = disable
        if sys.modules.get(utils.__name__) is utils:
            del sys.modules[utils.__name__]


@functools.cache
def _declared_operators() -> torch.library.Library | None:
    """Return the library with the declarations, or None if torchvision's own operators load."""
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
