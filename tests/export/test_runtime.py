"""The runtime answers exported folders as the app answers, without torch, and refuses damaged ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save

from loravit_web.adapters import ViTAdapterConfig
from loravit_web.adapters.labels import READINGS
from loravit_web.backbones import Base
from loravit_web.export.folder import export_onnx
from loravit_web.export.merged import config
from loravit_web.images.loading import UnreadableImage, load_rgb
from loravit_web.images.whites import Whites
from loravit_web.runtime import ExportDamaged, ExportedModel, UnknownExportedTask
from loravit_web.runtime.answers import NonFiniteAnswer, answer_of
from loravit_web.runtime.model import preprocessed
from loravit_web.runtime.tensors import read_tensors
from loravit_web.training.files.reliability import confidence
from tests.adapters.makers import random_adapter
from tests.export.conftest import ExportTasks, version_of

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_TORCH = """
import sys
for name in ("torch", "timm", "onnx", "gradio", "pandas", "safetensors", "sqlalchemy"):
    sys.modules[name] = None
from loravit_web.runtime import load
answers = load(sys.argv[1]).classify(sys.argv[2])
print(answers[0].task, answers[0].text)
"""
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def model(base: Base, export: ExportTasks) -> ExportedModel:
    """Two tasks; the second one may give an image several labels."""
    many = ViTAdapterConfig(r=2, blocks=1, labels="many")
    return export(base, random_adapter(base), random_adapter(base, many, classes=("x", "y", "z", "w")))


def picture(seed: int = 0, size: tuple[int, int] = (50, 40)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_an_image_is_preprocessed_as_in_the_app(base: Base, model: ExportedModel) -> None:
    image = picture()
    expected = base.preprocessing(32)([image]).numpy()
    assert np.array_equal(preprocessed(image, model.tasks[0]), expected)


def test_the_runtime_answers_as_the_app_does(base: Base, model: ExportedModel) -> None:
    image = picture(3)
    answers = model.classify(image)
    assert [answer.task for answer in answers] == ["one@1", "two@1"]
    for answer, task in zip(answers, model.tasks, strict=True):
        logits, _novelty = model.run(task, preprocessed(image, task))
        reading = READINGS[task.labels]
        scores = reading.probabilities(torch.from_numpy(logits[0]), task.temperature)
        found = {label.label: label.score for label in answer.labels}
        assert found == pytest.approx(dict(zip(task.class_names, scores.tolist(), strict=True)), abs=1e-6)
        named = [task.class_names[i] for i in reading.answer(scores, task.thresholds)]
        assert [label.label for label in answer.answer] == named
    best, second = (label.score for label in answers[0].labels[:2])
    assert answers[0].unsure == (confidence(best, second) < 0.5)
    assert answers[1].unsure is False and answers[0].unlike is None


def test_an_image_can_be_a_file_or_its_bytes(model: ExportedModel, tmp_path: Path) -> None:
    file = tmp_path / "image.png"
    picture().save(file)
    expected = model.classify(picture(), ["one"])
    assert model.classify(file, ["one"]) == model.classify(file.read_bytes(), ["one@1"]) == expected


def test_a_file_that_is_no_image_is_refused(model: ExportedModel) -> None:
    with pytest.raises(UnreadableImage):
        model.classify(b"no image")


def test_an_unknown_task_is_refused_with_those_that_exist(model: ExportedModel) -> None:
    with pytest.raises(UnknownExportedTask, match=r"no task flowers. It has one@1, two@1"):
        model.classify(picture(), ["flowers"])


def test_the_runtime_needs_no_torch(model: ExportedModel, tmp_path: Path) -> None:
    picture().save(tmp_path / "image.png")
    command = [sys.executable, "-c", WITHOUT_TORCH, str(model.folder), str(tmp_path / "image.png")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("one@1 ")


def test_logits_that_are_no_numbers_give_no_answer(model: ExportedModel) -> None:
    with pytest.raises(NonFiniteAnswer, match="The logits of one@1"):
        answer_of(model.tasks[0], np.array([np.inf, 0, 0], dtype=np.float32), None, 5)


def test_an_export_answers_with_the_titles_of_the_classes(base: Base, tmp_path: Path) -> None:
    adapter = random_adapter(base, ViTAdapterConfig(r=2, blocks=1))
    titles = tuple(f"title of {name}" for name in adapter.class_names)
    version = replace(version_of(adapter, base), class_titles=titles)
    export_onnx(base, [version], tmp_path / "out", "fp32", lambda _fraction, _stage: None)
    assert ExportedModel(tmp_path / "out", threads=1).tasks[0].class_names == titles
    assert list(config(base, adapter, version.class_names)["id2label"].values()) == list(titles)


def test_large_logits_do_not_overflow(model: ExportedModel) -> None:
    for task in model.tasks:
        logits = np.zeros(len(task.class_names), dtype=np.float32)
        logits[1] = 3e38
        assert answer_of(task, logits, None, 1).answer[0].score == pytest.approx(1.0)


def test_changed_thresholds_decide_what_is_unsure_and_unlike(model: ExportedModel) -> None:
    changed(model.folder, lambda document: document["tasks"][0].update(unsure_below=1.01, unlike_above=3))
    task = ExportedModel(model.folder).tasks[0]
    logits = np.array([9, 0, 0], dtype=np.float32)
    assert answer_of(task, logits, 2.0, 1).unsure is True
    clear = replace(task, unsure_below=0.5)
    assert [answer_of(clear, logits, novelty, 1).unsure for novelty in (None, 2.5, 2.6)] == [
        False,
        False,
        True,
    ]
    assert [answer_of(task, logits, novelty, 1).unlike for novelty in (2.0, 4.0)] == [False, True]


def changed(folder: Path, change: Change) -> None:
    """Change ``export.json``."""
    path = folder / "export.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("tasks"),
        lambda document: document.update(format="other"),
        lambda document: document.update(precision="fp8"),
        lambda document: document["tasks"][0].update(folder="../elsewhere"),
        lambda document: document["graphs"][0].update(file="/etc/passwd"),
        lambda document: document["tasks"][0].update(graphs=[]),
        lambda document: document["tasks"][0].update(graphs=[-1]),
        lambda document: document["tasks"][0].update(graphs=[9]),
        lambda document: document["tasks"][0]["inputs"].update(other={"tensor": "x", "scale": 1}),
        lambda document: document["tasks"][1].update(thresholds=[0.5]),
        lambda document: document["tasks"][0].update(temperature="warm"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused(model: ExportedModel, change: Change) -> None:
    changed(model.folder, change)
    with pytest.raises(ExportDamaged, match=r"export.json cannot be used. Export the tasks again."):
        ExportedModel(model.folder)


def test_a_newer_format_is_refused(model: ExportedModel) -> None:
    changed(model.folder, lambda document: document.update(version=2))
    with pytest.raises(ExportDamaged, match="has version 2 of the format"):
        ExportedModel(model.folder)


def test_a_folder_that_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportDamaged, match="is not an exported folder"):
        ExportedModel(tmp_path)


def test_changed_weights_of_an_adapter_are_refused(model: ExportedModel) -> None:
    task = model.tasks[0]
    path = model.folder / task.folder / task.weights
    path.write_bytes(path.read_bytes()[:-4] + b"abcd")
    with pytest.raises(ExportDamaged, match="differs from its hash"):
        model.classify(picture(), ["one"])


@pytest.mark.parametrize("name", ["graph", "weights", "adapter"])
def test_a_missing_file_is_one_sentence(model: ExportedModel, name: str) -> None:
    task = model.tasks[0]
    files = {
        "graph": model.export.graphs[task.graphs[0]].file,
        "weights": model.export.weights,
        "adapter": f"{task.folder}/{task.weights}",
    }
    (model.folder / files[name]).unlink()
    with pytest.raises(ExportDamaged, match="Export the task"):
        model.classify(picture(), ["one"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_tensors_are_read_as_safetensors_writes_them(dtype: torch.dtype) -> None:
    tensor = torch.randn(3, 5).to(dtype)
    found = read_tensors(save({"a": tensor}, {"format": "pt"}), "file")
    assert np.array_equal(found["a"], tensor.float().numpy())


@pytest.mark.parametrize(
    "data", [b"", b"12345678", save({"a": torch.ones(4)})[:-4], save({"a": torch.ones(1, dtype=torch.int8)})]
)
def test_a_damaged_safetensors_file_is_refused(data: bytes) -> None:
    with pytest.raises(ExportDamaged, match="is damaged, or is not a safetensors file"):
        read_tensors(data, "file")


def test_an_image_of_more_bits_is_as_bright_as_in_the_app(
    base: Base, export: ExportTasks, tmp_path: Path
) -> None:
    plain = random_adapter(base)
    camera = replace(plain, preprocessing=replace(plain.preprocessing, whites=Whites(integer=4095.0)))
    model = export(base, plain, camera)
    Image.fromarray(np.arange(0, 900, 18, dtype=np.uint16).reshape(5, 10)).save(tmp_path / "deep.png")
    image = load_rgb(tmp_path / "deep.png")
    for task, adapter in zip(model.tasks, (plain, camera), strict=True):
        assert np.array_equal(preprocessed(image, task), adapter.preprocessing([image]).numpy())
    own, scaled = model.classify(tmp_path / "deep.png")
    assert own.labels != scaled.labels
