"""Exports of random adapters on a tiny base. Without onnxruntime the tests are skipped, except in CI."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from loravit_web.adapters import Adapter
from loravit_web.adapters.files.format import to_files
from loravit_web.backbones import Base
from loravit_web.export.folder import export_onnx
from loravit_web.export.plan import Version
from loravit_web.runtime import ExportedModel
from loravit_web.runtime.layout import Precision

ExportTasks = Callable[..., ExportedModel]


@pytest.fixture(autouse=True)
def _onnxruntime() -> None:
    if importlib.util.find_spec("onnxruntime") is None:
        if os.environ.get("CI"):
            pytest.fail("onnxruntime is not installed: pip install -r requirements-dev.txt")
        pytest.skip('onnxruntime is not installed: pip install "loravit-web[onnx]"')


def version_of(adapter: Adapter, base: Base, ref: str = "animals@1") -> Version:
    """Return an adapter as a version with the usual thresholds."""
    files = to_files(adapter, base, name=ref.partition("@")[0], title="Animals")
    return Version(ref, "Animals", adapter, files, unsure_below=0.5, unlike_above=1.0)


@pytest.fixture
def export(tmp_path: Path) -> ExportTasks:
    """Export adapters as `one@1`, `two@1` and so on, and open the folder."""

    def exported(base: Base, *adapters: Adapter, precision: Precision = "fp32") -> ExportedModel:
        names = ("one", "two", "three", "four", "five")
        versions = [
            version_of(adapter, base, f"{name}@1") for name, adapter in zip(names, adapters, strict=False)
        ]
        export_onnx(base, versions, tmp_path / "out", precision, lambda _fraction, _stage: None)
        return ExportedModel(tmp_path / "out", threads=1)

    return exported
