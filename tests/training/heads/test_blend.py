"""Two parts of one head are blended by what predicts held-out labels best."""

import pytest
import torch
from torch import nn

from loravit_web.training.heads.blend import WEIGHTS, Blend, compare, fit_blend
from loravit_web.training.heads.closed_form import fit_closed_form

LABELS = torch.arange(4).repeat(25)


def right(confidence: float) -> torch.Tensor:
    return torch.eye(4)[LABELS] * confidence


def wrong(confidence: float) -> torch.Tensor:
    return torch.eye(4)[(LABELS + 1) % 4] * confidence


def test_the_part_that_knows_more_has_more_weight() -> None:
    noise = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    assert fit_blend(right(3) + noise, noise, LABELS).weight == WEIGHTS[0]
    assert fit_blend(wrong(3), right(3) + noise, LABELS).weight == WEIGHTS[-1]


def test_without_a_second_part_the_trained_logits_stay_as_they_are() -> None:
    blend = fit_blend(right(3), None, LABELS)
    assert blend.weight == 0
    assert torch.equal(blend.logits(right(3), None), right(3))


def test_a_blend_is_the_weighted_sum_of_log_probabilities_up_to_a_constant_per_image() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(5, 3, generator=generator) for _ in range(2))
    expected = (0.7 * one.log_softmax(1) + 0.3 * other.log_softmax(1)).softmax(1)
    assert torch.allclose(Blend(0.3, 1.0).logits(one, other).softmax(1), expected, atol=1e-6)


def test_a_blend_is_one_linear_head_on_the_features_of_both_parts() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(7, width, generator=generator) for width in (4, 5))
    labels = torch.arange(7) % 3
    head, closed = nn.Linear(4, 3), fit_closed_form(second, labels, 3)
    blend = Blend(0.4, 1.0)
    weight, bias = blend.folded(head, closed)
    found = torch.cat([first, second], dim=1) @ weight.T + bias
    assert torch.allclose(found, blend.logits(head(first), closed.logits(second)), atol=1e-5)
    assert torch.equal(blend.folded(head, None)[0], head.weight)


def test_the_better_of_two_heads_has_a_positive_difference() -> None:
    better = compare(right(2), right(1), LABELS)
    assert better.mean > 0
    assert compare(right(1), right(2), LABELS).mean == pytest.approx(-better.mean)
    assert better.standard_error == pytest.approx(0, abs=1e-6)
    half = torch.cat([right(2)[:50], wrong(2)[50:]])
    assert compare(half, right(2), LABELS).standard_error > 0.1
