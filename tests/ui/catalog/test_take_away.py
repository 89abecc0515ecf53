"""A version is exported from its card as a zip, which is written once."""

from __future__ import annotations

import importlib.util
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from loravit_web.access.rights import NotAllowed, guest
from loravit_web.runtime import ExportedModel
from loravit_web.ui.catalog.take_away import export_file
from tests.ui.conftest import RunningApp


@pytest.fixture(autouse=True)
def _onnxruntime() -> None:
    if importlib.util.find_spec("onnxruntime") is None:
        if os.environ.get("CI"):
            pytest.fail("onnxruntime is not installed: pip install -r requirements-dev.txt")
        pytest.skip('onnxruntime is not installed: pip install "loravit-web[onnx]"')


def test_a_version_is_exported_as_a_zip_that_answers(running_app: RunningApp, tmp_path: Path) -> None:
    path = export_file(running_app.seen, "colours@1", "onnx", "fp16")
    assert path.name == "colours-v1-onnx.zip"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    image = next((running_app.images / "test" / "red").iterdir())
    (answer,) = ExportedModel(tmp_path / "colours-v1-onnx").classify(image)
    assert (answer.task, answer.labels[0].label) == ("colours@1", "red")
    written = path.stat().st_mtime_ns
    assert export_file(running_app.seen, "colours@1", "onnx", "fp16").stat().st_mtime_ns == written
    assert export_file(running_app.seen, "colours@1", "onnx", "fp32") != path


def test_visitors_of_a_demo_cannot_export(running_app: RunningApp) -> None:
    seen = replace(running_app.seen, visitor=guest("guest-1", training=False))
    with pytest.raises(NotAllowed, match="cannot export"):
        export_file(seen, "colours@1", "onnx", "int8")
