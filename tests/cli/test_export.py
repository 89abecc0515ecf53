"""``export``: folders that answer without the app, and what the shell tells about them."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from loravit_web.cli.main import main
from tests.cli.conftest import TRAIN, Json, Text


@pytest.fixture(autouse=True)
def _onnxruntime() -> None:
    if importlib.util.find_spec("onnxruntime") is None:
        if os.environ.get("CI"):
            pytest.fail("onnxruntime is not installed: pip install -r requirements-dev.txt")
        pytest.skip('onnxruntime is not installed: pip install "loravit-web[onnx]"')


@pytest.fixture
def image(trained: dict[str, Any], tmp_path: Path) -> str:
    """A red image, beside an adapter that knows red."""
    return str(tmp_path / "colours" / "test" / "red" / "0.png")


@pytest.fixture
def exported(image: str, run_json: Json, tmp_path: Path) -> dict[str, Any]:
    """The document of an export of that adapter."""
    return dict(run_json("export", "colours", str(tmp_path / "out")))


def test_an_export_tells_what_it_holds(exported: dict[str, Any], run_json: Json) -> None:
    assert exported["format"] == "onnx" and exported["precision"] == "fp32"
    (task,) = exported["tasks"]
    assert task["task"] == "colours@1" and task["largest_difference"] <= 1e-4
    assert exported["base"]["license"] and exported["bytes"] > task["bytes"] > 0
    assert run_json("adapters", "show", exported["folder"]) == exported


def test_people_read_what_an_exported_folder_holds(exported: dict[str, Any], text: Text) -> None:
    head, base, task = text("adapters", "show", exported["folder"]).splitlines()
    assert head.startswith(f"{exported['folder']}: 1 task as onnx (fp32), ")
    assert base.startswith("Base: embedded (vit_tiny_patch16_224), license ")
    assert task.startswith("  colours@1: ")


def test_an_exported_folder_answers_as_the_app_does(
    exported: dict[str, Any], image: str, run_json: Json
) -> None:
    (ours,) = run_json("predict", image, "--task", "colours")
    (theirs,) = run_json("predict", image, "--exported", exported["folder"])
    for mine, other in zip(ours["results"], theirs["results"], strict=True):
        scores, found = ({label["label"]: label["score"] for label in one["labels"]} for one in (mine, other))
        assert found == pytest.approx(scores, abs=1e-5)
        assert {**mine, "labels": None} == {**other, "labels": None}


def test_one_task_is_exported_as_a_merged_model(image: str, tmp_path: Path, run_json: Json) -> None:
    folder = str(tmp_path / "out")
    document = run_json("export", "colours", folder, "--format", "onnx-merged")
    assert document["format"] == "onnx-merged" and document["tasks"][0]["task"] == "colours@1"
    assert run_json("adapters", "show", folder) == document


def test_a_merged_model_holds_one_task(image: str, tmp_path: Path, refusal: Text) -> None:
    assert main(["train", str(tmp_path / "colours"), "--name", "more", *TRAIN, "--epochs", "1"]) == 0
    words = ["export", "colours", "more", str(tmp_path / "out"), "--format", "onnx-merged"]
    assert "holds one task, and 2 are chosen" in refusal(*words)


def test_an_image_that_cannot_be_read_does_not_stop_the_others(
    exported: dict[str, Any], image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    assert main(["predict", image, str(broken), "--exported", exported["folder"]]) == 1
    printed = capsys.readouterr()
    assert "colours@1: red" in printed.out and "error:" in printed.out
    assert "1 of 2 images could not be classified" in printed.err


def test_an_unknown_task_is_one_sentence(image: str, tmp_path: Path, refusal: Text) -> None:
    assert "flowers" in refusal("export", "flowers", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_one_sentence(exported: dict[str, Any], refusal: Text) -> None:
    assert "already has files" in refusal("export", "colours", exported["folder"])


def test_predict_needs_a_task_or_an_exported_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "x.png"]) == 2
    assert "name a task, or a folder with --exported" in capsys.readouterr().err
    assert main(["predict", "x.png", "--exported", "x", "--csv", "y.csv"]) == 2
