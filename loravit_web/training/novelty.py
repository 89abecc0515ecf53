"""Fitting of a `Novelty` model, with a threshold from altered validation images.

A threshold from clean validation images would tell cameras apart and not contents: it calls most right images
of another source unlike. Altered images stand for other cameras, light and compression.
"""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from loravit_web.adapters.novelty import Novelty
from loravit_web.adapters.readout import Readout, Tap, read
from loravit_web.backbones.base import Base
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.images.loading import load_stored
from loravit_web.images.whites import scaled_image

VARIANCE = 0.95
"""Fraction of the variance that the directions keep."""
ACCEPTED = 0.95
"""Fraction of the altered validation images that stay below the threshold."""
MARGIN = 1.6
"""Factor of the threshold over that quantile.

With the quantile alone, half of the photographs of other cameras were called unlike. With 1.6 times as much,
none of them is, 2 % of the right images of another source are, and 86 % of the images of other tasks; see
``python -m benchmarks novelty``. With 90 % of the variance, no factor met all targets.
"""
MOST_ALTERED = 200
"""Number of altered images."""
MOST_DIRECTIONS = 128
_BATCH = 16
_SMALL = 1e-6
_DETAIL = 112
"""Side in pixels for which the blur is given."""


def altered(image: Image.Image, rng: random.Random) -> Image.Image:
    """Return an image as another camera might have taken it: crop, mirror, sharpness, light, JPEG."""
    width, height = image.size
    part = rng.uniform(0.6, 1.0)
    w, h = max(1, int(width * part)), max(1, int(height * part))
    left, top = rng.randint(0, width - w), rng.randint(0, height - h)
    image = image.crop((left, top, left + w, top + h))
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    image = _resharpened(image, rng)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(rng.uniform(0.6, 1.4))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=rng.randint(20, 70))
    with Image.open(buffer) as compressed:
        return compressed.convert("RGB")


def _resharpened(image: Image.Image, rng: random.Random) -> Image.Image:
    w, h = image.size
    kind = rng.randrange(3)
    if kind == 0:
        smaller = rng.uniform(0.4, 0.8)
        small = image.resize((max(8, int(w * smaller)), max(8, int(h * smaller))), Image.Resampling.BILINEAR)
        return small.resize((w, h), Image.Resampling.BICUBIC)
    if kind == 1:
        return image.filter(ImageFilter.SHARPEN)
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.5) * max(1.0, min(w, h) / _DETAIL)))


def novelty_readout(base: Base, first_block: int) -> Readout:
    """Return what a model reads: the patch mean two thirds up the base, or lower where the trunk ends."""
    block = min(first_block, round(base.depth * 2 / 3))
    return (Tap(block, "mean"),) if block else ()


def altered_pooled(
    base: Base, paths: Sequence[Path], preprocessing: Preprocessing, *, stop: int, seed: int
) -> torch.Tensor:
    """Return the pooled values (M, L, P, D) after each of the first ``stop`` blocks of altered images.

    Args:
        base: Base that runs.
        paths: Files of the images; each is altered twice, or fewer of them if there are many.
        preprocessing: Preprocessing of the images.
        stop: Number L of blocks.
        seed: Seed of the alterations.
    """
    rng = random.Random(seed)
    chosen = list(paths) if len(paths) <= MOST_ALTERED // 2 else rng.sample(list(paths), MOST_ALTERED // 2)
    parts = [torch.empty(0, stop, len(base.parts), base.embed_dim)]
    with torch.inference_mode():
        for start in range(0, len(chosen), _BATCH):
            loaded = (load_stored(path) for path in chosen[start : start + _BATCH])
            images = [scaled_image(image, preprocessing.whites) for image in loaded]
            pixels = preprocessing([altered(image, rng) for image in images for _ in range(2)])
            parts.append(base.trunk(base.embed(pixels), 0, stop).pooled.cpu())
    return torch.cat(parts).clone()


def fit_novelty(
    base: Base, readout: Readout, pooled: torch.Tensor, altered_pooled: torch.Tensor
) -> Novelty | None:
    """Fit a model to training images, and set its threshold by altered validation images.

    Args:
        base: Base that computed the pooled values.
        readout: Features of the trunk to read.
        pooled: Float32 `Base.parts` (N, L, P, D) of the training images.
        altered_pooled: The same of altered validation images.

    Returns:
        The model, or None if there is no readout or there are too few images.
    """
    if not readout or len(pooled) < 2 or not len(altered_pooled):
        return None
    features = read(readout, base, pooled)
    center, scale = features.mean(dim=0), features.std(dim=0)
    scale = torch.where(scale > _SMALL * (1 + center.abs()), scale, 1.0)
    _, values, directions = torch.linalg.svd((features - center) / scale, full_matrices=False)
    kept = int((torch.cumsum(values**2, dim=0) < VARIANCE * (values**2).sum()).sum()) + 1
    unscaled = Novelty(readout, center, scale, directions[: min(kept, MOST_DIRECTIONS)].clone(), 1.0)
    residuals = unscaled.residual(base, altered_pooled)
    threshold = max(MARGIN * float(residuals.quantile(ACCEPTED)), _SMALL)
    return Novelty(readout, center, scale, unscaled.directions, threshold)


def trunk_novelty(
    base: Base, first_block: int, pooled: torch.Tensor, altered_pooled: torch.Tensor
) -> Novelty | None:
    """Fit a model that reads the trunk of an adapter; see `fit_novelty`.

    Args:
        base: Base that computed the pooled values.
        first_block: Index of the first adapted block.
        pooled: Float32 `Base.parts` (N, L, P, D) of the training images.
        altered_pooled: The same of altered validation images.
    """
    return fit_novelty(base, novelty_readout(base, first_block), pooled, altered_pooled)
