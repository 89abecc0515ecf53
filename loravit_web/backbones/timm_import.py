"""Importing timm where a CPU build of torch stands beside PyPI's torchvision.

timm imports torchvision, whose compiled operators are linked against the CUDA build of torch. Beside a
CPU build they do not load, and then ``import torchvision`` itself fails, because it registers a fake
kernel for an operator that nobody declared. Declaring the two schemas is all it needs.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@functools.cache
def import_timm() -> ModuleType:
    """Return the timm module, declaring torchvision's operators first where they can't be loaded."""
    _declared_operators()
    return importlib.import_module("timm")


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
