"""Comparison of an exported folder with the engine, before it is handed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loravit_web.adapters.adapter import reference_image
from loravit_web.backbones import Base
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.engine import MultiLoRAViT
from loravit_web.errors import LoraVitError
from loravit_web.export.plan import Version
from loravit_web.runtime import ExportedModel
from loravit_web.runtime.layout import EXPORT_FILE, Export, Precision
from loravit_web.runtime.tensors import Array

TOLERANCES: dict[Precision, float] = {"fp32": 1e-4, "fp16": 2e-2, "int8": 0.5}
"""Largest difference of a logit by precision, relative to the largest logit if that is above 1.

Float32 may only round. The others change the weights a little, and the limit only catches a graph that
computes something else.
"""
_NOVELTY_TOLERANCES: dict[Precision, float] = {"fp32": 1e-3, "fp16": 2e-2, "int8": 0.5}


class ExportDiffers(LoraVitError):
    """An export that computes other logits than the engine."""


def checked(folder: Path, export: Export, base: Base, versions: Sequence[Version]) -> Export:
    """Write ``export.json``, run every task with onnxruntime, and return the export with what was found.

    Args:
        folder: Folder with all other files.
        export: What to write, without a check.
        base: Base in float32.
        versions: The exported versions, in the order of the tasks.

    Raises:
        ExportDiffers: If a logit differs by more than `TOLERANCES`.
        RuntimeMissing: If onnxruntime is not installed.
    """
    (folder / EXPORT_FILE).write_bytes(export.as_json())
    model = ExportedModel(folder)
    found: dict[str, Any] = {}
    for version, task in zip(versions, export.tasks, strict=True):
        images = check_images(version.adapter.preprocessing)
        expected, known = engine_answers(base, version, images)
        logits, novelty = model.run(task, images.numpy())
        found[version.ref] = difference(version.ref, logits, expected, TOLERANCES[export.precision])
        if novelty is not None and known is not None:
            difference(version.ref, novelty, known, _NOVELTY_TOLERANCES[export.precision])
    export = replace(export, check={"images": len(images), "largest_difference": found})
    (folder / EXPORT_FILE).write_bytes(export.as_json())
    return export


def engine_answers(base: Base, version: Version, images: torch.Tensor) -> tuple[Array, Array | None]:
    """Return the engine's logits (B, C) and novelty (B,) of normalized images (B, 3, S, S)."""
    engine = MultiLoRAViT(base, torch.float32)
    engine.add(version.ref, version.adapter)
    novelties: list[dict[str, float]] = [{} for _ in images]
    replies = engine.forward(images, [[version.ref]] * len(images), novelty=novelties)
    logits = torch.stack([reply[version.ref] for reply in replies]).numpy()
    if version.adapter.novelty is None:
        return logits, None
    return logits, np.array([row[version.ref] for row in novelties], dtype=np.float32)


def check_images(preprocessing: Preprocessing) -> torch.Tensor:
    """Return normalized images (3, 3, S, S): the reference image, its mirror image, and smooth noise."""
    image = reference_image(preprocessing)
    coarse = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=image.shape[-2:], mode="bilinear")
    return torch.cat([image, image.flip(-1), smooth])


def difference(name: str, found: Array, expected: Array, tolerance: float) -> float:
    """Return the largest difference between numbers, relative to the largest one if that is above 1.

    Raises:
        ExportDiffers: If it is above the tolerance.
    """
    largest = float(np.abs(found - expected).max()) / max(1.0, float(np.abs(expected).max()))
    if not largest <= tolerance:  # also refuses NaN
        raise ExportDiffers(
            f"The export of {name} differs from the engine by {largest:.2g}, and the limit is {tolerance:g}. "
            "Nothing was exported. Please report this."
        )
    return largest
