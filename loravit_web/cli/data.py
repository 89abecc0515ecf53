"""``data``: check data before it is imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from loravit_web.cli.choices import ClassesAt, NamesEncoding, classes_level, known_encoding
from loravit_web.cli.shell import AsJson, Document, current_settings, output, table

if TYPE_CHECKING:
    from loravit_web.datasets.check import Checked

SKIPPED_SHOWN = 20
"""Maximum number of skipped files that are listed."""

app = typer.Typer(help="Check data before it is imported.")


@app.callback()
def group() -> None:
    """Check data before it is imported."""


@app.command("check")
def check_data(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Folder, zip, CSV or sample:NAME.")],
    classes_at: ClassesAt = None,
    encoding: NamesEncoding = None,
    as_json: AsJson = False,
) -> None:
    """Show what an import would give: classes, what is left out, and what is taken for what.

    Nothing is stored. The exit code is 1 if an import would be refused.
    """
    from loravit_web.datasets.check import check
    from loravit_web.datasets.sources.archives import archive_limits
    from loravit_web.datasets.sources.opening import open_source

    limits = current_settings().limits
    opening = open_source(
        data, archive_limits(limits), classes_at=classes_level(classes_at), encoding=known_encoding(encoding)
    )
    checked = check(opening, limits)
    output(as_json, checked_document(checked), lambda: checked_text(checked))
    if checked.error is not None:
        if not as_json:
            print(f"error: {checked.error}", file=sys.stderr)
        raise typer.Exit(1)


def checked_document(checked: Checked) -> Document:
    """Return the result of a check as JSON-ready values."""
    return {
        "classes": [
            {"name": one.name, "train": one.train, "validation": one.validation, "test": one.test}
            for one in checked.classes
        ],
        "warnings": list(checked.warnings),
        "skipped": [{"path": entry.path, "reason": entry.reason} for entry in checked.skipped],
        "error": checked.error,
    }


def checked_text(checked: Checked) -> str:
    """Return the result of a check as text: effects first, then the classes and the skipped files."""
    document = checked_document(checked)
    lines = [f"warning: {warning}" for warning in checked.warnings]
    lines.append(table(document["classes"], ["name", "train", "validation", "test"], "No classes."))
    if checked.skipped:
        lines.append(f"{len(checked.skipped)} skipped:")
    lines += [f"  {entry.path}: {entry.reason}" for entry in checked.skipped[:SKIPPED_SHOWN]]
    if len(checked.skipped) > SKIPPED_SHOWN:
        lines.append(f"  and {len(checked.skipped) - SKIPPED_SHOWN} more")
    return "\n".join(lines)
