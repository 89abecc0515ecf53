"""A head in closed form separates classes, and its leave-one-out predictions are exact."""

import pytest
import torch
import torch.nn.functional as F

from loravit_web.training.heads.closed_form import STRENGTHS, fit_closed_form


def clusters(
    classes: int, per_class: int, *, distance: float, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features (N, 8) around one center for each class, far from the origin, and labels (N,)."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(classes, 8, generator=generator) * distance
    labels = torch.arange(classes).repeat(per_class)
    return centers[labels] + torch.randn(len(labels), 8, generator=generator) + 100, labels


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_head_separates_linearly_separable_classes(classes: int) -> None:
    features, labels = clusters(classes, 30, distance=10)
    half = 15 * classes
    head = fit_closed_form(features[:half], labels[:half], classes)
    assert head.weight.shape == (classes, 8)
    assert head.logits(features[half:]).argmax(1).tolist() == labels[half:].tolist()


@pytest.mark.parametrize("strengths", [(0.1,), (0.1, 0.1)], ids=["Cholesky", "eigendecomposition"])
def test_what_is_predicted_for_a_left_out_image_is_what_a_head_without_it_predicts(
    strengths: tuple[float, ...],
) -> None:
    features, labels = clusters(3, 6, distance=1)
    features = (features - features.mean(0)) / features.std(0, correction=0)
    found = fit_closed_form(features, labels, 3, strengths).left_out
    for image in range(len(labels)):
        expected = ridge_without(features, labels, image, strength=0.1)
        shifted = found[image] - found[image, 0]
        ratio = (expected - expected[0])[1:] / shifted[1:]
        # Logits are calibrated: all of them have the same factor.
        assert float(ratio[0]) == pytest.approx(float(ratio[1]), rel=1e-3)


def ridge_without(features: torch.Tensor, labels: torch.Tensor, image: int, strength: float) -> torch.Tensor:
    """Return what ridge regression on all other images predicts (C,), with the means of those images."""
    z = (features / features.shape[1] ** 0.5).double()
    y = F.one_hot(labels, 3).double()
    penalty = strength * float((z - z.mean(0)).square().sum(1).mean())
    others = [index for index in range(len(labels)) if index != image]
    z_center, y_center = z[others].mean(0), y[others].mean(0)
    centered = z[others] - z_center
    left = centered.T @ centered + penalty * torch.eye(z.shape[1], dtype=torch.float64)
    weight = torch.linalg.solve(left, centered.T @ (y[others] - y_center))
    return (z[image] - z_center) @ weight + y_center


def test_a_head_without_an_image_does_not_know_its_label() -> None:
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(60, 200, generator=generator), torch.arange(2).repeat(30)
    for strength in (1e-6, 1e-3):
        head = fit_closed_form(features, labels, 2, (strength,))
        assert float((head.left_out.argmax(1) == labels).float().mean()) < 0.7


def test_of_several_strengths_the_one_with_the_smallest_leave_one_out_loss_is_chosen() -> None:
    features, labels = clusters(4, 8, distance=0.6)
    losses = {strength: fit_closed_form(features, labels, 4, (strength,)).loss for strength in STRENGTHS}
    chosen = fit_closed_form(features, labels, 4)
    assert chosen.strength == min(losses, key=lambda strength: losses[strength])
    assert chosen.loss == pytest.approx(min(losses.values()), rel=1e-4)


def test_a_rare_class_has_the_same_weight_as_a_frequent_one() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 300 + [1] * 6)
    features = torch.randn(306, 2, generator=generator) + labels[:, None] * 1.5
    head = fit_closed_form(features, labels, 2)
    assert float((head.logits(features[300:]).argmax(1) == 1).float().mean()) >= 0.5


def test_a_constant_feature_does_not_make_the_head_nan() -> None:
    features = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    features[:, 1] = 7.0
    labels = (features[:, 0] > 0).long()
    logits = fit_closed_form(features, labels, 2).logits(features)
    assert bool(torch.isfinite(logits).all())
    assert float((logits.argmax(1) == labels).float().mean()) > 0.9


def test_features_that_are_all_constant_give_a_head_without_an_opinion() -> None:
    head = fit_closed_form(torch.ones(6, 3), torch.tensor([0, 1] * 3), 2)
    logits = head.logits(torch.ones(1, 3))
    assert float(logits[0, 0]) == pytest.approx(float(logits[0, 1]), abs=1e-4)
