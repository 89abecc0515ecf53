"""A `Novelty` model in the files of an adapter: tensors, and fields of ``task.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from loravit_web.adapters.adapter import Adapter
from loravit_web.adapters.files.numbers import InvalidValue, number
from loravit_web.adapters.interface import AdapterMismatch
from loravit_web.adapters.novelty import Novelty
from loravit_web.adapters.readout import fitting, parse_readout
from loravit_web.backbones.base import Base

MAX_DIRECTIONS = 1024
"""Maximum number of directions that can be loaded."""
THRESHOLDS = (1e-9, 1e9)
"""Range of thresholds."""
_NAMES = ("novelty.center", "novelty.scale", "novelty.directions")


def novelty_tensors(adapter: Adapter) -> dict[str, torch.Tensor]:
    """Return the tensors of an adapter's model by name; empty without a model."""
    if adapter.novelty is None:
        return {}
    return dict(zip(_NAMES, adapter.novelty.tensors, strict=True))


def novelty_fields(adapter: Adapter) -> dict[str, Any] | None:
    """Return what ``task.json`` says about an adapter's model, or None without a model."""
    if adapter.novelty is None:
        return None
    readout = [str(tap) for tap in adapter.novelty.readout]
    return {"readout": readout, "threshold": adapter.novelty.threshold}


def take_novelty(
    tensors: dict[str, torch.Tensor], fields: Mapping[str, Any] | None, base: Base
) -> Novelty | None:
    """Remove the model's tensors and return the model, or None if the adapter has none.

    Args:
        tensors: Tensors by name; the model's are removed.
        fields: What ``task.json`` says, or None.
        base: Base of the adapter.

    Raises:
        AdapterMismatch: If tensors are missing or of a wrong shape.
        InvalidValue: If a number is out of range.
        ReadoutError: If the base does not have what it reads.
    """
    if fields is None:
        return None
    entries = fields["readout"]
    if not isinstance(entries, list) or not entries or not all(isinstance(one, str) for one in entries):
        raise InvalidValue("novelty.readout", entries, "a list of texts")
    readout = fitting(parse_readout(entries), base)
    threshold = number("novelty.threshold", fields["threshold"], *THRESHOLDS)
    missing = [name for name in _NAMES if name not in tensors]
    if missing:
        raise AdapterMismatch(f"The adapter has no {missing[0]}. Export it again.")
    center, scale, directions = (tensors.pop(name).float() for name in _NAMES)
    width = len(readout) * base.embed_dim
    fits = center.shape == scale.shape == (width,) and directions.ndim == 2 and directions.shape[1] == width
    if not fits or not 1 <= len(directions) <= MAX_DIRECTIONS or not bool((scale > 0).all()):
        raise AdapterMismatch(
            f"The adapter's model of its training images does not have {width} features. Export it again."
        )
    return Novelty(readout, center, scale, directions, threshold)
