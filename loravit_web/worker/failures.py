"""Failures of runs: a message for the user, and the kind that determines the next step."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import torch

from loravit_web.backbones.base import UnsupportedBase
from loravit_web.backbones.embedded import EmbeddedBaseError
from loravit_web.backbones.loading import BaseUnavailable
from loravit_web.datasets.errors import DatasetError
from loravit_web.errors import LoraVitError
from loravit_web.images.loading import ImageError
from loravit_web.training.checkpoints import CheckpointNotSaved
from loravit_web.training.loop import TrainingDiverged
from registry import BlobNotStored, ErrorKind, RegistryError

DISK_FULL = "The disk is full. Free some space and resume the run."
TEMPORARY_FULL = (
    "No temporary file can be written. Free some space in the folder for temporary files (TMPDIR) and resume "
    "the run."
)
MEMORY_FULL = "The memory is full. Retry with half the batch size, or choose a smaller image size."

_KINDS: tuple[tuple[tuple[type[Exception], ...], ErrorKind], ...] = (
    ((TrainingDiverged,), "diverged"),
    ((BaseUnavailable, UnsupportedBase, EmbeddedBaseError), "base"),
    ((DatasetError, ImageError), "data"),
    ((CheckpointNotSaved, BlobNotStored), "disk"),
)
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_NAMES_THE_DISK = (CheckpointNotSaved, BlobNotStored)
# Messages of the system, SQLite, PostgreSQL, safetensors and torch for a full disk.
_DISK_WORDS = (
    "no space left",
    "disk quota exceeded",
    "disk is full",
    "disk full",
    "os error 28",
    "pytorchstreamwriter failed writing file",
    "unexpected pos",
)
_NO_TEMPORARY = "no usable temporary directory"
# Messages of torch, its allocators and the system; only CUDA's error has a class of its own.
_MEMORY_WORDS = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "out of memory",
    "alloc_failed",
    "bad allocation",
)


def describe_failure(error: Exception) -> tuple[ErrorKind, str]:
    """Return the kind and the message of a failure.

    Of a bug the message only names the class; the log has the rest.

    Args:
        error: Error that ended the run.
    """
    if not isinstance(error, _NAMES_THE_DISK) and any(map(_is_disk_full, _chain(error))):
        return "disk", DISK_FULL
    if any(_NO_TEMPORARY in str(cause).lower() for cause in _chain(error)):
        return "disk", TEMPORARY_FULL
    for classes, kind in _KINDS:
        if isinstance(error, classes) and isinstance(error, LoraVitError | RegistryError):
            return kind, error.in_public
    if isinstance(error, LoraVitError | RegistryError):
        return "other", error.in_public
    if _is_memory_full(error):
        return "memory", MEMORY_FULL
    name = type(error).__name__
    return (
        "other",
        f"The training failed with an unexpected error ({name}). See the worker's log for details.",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, because the message of a wrapper often hides a full disk."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _is_disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return True
    return any(word in str(error).lower() for word in _DISK_WORDS)


def _is_memory_full(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _MEMORY_WORDS)
