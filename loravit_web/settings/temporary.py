"""Check of the folder for temporary files, which another user of the machine may own."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from loravit_web.errors import LoraVitError


class TemporaryFolderUnusable(LoraVitError):
    """A folder of temporary files that the app cannot use."""


def check_temporary_folder(parent: Path) -> None:
    """Create a folder for temporary files unless it exists, and check that it can be written.

    Raises:
        TemporaryFolderUnusable: If it cannot be created or written.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        probe = Path(tempfile.mkdtemp(prefix=".check-", dir=parent))
    except OSError as error:
        raise unusable(parent, error) from error
    with suppress(OSError):
        probe.rmdir()


def unusable(parent: Path, error: OSError) -> TemporaryFolderUnusable:
    """Return the error for a folder of temporary files in which nothing can be created."""
    reason = (error.strerror or "unknown reason").lower()
    return TemporaryFolderUnusable(
        f"The folder for temporary files, {parent}, cannot be written ({reason}). Set GRADIO_TEMP_DIR to a "
        "folder of your own."
    )
