"""What logits say of the labels of an image."""

from __future__ import annotations

import pytest
import torch

from loravit_web.adapters.labels import READINGS
from loravit_web.util.labels import LABELS, Labels


@pytest.mark.parametrize("labels", LABELS)
def test_log_odds_are_those_of_the_probability(labels: Labels) -> None:
    logits, reading = torch.tensor([[1.0, -2.0, 0.5], [0.1, 0.2, -0.3]]), READINGS[labels]
    for label in range(3):
        expected = reading.probabilities(logits, 1.0)[:, label].double().logit().float()
        assert torch.allclose(reading.log_odds(logits, label), expected, atol=1e-4)


def test_log_odds_do_not_saturate_where_the_probability_does() -> None:
    logits = torch.tensor([[60.0, 0.0], [61.0, 0.0]])
    first, second = READINGS["one"].log_odds(logits, 0).tolist()
    assert second - first == pytest.approx(1.0)
