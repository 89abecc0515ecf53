"""Checkpoints: the state of a run after an epoch, in a safetensors file that is replaced atomically."""

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
    """A checkpoint that cannot be written; the previous one is kept."""


class CheckpointError(LoraVitError):
    """A checkpoint from which the training cannot continue."""


@dataclass
class TrainingState:
    """Progress of a training loop.

    Attributes:
        epoch: Number of completed epochs.
        best_epoch: Epoch with the best validation so far, from 1; 0 if there is none yet.
        best_loss: Calibrated loss on the validation split at the best epoch.
        seconds: Training time so far in seconds, without pauses.
        averaged: Number of steps in the mean of the parameters.
        curve: Metrics of each epoch.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    seconds: float = 0.0
    averaged: int = 0
    curve: dict[int, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainingState:
        """Return the progress from the JSON form of `dataclasses.asdict`."""
        return cls(**{**data, "curve": {int(epoch): values for epoch, values in data["curve"].items()}})


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """State of a training loop between two epochs.

    Attributes:
        parameters: Current values of the trained parameters.
        best: Their values at the best epoch so far.
        mean: Their mean over the last steps; empty if there is none yet.
        moments: State of AdamW for each parameter.
        dtype: Precision of the computation; another one would not continue the same curve.
        state: Progress of the loop.
    """

    parameters: Sequence[torch.Tensor]
    best: Sequence[torch.Tensor]
    mean: Sequence[torch.Tensor]
    moments: Sequence[Mapping[str, torch.Tensor]]
    dtype: torch.dtype
    state: TrainingState


def save_checkpoint(path: Path, checkpoint: Checkpoint, *, identity: str) -> None:
    """Write a checkpoint atomically: a crash leaves the previous one.

    Args:
        path: File to write.
        checkpoint: Checkpoint to write.
        identity: Hash of the run's recipe, data and base. Only a training with the same identity can
            continue.

    Raises:
        CheckpointNotSaved: If the file cannot be written.
    """
    tensors: dict[str, torch.Tensor] = {}
    for i, (current, best, moments) in enumerate(
        zip(checkpoint.parameters, checkpoint.best, checkpoint.moments, strict=True)
    ):
        tensors[f"parameter.{i}"] = current.detach().cpu().clone()
        tensors[f"best.{i}"] = best.detach().cpu().clone()
        tensors.update({f"{name}.{i}": moments[name].cpu().clone() for name in _MOMENTS})
    tensors.update({f"mean.{i}": mean.cpu().clone() for i, mean in enumerate(checkpoint.mean)})
    document = {
        "identity": identity,
        "dtype": str(checkpoint.dtype).removeprefix("torch."),
        "standing": asdict(checkpoint.state),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    try:
        save_file(tensors, temporary, metadata={"checkpoint": json.dumps(document)})
        with temporary.open("r+b") as file:  # so that the renamed file is not empty after a power failure
            os.fsync(file.fileno())
        temporary.replace(path)
    except (SafetensorError, OSError) as error:
        with contextlib.suppress(OSError):  # a second error must not hide the first
            temporary.unlink()
        raise CheckpointNotSaved(
            f"The checkpoint of the run could not be written ({_reason(error)}). {_remedy(error)}, and "
            "resume the run."
        ) from error


def _reason(error: Exception) -> str:
    """Return the message of a system error without its path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _remedy(error: Exception) -> str:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "Free some space" if full or "space" in str(error).lower() else "Solve this problem"


def load_checkpoint(path: Path, *, identity: str) -> Checkpoint | None:
    """Read a checkpoint.

    Args:
        path: File to read.
        identity: Hash of the run's recipe, data and base.

    Returns:
        The checkpoint, or None if the file does not exist.

    Raises:
        CheckpointError: If the file is damaged or belongs to another recipe, dataset or base.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            document = json.loads((file.metadata() or {})["checkpoint"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        if document["identity"] != identity:
            raise CheckpointError(
                "The checkpoint belongs to another recipe, dataset or base. Start the training again."
            )
        count = sum(key.startswith("parameter.") for key in tensors)
        return Checkpoint(
            parameters=[tensors[f"parameter.{i}"] for i in range(count)],
            best=[tensors[f"best.{i}"] for i in range(count)],
            mean=[tensors[f"mean.{i}"] for i in range(count) if f"mean.{i}" in tensors],
            moments=[{name: tensors[f"{name}.{i}"] for name in _MOMENTS} for i in range(count)],
            dtype=_PRECISIONS[document["dtype"]],
            state=TrainingState.from_json(document["standing"]),
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            "The checkpoint of the run is damaged. Start the training again instead of resuming it."
        ) from error
