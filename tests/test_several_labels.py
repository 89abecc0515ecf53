"""From a CSV and a zip to an answer with several labels, by way of a run, its result and a bundle."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from loravit_web.access.rights import LOCAL
from loravit_web.actions import Actions
from loravit_web.adapters.files.bundle import Bundle, write_bundle
from loravit_web.cli.adapters import results_document, version_document
from loravit_web.cli.predict import predicted_document, predicted_text
from loravit_web.cli.train import trained_document
from loravit_web.datasets import SEVERAL_LABELS, ImageDataset, csv_with_zip
from loravit_web.datasets.relabel import SeveralLabels
from loravit_web.runs.results import details_of, result_of
from loravit_web.runs.suspects import suspects_of_run
from loravit_web.service import Service
from loravit_web.ui.kit.markup import class_table, correct_images, evaluation_table
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.train.found import found_html
from loravit_web.ui.train.suspects import NOT_SEARCHED
from loravit_web.ui.train.tab import build_train
from registry import Run
from tests.conftest import RECIPE

NAMES = ("red", "green")


def scene(number: int) -> tuple[bytes, list[str]]:
    """Return an image whose red and green channels are on or off, and the names of those that are on."""
    on = [number % 2 == 1, number // 2 % 2 == 1]
    pixels = np.random.default_rng(number).integers(0, 60, (32, 32, 3), dtype=np.uint8)
    for channel, is_on in enumerate(on):
        pixels[:, :, channel] += 150 * is_on
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue(), [name for name, is_on in zip(NAMES, on, strict=True) if is_on]


@pytest.fixture
def dataset(service: Service, tmp_path: Path) -> ImageDataset:
    csv, archive = tmp_path / "tags.csv", tmp_path / "images.zip"
    rows = ["path,split,labels"]
    with zipfile.ZipFile(archive, "w") as opened:
        for number in range(40):
            content, labels = scene(number)
            opened.writestr(f"images/{number}.png", content)
            rows.append(f"{number}.png,{'test' if number >= 32 else 'train'},{'|'.join(labels)}")
    csv.write_text("\n".join(rows))
    with csv_with_zip(csv, archive) as source:
        return Actions(service, LOCAL).import_opened(source)


@pytest.fixture
def run(service: Service, dataset: ImageDataset) -> Run:
    return Actions(service, LOCAL).train_now(dataset, "Tags", RECIPE, service.new_worker())


def test_images_become_a_task_that_answers_with_all_labels_of_an_image_or_none(
    service: Service, dataset: ImageDataset, run: Run
) -> None:
    assert run.status == "completed", run.error
    assert run.config["adapter"]["labels"] == "many"
    assert (run.dataset.n_images, run.dataset.n_classes) == (40, 2)
    summary = found_html(dataset)
    assert "Several labels per image, separated by “|”." in summary
    assert "10 image(s) have none" in summary

    result = result_of(service.registry, run.id)
    (test,) = (one for one in result.version.evaluations if one.split == "test")
    assert test.mean_average_precision is not None
    assert test.mean_average_precision > 0.9
    assert "images correct in all their labels" in correct_images(test)
    assert "mAP" in evaluation_table(result.version)
    details = details_of(service.registry, result, "test")
    assert "Average precision" in class_table(details)
    assert suspects_of_run(service.registry, run.id) is None

    lines = []
    for number in range(4):
        content, labels = scene(100 + number)
        image = Image.open(BytesIO(content)).convert("RGB")
        answer = service.predictor.classify(image, ["tags"])
        lines.append((sorted(answer.as_json()["results"][0]["answer"]), sorted(labels)))
        written = predicted_text([predicted_document("x.png", answer)])
        assert f"tags@1: {'none' if not answer.results[0].answer else ''}" in written
    assert sum(found == expected for found, expected in lines) >= 3

    document = trained_document(run, result.version)
    assert document["metrics"]["test_map"] == test.mean_average_precision
    shown = version_document(result.version)["evaluations"]["test"]
    assert shown["micro_f1"] == test.micro_f1
    classes = results_document(service.registry, result.version)
    assert classes is not None
    assert "average_precision" in classes["classes"][0]


def test_the_page_shows_such_data_and_results_and_says_what_it_cannot_change(
    service: Service, dataset: ImageDataset, run: Run
) -> None:
    with gr.Blocks():
        train = build_train(service, Presence())
    seen, check, result = service.seen_by(LOCAL), train.check, train.result
    shown = check.filled(seen, dataset)
    assert SEVERAL_LABELS in shown[check.found]
    assert not shown[check.view].visible
    assert not shown[check.fix].visible
    assert check.near_found(seen, dataset.fingerprint) == {check.near: [], check.doubles: ""}
    shown = result.of_run(seen, run.id)
    assert "see the metrics per class" in shown[result.matrix]
    assert "Average precision" in shown[result.classes]
    assert NOT_SEARCHED in shown[result.suspects.text]
    assert not shown[result.again].visible
    assert "mAP" in shown[result.head]


def test_a_bundle_of_several_labels_is_imported_with_its_thresholds(
    service: Service, run: Run, tmp_path: Path
) -> None:
    version = service.registry.catalog.resolve("tags")
    files = service.registry.catalog.read_files(version)
    path = tmp_path / "tags.zip"
    path.write_bytes(write_bundle(Bundle("others", "Others", files)))
    Actions(service, LOCAL).import_bundle(path)
    imported = service.registry.catalog.resolve("others")
    assert imported.config["labels"] == "many"
    assert imported.evaluation("test").micro_f1 == version.evaluation("test").micro_f1
    content, _labels = scene(103)
    image = Image.open(BytesIO(content)).convert("RGB")
    both = service.predictor.classify(image, ["tags", "others"]).results
    assert both[0].answer == both[1].answer


def test_labels_of_several_are_corrected_in_the_csv(service: Service, dataset: ImageDataset) -> None:
    with pytest.raises(SeveralLabels):
        Actions(service, LOCAL).correct(dataset.fingerprint, {(dataset.items[0].sha256, 0): None})
