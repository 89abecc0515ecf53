"""A run stores the predictions for its validation and test images."""

from __future__ import annotations

import pytest
import torch

from loravit_web.datasets import ImageDataset
from loravit_web.training.data import TrainingData
from loravit_web.training.files.predictions import (
    PREDICTIONS,
    Predicted,
    PredictionsDamaged,
    predictions_of,
    read_predictions,
    write_predictions,
)
from registry import Registry
from tests.training.conftest import WORKER, Execute, Queue


def test_predictions_have_image_class_and_calibrated_score(data: TrainingData) -> None:
    logits = torch.zeros(len(data.test), 2)
    logits[:, 1] = 2.0
    answers = predictions_of(data.test, logits, temperature=2.0)
    assert [one.sha256 for one in answers] == [path.stem for path in data.test.paths]
    assert [one.true for one in answers] == data.test.labels.tolist()
    assert {one.predicted for one in answers} == {1}
    assert {one.score for one in answers} == {round(torch.sigmoid(torch.tensor(1.0)).item(), 4)}


def test_predictions_survive_a_round_trip() -> None:
    predictions = {"validation": (Predicted("ab" * 32, 0, 1, 0.75),), "test": ()}
    assert read_predictions(write_predictions(predictions)) == predictions


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"schema":2,"splits":{}}', b'{"schema":1,"splits":{"test":{}}}']
)
def test_a_file_that_is_not_predictions_is_rejected(data: bytes) -> None:
    with pytest.raises(PredictionsDamaged, match="cannot be read by this version of the app. Train again"):
        read_predictions(data)


def test_a_completed_run_stores_predictions_that_agree_with_its_results(
    registry: Registry, queue: Queue, carry_out: Execute, dataset: ImageDataset
) -> None:
    run = carry_out(queue(worker=WORKER))
    predictions = read_predictions(registry.run_files.read(run.id, PREDICTIONS))
    version = registry.catalog.resolve("colours")
    assert set(predictions) == {"validation", "test"}
    for split, answers in predictions.items():
        measured = version.evaluation(split)  # type: ignore[arg-type]
        assert measured is not None
        assert len(answers) == measured.n
        right = sum(one.true == one.predicted for one in answers)
        assert right / measured.n == pytest.approx(measured.accuracy)
    assert {one.sha256 for one in predictions["test"]} == {item.sha256 for item in dataset.select("test")}


def test_a_run_that_publishes_nothing_stores_no_predictions(
    registry: Registry, queue: Queue, carry_out: Execute, dataset: ImageDataset
) -> None:
    dataset.image_path(dataset.items[5]).unlink()
    run = carry_out(queue(worker=WORKER))
    assert registry.run_files.names(run.id) == []
