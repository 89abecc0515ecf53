"""timm can be imported whether or not torchvision's compiled operators load."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from loravit_web.backbones import timm_import

ROOT = Path(__file__).resolve().parents[2]


def output_of_fresh_python(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_fresh_process_imports_timm_without_the_compiler_and_builds_a_vit() -> None:
    code = """
import sys, torch
from loravit_web.backbones.timm_import import import_timm
disable = torch.compiler.disable
timm = import_timm()
print(timm is import_timm(), [name for name in sys.modules if name.startswith("torch._dynamo")])
print(torch.compiler.disable is disable)
model = timm.create_model("vit_tiny_patch16_224", embed_dim=16, depth=1, num_heads=1, num_classes=3)
print(tuple(model(torch.zeros(2, 3, 224, 224)).shape))
from torchvision.ops import roi_align
asked = sys.modules["torchvision.ops.roi_align"].is_compile_supported
print(asked("cpu"), asked("meta"))
"""
    assert output_of_fresh_python(code) == ["True", "[]", "True", "(2,", "3)", "True", "False"]


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Provide a package in place of the compiler whose import uses its own utilities."""
    folder = tmp_path / "a_compiler"
    folder.mkdir()
    (folder / "utils.py").write_text("counters = {}\nis_compile_supported = str.isupper\n")
    (folder / "__init__.py").write_text("from .utils import counters\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(timm_import, "_COMPILER", folder.name)
    yield folder.name
    for name in [one for one in sys.modules if one.partition(".")[0] == folder.name]:
        del sys.modules[name]


def test_the_one_function_that_torchvision_needs_works(compiler: str) -> None:
    with timm_import._no_compiler():
        assert torch.compiler.disable(len) is len
        assert torch.compiler.disable(recursive=False)(len) is len
        supported = importlib.import_module(f"{compiler}.utils").is_compile_supported
    assert compiler not in sys.modules
    assert (supported("CPU"), supported("cpu")) == (True, False)
    assert compiler in sys.modules


def test_any_other_use_of_the_compiler_imports_it(compiler: str) -> None:
    with timm_import._no_compiler():
        stand_in = sys.modules[f"{compiler}.utils"]
        package = importlib.import_module(compiler)
        assert not hasattr(stand_in, "__wrapped__")
    utils = sys.modules[f"{compiler}.utils"]
    assert utils is not stand_in
    assert package.counters is utils.counters is stand_in.counters


def test_an_imported_compiler_is_not_replaced(compiler: str) -> None:
    importlib.import_module(compiler)
    utils, disable = sys.modules[f"{compiler}.utils"], torch.compiler.disable
    with timm_import._no_compiler():
        assert sys.modules[f"{compiler}.utils"] is utils
        assert torch.compiler.disable is disable


def test_operators_are_declared_only_if_the_compiled_ones_do_not_load() -> None:
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
