"""Where a run stands after an epoch, in one safetensors file that is replaced as a whole."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from loravit_web.errors import LoraVitError

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class CheckpointNotSaved(LoraVitError):
    """A checkpoint can't be written; the one before it stays."""


class CheckpointError(LoraVitError):
    """A checkpoint can't be continued from."""


@dataclass
class Standing:
    """How far a training loop is.

    Attributes:
        epoch: epochs done.
        best_epoch, best_accuracy, best_loss: on the validation images; epoch 0 means none yet.
        seconds: spent so far, pauses not counted.
        curve: what each epoch measured.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = math.inf
    seconds: float = 0.0
    curve: dict[int, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Standing:
        """What `dataclasses.asdict` and JSON made of one."""
        return cls(**{**data, "curve": {int(epoch): values for epoch, values in data["curve"].items()}})


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a training loop between two epochs.

    Attributes:
        parameters: current values of what is trained.
        best: their values at the best epoch so far.
        moments: AdamW's state for each parameter.
        dtype: the precision that the loop computes in; another one would not continue the same curve.
        standing: how far the loop is.
    """

    parameters: Sequence[torch.Tensor]
    best: Sequence[torch.Tensor]
    moments: Sequence[Mapping[str, torch.Tensor]]
    dtype: torch.dtype
    standing: Standing


def save_checkpoint(path: Path, checkpoint: Checkpoint, *, identity: str) -> None:
    """Write a checkpoint; a crash leaves the previous one.

    Args:
        identity: of the run's recipe, data and base; only the same identity may continue from it.
    """
    tensors: dict[str, torch.Tensor] = {}
    for i, (current, best, moments) in enumerate(
        zip(checkpoint.parameters, checkpoint.best, checkpoint.moments, strict=True)
    ):
        tensors[f"parameter.{i}"] = current.detach().clone()
        tensors[f"best.{i}"] = best.detach().clone()
        tensors.update({f"{name}.{i}": moments[name].clone() for name in _MOMENTS})
    document = {
        "identity": identity,
        "dtype": str(checkpoint.dtype).removeprefix("torch."),
        "standing": asdict(checkpoint.standing),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    try:
        save_file(tensors, temporary, metadata={"checkpoint": json.dumps(document)})
        with temporary.open("r+b") as file:  # after a power cut the new name must not stand for nothing
            os.fsync(file.fileno())
        temporary.replace(path)
    except (SafetensorError, OSError) as error:
        with contextlib.suppress(OSError):  # a disk that refuses this too must not hide the reason
            temporary.unlink()
        raise CheckpointNotSaved(
            f"The run's checkpoint could not be written ({_said(error)}): {_remedy(error)} and resume "
            "the run."
        ) from error


def _said(error: Exception) -> str:
    """What the system said, without the path that it adds."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _remedy(error: Exception) -> str:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "free some space" if full or "space" in str(error).lower() else "mend that"


def load_checkpoint(path: Path, *, identity: str) -> Checkpoint | None:
    """Read a checkpoint back; None where there is none.

    Raises:
        CheckpointError: if the file is damaged or belongs to another recipe, dataset or base.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            document = json.loads((file.metadata() or {})["checkpoint"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        if document["identity"] != identity:
            raise CheckpointError(
                "The run's checkpoint belongs to other data or another base: start the training again."
            )
        count = sum(key.startswith("parameter.") for key in tensors)
        return Checkpoint(
            parameters=[tensors[f"parameter.{i}"] for i in range(count)],
            best=[tensors[f"best.{i}"] for i in range(count)],
            moments=[{name: tensors[f"{name}.{i}"] for name in _MOMENTS} for i in range(count)],
            dtype=_PRECISIONS[document["dtype"]],
            standing=Standing.from_json(document["standing"]),
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            "The run's checkpoint is damaged: start the training again instead of resuming."
        ) from error
