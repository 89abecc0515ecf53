"""Images unlike all training images are told apart, and other cameras are not."""

from __future__ import annotations

import random

import pytest
import torch
from PIL import Image

from loravit_web.adapters.readout import Tap
from loravit_web.backbones import Base
from loravit_web.training.novelty import altered, fit_novelty, novelty_readout

READOUT = (Tap(2, "mean"),)


def pooled(count: int, *, spread: int, shift: float = 0.0, seed: int = 0) -> torch.Tensor:
    """Return pooled values (N, 3, 2, 32) that vary in the first ``spread`` features of a readout only."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, 3, 2, 32, generator=generator) * 0.01
    values[..., :spread] += torch.randn(count, 1, 1, spread, generator=generator)
    values[..., spread:] += shift
    return values


def test_what_the_training_images_vary_in_is_not_new_and_anything_else_is(base: Base) -> None:
    train = pooled(60, spread=4)
    novelty = fit_novelty(base, READOUT, train, pooled(40, spread=4, seed=1))
    assert novelty is not None
    assert float((novelty.ratio(base, pooled(50, spread=4, seed=2)) > 1).float().mean()) < 0.1
    assert bool((novelty.ratio(base, pooled(50, spread=4, shift=1.0, seed=3)) > 1).all())
    found = novelty.directions @ novelty.directions.T
    assert torch.allclose(found, torch.eye(len(found)), atol=1e-4)


def test_altered_images_that_differ_more_raise_the_threshold(base: Base) -> None:
    train = pooled(60, spread=4)
    usual, wide = (
        fit_novelty(base, READOUT, train, pooled(40, spread=4, shift=shift, seed=1)) for shift in (0.0, 0.5)
    )
    assert usual is not None
    assert wide is not None
    assert wide.threshold > 10 * usual.threshold


@pytest.mark.parametrize("train", [pooled(1, spread=4), pooled(0, spread=4)])
def test_too_few_images_give_no_model(train: torch.Tensor, base: Base) -> None:
    assert fit_novelty(base, READOUT, train, pooled(4, spread=4)) is None
    assert fit_novelty(base, (), pooled(9, spread=4), pooled(4, spread=4)) is None


def test_a_feature_that_never_changes_divides_by_nothing(base: Base) -> None:
    train = pooled(30, spread=4)
    train[..., 5] = 3.0
    novelty = fit_novelty(base, READOUT, train, train[:10])
    assert novelty is not None
    assert bool(torch.isfinite(novelty.ratio(base, train)).all())


def test_a_model_reads_the_trunk_alone(base: Base) -> None:
    assert novelty_readout(base, 1) == (Tap(1, "mean"),)
    assert novelty_readout(base, base.depth) == (Tap(2, "mean"),)
    assert novelty_readout(base, 0) == ()


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (64, 48)])
def test_an_altered_image_is_another_image_of_a_similar_size(size: tuple[int, int]) -> None:
    image = Image.effect_noise(size, 60).convert("RGB")
    changed = altered(image, random.Random(0))
    assert changed.mode == "RGB"
    assert all(1 <= after <= before for after, before in zip(changed.size, size, strict=True))
    assert altered(image, random.Random(1)).tobytes() == altered(image, random.Random(1)).tobytes()
