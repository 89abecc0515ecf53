"""Each failure has its own kind and message."""

from __future__ import annotations

import errno

import pytest
import torch
from safetensors import SafetensorError

from loravit_web.backbones.base import UnsupportedBase
from loravit_web.backbones.loading import BaseUnavailable
from loravit_web.datasets.errors import DatasetNotFound
from loravit_web.training.checkpoints import CheckpointError, CheckpointNotSaved
from loravit_web.training.loop import TrainingDiverged
from loravit_web.training.recipe import RecipeError
from loravit_web.worker.failures import DISK_FULL, MEMORY_FULL, TEMPORARY_FULL, describe_failure
from loravit_web.worker.tracking import RegistryUnwritable
from registry import BlobNotStored, DatabaseNotWritable


def wrapped(error: Exception) -> Exception:
    """Return an error that was raised because the disk is full."""
    error.__cause__ = ValueError("while writing")
    error.__cause__.__context__ = OSError(errno.ENOSPC, "No space left on device")
    return error


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk", DISK_FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk", DISK_FULL),
        (RuntimeError("unable to write: No space left on device"), "disk", DISK_FULL),
        (DatabaseNotWritable("database or disk is full"), "disk", DISK_FULL),
        (RegistryUnwritable("Not written for 5 minutes (disk is full)."), "disk", DISK_FULL),
        (RegistryUnwritable("Not written for 5 minutes (locked)."), "other", "Not written"),
        (
            RuntimeError("inline_container.cc:603] . unexpected pos 64 vs 0"),
            "disk",
            DISK_FULL,
        ),
        (
            RuntimeError("PytorchStreamWriter failed writing file data/0: failed"),
            "disk",
            DISK_FULL,
        ),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "disk", DISK_FULL),
        (DatabaseNotWritable('could not extend file "base/1": No space left on device'), "disk", DISK_FULL),
        (wrapped(BaseUnavailable("The base can't be stored.")), "disk", DISK_FULL),
        (wrapped(DatasetNotFound("No such data.")), "disk", DISK_FULL),
        (wrapped(RuntimeError("failed")), "disk", DISK_FULL),
        (wrapped(CheckpointNotSaved("Not written.")), "disk", "Not written."),
        (FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"), "disk", TEMPORARY_FULL),
        (CheckpointNotSaved("Not written."), "disk", "Not written."),
        (BlobNotStored("/data", "No space left on device"), "disk", "The disk is full, so no file"),  # type: ignore[arg-type]
        (MemoryError(), "memory", MEMORY_FULL),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory", MEMORY_FULL),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), "memory", MEMORY_FULL),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "memory", MEMORY_FULL),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), "memory", MEMORY_FULL),
        (RuntimeError("unable to mmap 9 bytes: Cannot allocate memory (12)"), "memory", MEMORY_FULL),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory", MEMORY_FULL),
        (BaseUnavailable("The hub is away."), "base", "The hub is away."),
        (UnsupportedBase("No ViT."), "base", "No ViT."),
        (DatasetNotFound("No such data."), "data", "No such data."),
        (TrainingDiverged("NaN at step 3."), "diverged", "NaN at step 3."),
        (CheckpointError("Damaged."), "other", "Damaged."),
        (RecipeError("Rank 0."), "other", "Rank 0."),
        (DatabaseNotWritable("database is locked"), "other", "The registry could not save"),
        (
            RuntimeError("shapes cannot be multiplied"),
            "other",
            "The training failed with an unexpected error",
        ),
        (OSError(errno.EACCES, "Permission denied"), "other", "The training failed with an unexpected error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_failure_has_its_kind_and_message(error: Exception, kind: str, sentence: str) -> None:
    found, told = describe_failure(error)
    assert found == kind
    assert told.startswith(sentence)
