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


def test_the_compiler_is_not_imported_with_timm_and_works_afterwards() -> None:
    code = """
import sys, torch
from loravit_web.backbones.timm_import import import_timm
disable = torch.compiler.disable
import_timm()
print([name for name in sys.modules if name.startswith("torch._dynamo")], torch.compiler.disable is disable)
from torchvision.ops import roi_align
asked = sys.modules["torchvision.ops.roi_align"].is_compile_supported
print(asked("cpu"), asked("meta"), "torch._dynamo.eval_frame" in sys.modules)
"""
    assert output_of_fresh_python(code) == ["[]", "True", "True", "False", "True"]


def test_what_asks_for_more_of_the_compiler_while_timm_is_imported_gets_it() -> None:
    code = """
import sys, torch
from loravit_web.backbones import timm_import
with timm_import._no_compiler():
    stand_in = sys.modules["torch._dynamo.utils"]
    import torch._dynamo
    from torch._dynamo.utils import counters
print(stand_in.counters is counters, sys.modules["torch._dynamo.utils"] is not stand_in)
print(torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1)).item())
"""
    assert output_of_fresh_python(code) == ["True", "True", "2.0"]


def test_a_compiler_that_is_there_already_is_left_alone() -> None:
    code = """
import torch._dynamo.utils as utils
from loravit_web.backbones.timm_import import import_timm
import_timm()
import sys
asked = sys.modules["torchvision.ops.roi_align"].is_compile_supported
print(sys.modules["torch._dynamo.utils"] is utils, asked is utils.is_compile_supported)
"""
    assert output_of_fresh_python(code) == ["True", "True"]


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
