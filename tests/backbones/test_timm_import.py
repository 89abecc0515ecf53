"""timm can be imported whether or not torchvision's compiled operators load."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from loravit_web.backbones import timm_import

ROOT = Path(__file__).resolve().parents[2]


def output_of_fresh_python(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_fresh_process_imports_timm_and_builds_a_vit() -> None:
    code = """
import torch
from loravit_web.backbones.timm_import import import_timm
timm = import_timm()
model = timm.create_model("vit_tiny_patch16_224", embed_dim=16, depth=1, num_heads=1, num_classes=3)
print(tuple(model(torch.zeros(2, 3, 224, 224)).shape), timm is import_timm(), sep="\\n")
"""
    assert output_of_fresh_python(code) == ["(2,", "3)", "True"]


def test_operators_are_declared_only_where_the_compiled_ones_do_not_load() -> None:
    code = """
import torch
from loravit_web.backbones import timm_import
timm_import._compiled_operators_load = lambda: True
print(timm_import._declared_operators(), hasattr(torch.ops.torchvision, "nms"))
timm_import._declared_operators.cache_clear()
timm_import._compiled_operators_load = lambda: False
declared = timm_import._declared_operators()
print(declared is None, hasattr(torch.ops.torchvision, "nms"))
print(hasattr(torch.ops.torchvision, "qnms"))
timm_import._declared_operators.cache_clear()
print(timm_import._declared_operators())
"""
    assert output_of_fresh_python(code) == ["None", "False", "False", "True", "True", "None"]


def test_a_library_that_does_not_load_counts_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "_C.so").write_bytes(b"linked against another torch")
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)
    assert timm_import._compiled_operators_load() is False


def test_no_torchvision_at_all_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert timm_import._compiled_operators_load() is False
