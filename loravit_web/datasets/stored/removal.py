"""Removal of stored datasets, of one person's import, and of what interrupted imports and removals left."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

from loravit_web.datasets.stored.disk import deleting_failed, last_write
from loravit_web.datasets.stored.imports import named, read_imports, remove_import
from loravit_web.datasets.stored.manifest import read_manifest, write_manifest

TEMP_PREFIX = ".import-"
"""Prefix of the folders of unfinished imports."""
REMOVED_PREFIX = f"{TEMP_PREFIX}removed-"


def delete_folder(folder: Path) -> None:
    """Delete the folder of a dataset. If the process is killed, `sweep` completes the deletion.

    Raises:
        StoreUnwritable: If the images cannot be deleted.
    """
    removed = folder.with_name(f"{REMOVED_PREFIX}{uuid4().hex}")
    try:
        folder.rename(removed)
        shutil.rmtree(removed)
    except FileNotFoundError:
        return  # another process removes it
    except OSError as error:
        raise deleting_failed(error) from error


def delete_import(folder: Path, importer: str) -> None:
    """Delete a person's import of a dataset. The images are deleted with the last import.

    Args:
        folder: Folder of the dataset.
        importer: Name of the person.

    Raises:
        DatasetDamaged: If the dataset is damaged.
        StoreUnwritable: If it cannot be deleted.
    """
    others = [record for record in read_imports(folder) if record.importer != importer]
    if not others:
        delete_folder(folder)
        return
    try:
        # the manifest has the names of the first import, which may be this one
        write_manifest(named(read_manifest(folder, folder.name), others[0]), folder)
        remove_import(folder, importer)
    except OSError as error:
        raise deleting_failed(error) from error


def sweep(root: Path, limit: float) -> int:
    """Remove the remains of interrupted imports and removals, and return the number of removed folders.

    Args:
        root: Folder of all datasets.
        limit: Time in seconds since the epoch; an import that was not written since then counts as
            interrupted.
    """
    abandoned = [
        temp
        for temp in root.glob(f"{TEMP_PREFIX}*")
        if temp.name.startswith(REMOVED_PREFIX) or last_write(temp) < limit
    ]
    for temp in abandoned:
        shutil.rmtree(temp, ignore_errors=True)
    return len(abandoned)
