"""Why a run failed: one sentence for the person who started it, and the kind that decides the next step."""

from __future__ import annotations

import errno

import torch

from loravit_web.backbones.base import UnsupportedBase
from loravit_web.backbones.embedded import EmbeddedBaseError
from loravit_web.backbones.loading import BaseUnavailable
from loravit_web.datasets.errors import DatasetError
from loravit_web.errors import LoraVitError
from loravit_web.images import ImageError
from loravit_web.training.checkpoints import CheckpointNotSaved
from loravit_web.training.tracking import RegistrySilent
from loravit_web.training.trainer import TrainingDiverged
from registry import BlobNotStored, DatabaseNotWritable, ErrorKind, RegistryError

DISK_FULL = "The disk is full: free some space and resume the run."
MEMORY_FULL = "The memory is full: retry with half the batch, or choose a smaller image size."

_KINDS: tuple[tuple[tuple[type[Exception], ...], ErrorKind], ...] = (
    ((TrainingDiverged,), "diverged"),
    ((BaseUnavailable, UnsupportedBase, EmbeddedBaseError), "base"),
    ((DatasetError, ImageError), "data"),
    ((CheckpointNotSaved, BlobNotStored), "disk"),
)
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
# What torch, its allocators and the system say; only CUDA's has a class of its own.
_MEMORY_WORDS = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "out of memory",
    "alloc_failed",
    "bad allocation",
)


def cause_of(error: Exception) -> tuple[ErrorKind, str]:
    """Kind and sentence. Of a bug only the class is told: the rest is in the log."""
    for classes, kind in _KINDS:
        if isinstance(error, classes):
            return kind, str(error)
    if isinstance(error, DatabaseNotWritable | RegistrySilent) and "full" in str(error):
        return "disk", DISK_FULL
    if isinstance(error, LoraVitError | RegistryError):
        return "other", str(error)
    if _says_disk_full(error):
        return "disk", DISK_FULL
    if _says_memory_full(error):
        return "memory", MEMORY_FULL
    name = type(error).__name__
    return "other", f"The training hit an unexpected error ({name}): the worker's log has the details."


def _says_disk_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in _NO_SPACE
    return isinstance(error, RuntimeError) and "no space left" in str(error).lower()


def _says_memory_full(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _MEMORY_WORDS)
