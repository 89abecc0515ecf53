"""Preprocessing of images for a base."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from loravit_web.backbones.preprocessing import Preprocessing


def image_of(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_preprocessing_equals_a_plain_computation_with_numpy() -> None:
    image = image_of(50, 21)
    way = Preprocessing(16, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    squashed = np.asarray(image.resize((16, 16), Image.Resampling.BICUBIC), dtype=np.float64) / 255
    expected = ((squashed - [0.1, 0.2, 0.3]) / [0.5, 0.6, 0.7]).transpose(2, 0, 1)
    found = way([image, image])
    assert found.shape == (2, 3, 16, 16)
    assert found.dtype is torch.float32
    np.testing.assert_allclose(found[1].numpy(), expected, rtol=0, atol=2e-6)


def test_mirroring_equals_flipping_the_image() -> None:
    # An image of the final size, because resampling is not exactly symmetric.
    image = image_of(16, 16)
    flipped = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    way = Preprocessing(16)
    assert torch.equal(way([image], mirror=True), way([flipped]))
    assert torch.equal(way([image], mirror=True), way([image]).flip(-1))
    assert not torch.equal(way([image], mirror=True), way([image]))


def test_preprocessing_survives_a_round_trip_through_json() -> None:
    way = Preprocessing(168, (0.5, 0.25, 0.125), (0.3, 0.2, 0.1))
    assert Preprocessing.from_json(way.as_json()) == way


@pytest.mark.parametrize(
    "change",
    [
        {"interpolation": "bilinear"},
        {"crop_pct": 0.9},
        {"crop_mode": "center"},
        {"input_size": [1, 112, 112]},
        {"input_size": [3, 112, 168]},
        {"input_size": [3, 112]},
        {"std": [0.1, 0.0, 0.1]},
        {"mean": [0.1, 0.1]},
    ],
    ids=str,
)
def test_another_kind_of_preprocessing_is_rejected(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Preprocessing.from_json({**Preprocessing(112).as_json(), **change})
