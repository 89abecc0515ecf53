"""Numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from loravit_web.training.evaluation import evaluate, fit_temperature
from loravit_web.training.probe import fit_linear_probe


def test_accuracy_loss_and_f1_equal_a_hand_made_example() -> None:
    # Predicted 0, 0, 1, 1 where 0, 1, 1, 2 is true.
    probabilities = torch.tensor([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.7, 0.2]])
    found = evaluate(probabilities.log(), torch.tensor([0, 1, 1, 2]))
    assert (found.n, found.accuracy) == (4, 0.5)
    assert found.loss == pytest.approx(-sum(map(math.log, [0.8, 0.3, 0.5, 0.2])) / 4, abs=1e-6)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found.as_json() == {
        "n": 4,
        "accuracy": 0.5,
        "loss": found.loss,
        "macro_f1": found.macro_f1,
    }


def test_a_temperature_changes_the_loss_alone() -> None:
    logits, labels = torch.tensor([[4.0, 0.0], [0.0, 4.0]]), torch.tensor([0, 0])
    plain, soft = evaluate(logits, labels), evaluate(logits, labels, temperature=2.0)
    assert soft.accuracy == plain.accuracy
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(2))) / 2
    assert soft.loss == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    calibrated = torch.randn(20_000, 5, generator=generator) * 2
    labels = torch.multinomial(calibrated.softmax(1), 1, generator=generator)[:, 0]
    assert fit_temperature(calibrated * temperature, labels) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_of_faultless_predictions_stays_in_bounds() -> None:
    logits = torch.eye(4) * 50
    assert 0.1 <= fit_temperature(logits, torch.arange(4)) <= 10
    assert 0.1 <= fit_temperature(-logits, torch.arange(4)) <= 10


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_linear_probe_separates_what_a_plane_can_separate(classes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(classes, 8, generator=generator) * 10
    labels = torch.arange(classes).repeat(30)
    features = centres[labels] + torch.randn(len(labels), 8, generator=generator) + 100
    half = 15 * classes
    probe = fit_linear_probe(features[:half], labels[:half], features[half:], labels[half:], classes)
    assert probe.weight.shape == (classes, 8)
    assert probe.accuracy == evaluate(probe.logits(features[half:]), labels[half:]).accuracy == 1.0
    assert probe.logits(features).argmax(1).tolist() == labels.tolist()


def test_a_rare_class_counts_as_much_as_a_frequent_one() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 300 + [1] * 6)
    features = torch.randn(306, 2, generator=generator) + labels[:, None] * 1.5
    probe = fit_linear_probe(features, labels, features, labels, 2)
    recall = float((probe.logits(features[300:]).argmax(1) == 1).float().mean())
    assert recall >= 0.5


def test_a_constant_feature_does_not_make_the_probe_nan() -> None:
    features = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    features[:, 1] = 7.0
    labels = (features[:, 0] > 0).long()
    probe = fit_linear_probe(features, labels, features, labels, 2)
    assert bool(torch.isfinite(probe.logits(features)).all())
    assert probe.accuracy > 0.9
