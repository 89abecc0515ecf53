"""Alembic's migrations, one file for each revision of the schema, which it begins with."""

import functools
from pathlib import Path

FOLDER = Path(__file__).parent


@functools.cache
def revisions() -> tuple[str, ...]:
    """Of all migrations, in order."""
    return tuple(sorted(file.name.partition("_")[0] for file in FOLDER.glob("versions/[0-9]*.py")))
