"""Tensors of a safetensors file as NumPy arrays, so that the runtime needs no other package."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from loravit_web.runtime.layout import ExportDamaged

Array = np.ndarray[Any, np.dtype[np.float32]]
_TYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}
_LENGTH = 8


def read_tensors(data: bytes, name: str) -> dict[str, Array]:
    """Return the tensors of a safetensors file in float32 by name.

    Args:
        data: Bytes of the file.
        name: Name of the file in errors.

    Raises:
        ExportDamaged: If the file is damaged, or has numbers of another kind or that are not finite.
    """
    try:
        end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
        header = json.loads(data[_LENGTH:end])
        header.pop("__metadata__", None)
        tensors = {str(key): _tensor(data[end:], entry) for key, entry in header.items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise ExportDamaged(
            f"{name} is damaged, or is not a safetensors file. Export the task again."
        ) from error
    if not all(bool(np.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ExportDamaged(f"{name} has numbers that are not finite. Train and export the task again.")
    return tensors


def _tensor(body: bytes, entry: dict[str, Any]) -> Array:
    kind, shape, (start, stop) = _TYPES[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
    if not 0 <= start <= stop <= len(body) or stop - start != math.prod(shape) * kind.itemsize:
        raise ValueError("a tensor does not have the size of its shape")
    values = np.frombuffer(body[start:stop], dtype=kind).reshape(shape)
    if entry["dtype"] == "BF16":  # the upper half of a float32
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(values, dtype=np.float32)
