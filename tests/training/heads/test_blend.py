"""Two parts of one head are blended by what predicts held-out labels best."""

import pytest
import torch
from torch import nn

from loravit_web.training.heads.blend import SHARE, WEIGHTS, Blend, Parts, compare, fit_blend
from loravit_web.training.heads.closed_form import fit_closed_form

LABELS = torch.arange(4).repeat(25)


def right(confidence: float) -> torch.Tensor:
    return torch.eye(4)[LABELS] * confidence


def wrong(confidence: float) -> torch.Tensor:
    return torch.eye(4)[(LABELS + 1) % 4] * confidence


def test_the_part_that_knows_more_has_more_weight() -> None:
    labels = LABELS.repeat(20)
    noise = torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0))
    knows, misleads = torch.eye(4)[labels] * 3 + noise, torch.eye(4)[(labels + 1) % 4] * 3
    assert fit_blend(Parts(knows, closed=misleads), labels).closed == WEIGHTS[0]
    assert fit_blend(Parts(misleads, closed=knows), labels).closed == WEIGHTS[-1]
    assert fit_blend(Parts(misleads, refitted=knows), labels).trained == 0
    assert fit_blend(Parts(knows, refitted=misleads), labels).refitted == 0


def test_few_images_leave_the_weights_near_what_is_best_for_most_tasks() -> None:
    part = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    blend = fit_blend(Parts(part, part, part), LABELS[:4])
    assert blend.closed in (0.3, 0.4)
    assert blend.refitted == pytest.approx((1 - blend.closed) * SHARE)


def test_a_trained_head_alone_stays_as_it_is() -> None:
    blend = fit_blend(Parts(right(3)), LABELS)
    assert (blend.trained, blend.refitted, blend.closed) == (1, 0, 0)
    assert torch.equal(blend.logits(Parts(right(3))), right(3))


def test_the_trained_part_is_calibrated_before_it_is_blended() -> None:
    labels = LABELS.repeat(10)
    noise = torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0))
    part = torch.eye(4)[labels] * 2 + noise
    weak, strong = (fit_blend(Parts(factor * part, noise), labels) for factor in (1.0, 2.0))
    assert weak.refitted == strong.refitted
    assert strong.trained == pytest.approx(weak.trained / 2, rel=0.05)


def test_a_blend_is_the_weighted_sum_of_log_probabilities_up_to_a_constant_per_image() -> None:
    generator = torch.Generator().manual_seed(0)
    one, two, three = (torch.randn(5, 3, generator=generator) for _ in range(3))
    logs = 0.5 * one.log_softmax(1) + 0.2 * two.log_softmax(1) + 0.3 * three.log_softmax(1)
    blended = Blend(0.5, 0.2, 0.3).logits(Parts(one, two, three))
    assert torch.allclose(blended.softmax(1), logs.softmax(1), atol=1e-6)


def test_a_blend_is_one_linear_head_on_the_features_of_its_parts() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(7, width, generator=generator) for width in (4, 5))
    labels = torch.arange(7) % 3
    head, again = nn.Linear(4, 3), fit_closed_form(first, labels, 3)
    closed = fit_closed_form(second, labels, 3)
    blend = Blend(0.4, 0.3, 0.3)
    weight, bias = blend.folded(head, again, closed)
    found = torch.cat([first, second], dim=1) @ weight.T + bias
    parts = Parts(head(first), again.logits(first), closed.logits(second))
    assert torch.allclose(found, blend.logits(parts), atol=1e-5)
    alone = Blend().folded(head, None, None)
    assert torch.equal(alone[0], head.weight)
    assert torch.equal(alone[1], head.bias)


def test_the_better_of_two_heads_has_a_positive_difference() -> None:
    better = compare(right(2), right(1), LABELS)
    assert better.mean > 0
    assert compare(right(1), right(2), LABELS).mean == pytest.approx(-better.mean)
    assert better.standard_error == pytest.approx(0, abs=1e-6)
    half = torch.cat([right(2)[:50], wrong(2)[50:]])
    assert compare(half, right(2), LABELS).standard_error > 0.1
