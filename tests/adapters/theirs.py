"""PEFT, imported by the first test that needs it, because importing it takes seconds."""

from __future__ import annotations

import functools
import importlib.util
import os
from typing import Any

import pytest

from loravit_web.backbones.timm_import import import_timm


@functools.cache
def peft() -> Any:
    """Return the module of PEFT. Without it the test is skipped, except in CI, where it fails."""
    import_timm()  # first, because PEFT imports torchvision through transformers
    if importlib.util.find_spec("peft") is None and os.environ.get("CI"):
        pytest.fail("peft is not installed: pip install -r requirements-dev.txt")
    return pytest.importorskip("peft")
