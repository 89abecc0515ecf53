"""Preprocessing of images for a base, the same in training and inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from loravit_web.images.whites import Whites, levels_of, scaled

Triple = tuple[float, float, float]
"""One value for each of the three channels."""
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """Resize to a square, then normalize.

    The whole image is kept, so defects at the border count and users see what the base sees. The price is a
    changed aspect ratio, the same in training and inference.

    Attributes:
        image_size: Side S of the square in pixels.
        mean: Mean of each channel, on a scale of 0 to 1.
        std: Standard deviation of each channel, on a scale of 0 to 1.
        whites: What becomes white in images of more than 8 bits, or None to scale each one from its own bits.
    """

    image_size: int
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    whites: Whites | None = None

    def __call__(self, images: Sequence[Image.Image], *, mirror: bool = False) -> torch.Tensor:
        """Return a normalized float32 batch (B, 3, S, S) of RGB images of any size.

        Args:
            images: RGB images.
            mirror: Whether to flip them left to right.
        """
        side = self.image_size
        pixels = np.empty((len(images), side, side, 3), dtype=np.uint8)
        for row, image in enumerate(images):
            resized = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))
            pixels[row] = scaled(resized, levels_of(image), self.whites)
        return self.normalize(pixels[:, :, ::-1] if mirror else pixels)

    def normalize(self, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> torch.Tensor:
        """Return a normalized float32 batch (B, 3, S, S) of uint8 pixels (B, S, S, 3)."""
        tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float()
        mean = torch.tensor(self.mean).mul_(255).view(1, 3, 1, 1)
        std = torch.tensor(self.std).mul_(255).view(1, 3, 1, 1)
        return tensor.sub_(mean).div_(std)

    def as_json(self) -> dict[str, Any]:
        """Return the fields by timm's names, and `whites`, as stored in ``task.json``."""
        return {
            "input_size": [3, self.image_size, self.image_size],
            "mean": list(self.mean),
            "std": list(self.std),
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "squash",
            **({} if self.whites is None else {"whites": self.whites.as_json()}),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Preprocessing:
        """Return the preprocessing that `as_json` wrote.

        Raises:
            ValueError: If the data describes another kind of preprocessing.
        """
        channels, height, width = data["input_size"]
        fixed = (data.get("interpolation"), data.get("crop_pct"), data.get("crop_mode"))
        if channels != 3 or height != width or fixed != ("bicubic", 1.0, "squash"):
            raise ValueError("only a bicubic squash to a square RGB image is supported")
        mean, std = (tuple(float(v) for v in data[key]) for key in ("mean", "std"))
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError("mean and std need three numbers each, std above 0")
        return cls(int(height), mean, std, Whites.from_json(data.get("whites")))
