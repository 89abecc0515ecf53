"""A trained head is fitted once more in closed form, on all images."""

from __future__ import annotations

import torch

from loravit_web.training.heads.refit import fit_again

CLASSES = 3


def images_of(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of two values for each class, with noise, and the labels."""
    labels = torch.arange(count) % CLASSES
    noise = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    return torch.eye(CLASSES)[labels].repeat(1, 2) * 2 + noise, labels


def test_it_also_learns_from_the_validation_images_it_may_be_fitted_on() -> None:
    (train, learned), (validation, held_out) = images_of(30, 0), images_of(60, 1)
    none, every = torch.arange(0), torch.arange(60)
    without, with_all = (fit_again(train, validation, (learned, held_out), CLASSES, f) for f in (none, every))
    assert torch.equal(without.validation, with_all.validation)
    assert torch.allclose(without.head.logits(validation), without.validation, atol=1e-4)
    test, labels = images_of(600, 2)
    right = [(one.head.logits(test).argmax(dim=1) == labels).sum() for one in (without, with_all)]
    assert right[1] > right[0]


def test_its_validation_logits_are_calibrated_however_well_the_features_know_the_training_labels() -> None:
    (_features, learned), (validation, held_out) = images_of(30, 0), images_of(60, 1)
    memorized = torch.eye(CLASSES)[learned].repeat(1, 2) * 2
    refit = fit_again(memorized, validation, (learned, held_out), CLASSES, torch.arange(60))
    scores = refit.validation.softmax(dim=1)
    accuracy = float((scores.argmax(dim=1) == held_out).float().mean())
    assert abs(float(scores.max(dim=1).values.mean()) - accuracy) < 0.1


def test_several_labels_per_image_are_calibrated_class_by_class() -> None:
    (train, learned), (validation, held_out) = images_of(30, 0), images_of(60, 1)
    labels = torch.eye(CLASSES)[learned], torch.eye(CLASSES)[held_out]
    refit = fit_again(train, validation, labels, CLASSES, torch.arange(60))
    assert refit.head.weight.shape == (CLASSES, 6)
    rates = refit.validation.sigmoid().mean(dim=0)
    assert torch.allclose(rates, labels[1].mean(dim=0), atol=0.05)
