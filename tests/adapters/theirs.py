"""PEFT, imported by the first test that needs it: it takes seconds, and each process collects every test."""

from __future__ import annotations

import functools
import importlib.util
import os
from typing import Any

import pytest

from loravit_web.backbones.timm_import import import_timm


@functools.cache
def peft() -> Any:
    """PEFT's module; without it the test skips, except in CI, where that is a failure."""
    import_timm()  # first: PEFT imports torchvision by way of transformers
    if importlib.util.find_spec("peft") is None and os.environ.get("CI"):
        pytest.fail("peft is not installed: pip install -r requirements-dev.txt")
    return pytest.importorskip("peft")
