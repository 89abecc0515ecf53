"""Alembic's migrations. Each file starts with the schema revision that it makes."""

import functools
from pathlib import Path

FOLDER = Path(__file__).parent


@functools.cache
def revisions() -> tuple[str, ...]:
    """Return the revisions of all migrations, in order."""
    return tuple(sorted(file.name.partition("_")[0] for file in FOLDER.glob("versions/[0-9]*.py")))
