"""Metrics equal values that were computed by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import classification_report, confusion_matrix, top_k_accuracy_score

from loravit_web.training.evaluation import (
    CALIBRATION_BINS,
    ClassResult,
    calibration_error,
    evaluate,
    fit_temperature,
)


def test_accuracy_loss_and_f1_of_a_small_example() -> None:
    # Predictions 0, 0, 1, 1 for the classes 0, 1, 1, 2.
    probabilities = torch.tensor([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.7, 0.2]])
    found = evaluate(probabilities.log(), torch.tensor([0, 1, 1, 2]))
    assert (found.n, found.accuracy) == (4, 0.5)
    assert found.loss == pytest.approx(-sum(map(math.log, [0.8, 0.3, 0.5, 0.2])) / 4, abs=1e-6)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found.classes == (
        ClassResult(0.5, 1.0, pytest.approx(2 / 3), 1),
        ClassResult(0.5, 0.5, 0.5, 2),
        ClassResult(0.0, 0.0, 0.0, 1),
    )
    assert found.confusion == ((0, 0, 1), (1, 0, 1), (1, 1, 1), (2, 1, 1))
    assert found.as_json() == {
        "n": 4,
        "accuracy": 0.5,
        "loss": found.loss,
        "macro_f1": found.macro_f1,
        "top5_accuracy": None,
        "calibration_error": found.calibration_error,
        "classes": {
            "precision": [0.5, 0.5, 0.0],
            "recall": [1.0, 0.5, 0.0],
            "f1": [found.classes[0].f1, 0.5, 0.0],
            "support": [1, 2, 1],
        },
        "confusion": {"0": {"0": 1}, "1": {"0": 1, "1": 1}, "2": {"1": 1}},
    }
    assert json.loads(json.dumps(found.as_json())) == found.as_json()


def random_predictions(images: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (images,), generator=generator)
    logits = torch.randn(images, classes, generator=generator) * 2
    logits[torch.arange(images), labels] += 1.5
    return logits, labels


def slow_calibration_error(scores: torch.Tensor, labels: torch.Tensor, bins: int) -> float:
    """Return the calibration error by its formula, bin by bin and image by image."""
    error = 0.0
    for bin_ in range(bins):
        low, high = bin_ / bins, (bin_ + 1) / bins
        inside = [
            (max(row), row.index(max(row)) == label)
            for row, label in zip(scores.tolist(), labels.tolist(), strict=True)
            if low < max(row) <= high
        ]
        if inside:
            confidence = sum(score for score, _right in inside) / len(inside)
            accuracy = sum(right for _score, right in inside) / len(inside)
            error += len(inside) / len(labels) * abs(confidence - accuracy)
    return error


@pytest.mark.parametrize("classes", [2, 4, 30])
def test_the_calibration_error_follows_its_formula(classes: int) -> None:
    logits, labels = random_predictions(500, classes)
    scores = torch.softmax(logits.double(), dim=1)
    expected = slow_calibration_error(scores, labels, CALIBRATION_BINS)
    assert expected > 0.01
    assert calibration_error(scores, labels) == pytest.approx(expected, abs=1e-9)


def test_the_calibration_error_of_a_small_example() -> None:
    # 0.9 and 0.9 in one bin, one of them correct; 0.6 on an edge, correct; 1.0, correct
    scores = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.0, 1.0]], dtype=torch.float64)
    error = calibration_error(scores, torch.tensor([0, 1, 1, 1]))
    assert error == pytest.approx((abs(1.8 - 1) + abs(0.6 - 1) + 0) / 4)


def test_calibrated_scores_have_a_smaller_calibration_error() -> None:
    generator = torch.Generator().manual_seed(0)
    calibrated = torch.randn(20_000, 5, generator=generator) * 2
    labels = torch.multinomial(calibrated.softmax(1), 1, generator=generator)[:, 0]
    assert evaluate(calibrated, labels).calibration_error < 0.015
    assert evaluate(calibrated * 3, labels).calibration_error > 0.1
    assert evaluate(calibrated * 3, labels, temperature=3.0).calibration_error < 0.015


@pytest.mark.parametrize("classes", [6, 40])
def test_every_metric_equals_that_of_scikit_learn(classes: int) -> None:
    logits, labels = random_predictions(300, classes)
    labels[labels == 2] = 3  # a class without images
    found = evaluate(logits, labels)
    truth, predicted, all_classes = labels.numpy(), logits.argmax(1).numpy(), np.arange(classes)
    assert found.top5_accuracy == top_k_accuracy_score(truth, logits.numpy(), k=5, labels=all_classes)
    matrix = np.zeros((classes, classes), dtype=int)
    for true, guess, images in found.confusion:
        matrix[true, guess] = images
    assert (matrix == confusion_matrix(truth, predicted, labels=all_classes)).all()
    assert all(images > 0 for _true, _guess, images in found.confusion)
    report = classification_report(truth, predicted, labels=all_classes, output_dict=True, zero_division=0)
    for index, one in enumerate(found.classes):
        expected = report[str(index)]
        assert (one.precision, one.recall, one.f1) == pytest.approx(
            (expected["precision"], expected["recall"], expected["f1-score"])
        )
        assert one.support == expected["support"]


def test_logits_that_are_not_finite_can_be_evaluated() -> None:
    logits, labels = random_predictions(20, 8)
    logits[3] = float("nan")
    found = evaluate(logits, labels)
    assert math.isnan(found.loss)
    assert found.n == sum(one.support for one in found.classes) == 20


def test_a_temperature_only_changes_the_loss() -> None:
    logits, labels = torch.tensor([[4.0, 0.0], [0.0, 4.0]]), torch.tensor([0, 0])
    plain, soft = evaluate(logits, labels), evaluate(logits, labels, temperature=2.0)
    assert soft.accuracy == plain.accuracy
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(2))) / 2
    assert soft.loss == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    calibrated = torch.randn(20_000, 5, generator=generator) * 2
    labels = torch.multinomial(calibrated.softmax(1), 1, generator=generator)[:, 0]
    assert fit_temperature(calibrated * temperature, labels) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_of_perfect_predictions_stays_in_bounds() -> None:
    logits = torch.eye(4) * 50
    assert 0.1 <= fit_temperature(logits, torch.arange(4)) <= 10
    assert 0.1 <= fit_temperature(-logits, torch.arange(4)) <= 10


def test_few_images_move_a_temperature_less_than_many() -> None:
    generator = torch.Generator().manual_seed(0)
    calibrated = torch.randn(2000, 3, generator=generator)
    labels = torch.multinomial(torch.softmax(calibrated, dim=1), 1, generator=generator)[:, 0]
    few, many = (
        fit_temperature(4 * calibrated[:images], labels[:images], spread=0.2) for images in (20, 2000)
    )
    assert 1 < few < many
    assert many == pytest.approx(4, rel=0.1)
