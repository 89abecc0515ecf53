"""What the commands share: the registry and the service they work on, and output as text or JSON."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loravit_web.errors import LoraVitError
from loravit_web.settings.environment import Settings, read_settings
from loravit_web.util.console import progress_printer
from loravit_web.util.files import write_atomic
from loravit_web.worker.reaper import reap_once
from registry import Registry

if TYPE_CHECKING:
    from loravit_web.service import Service

Document = dict[str, Any]
DeviceName = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", help="Device: auto, cpu, cuda, cuda:N or mps."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


class CommandFailed(LoraVitError):
    """A command that ended without a result."""


def current_settings(*, device: str | None = None) -> Settings:
    """Return the settings of the environment.

    Args:
        device: Device to use instead of that of the environment.

    Raises:
        SettingsError: If an environment variable is invalid.
    """
    return read_settings(os.environ if device is None else {**os.environ, "LORAVIT_DEVICE": device})


def open_registry() -> Registry:
    """Open the registry of the data folder, which the caller closes.

    Raises:
        SettingsError: If an environment variable is invalid.
        RegistryError: If the database or the store cannot be used.
    """
    settings = current_settings().ensure_home()
    return Registry.open(settings.database_url, settings.artifacts, cache=settings.artifact_cache)


@contextmanager
def open_runs() -> Iterator[Registry]:
    """Open the registry, and mark runs of ended processes as interrupted."""
    with open_registry() as registry:
        reap_once(registry, take_ups=current_settings().take_ups)
        yield registry


def open_service(*, base: str | None = None, device: str | None = None) -> AbstractContextManager[Service]:
    """Open the service for training and predictions. Its import takes seconds.

    Args:
        base: Base to use instead of the configured one.
        device: Device to use instead of that of the environment.
    """
    from loravit_web.service import Service

    settings = current_settings(device=device)
    if base:
        settings = replace(settings, base=base)
    return closing(Service(settings, progress=progress_printer()))


def refuse_together(*options: str) -> None:
    """End the command with exit code 2, because options exclude each other.

    Raises:
        typer.BadParameter: Always.
    """
    raise typer.BadParameter("use only one of them.", param_hint=list(options))


def output(as_json: bool, document: Any, text: Callable[[], str]) -> None:
    """Print the document if ``--json`` is set, else the text."""
    print(json_text(document) if as_json else text(), flush=True)


def not_yet(consequences: Sequence[str]) -> str:
    """Return what a deletion would do as text, and how to carry it out."""
    return "\n".join([*consequences, "Nothing is deleted yet. Add --yes to delete it."])


def note(text: str) -> None:
    """Print a note to stderr, because stdout only contains the result."""
    print(f"note: {text}", file=sys.stderr)


def note_page(page: int, pages: int, total: int, things: str) -> None:
    """Print a note if a list has more pages."""
    if pages > 1:
        note(f"page {page} of {pages}, {total:,} {things} in total. Use --page and --limit to see the rest.")


def write_file(path: Path, data: bytes) -> None:
    """Write a file atomically, so that readers never see a part of it.

    Raises:
        CommandFailed: If the file cannot be written.
    """
    try:
        write_atomic(path, data)
    except OSError as error:
        raise CommandFailed(
            f"{path} cannot be written ({error.strerror or error}). Choose another file."
        ) from error


def json_text(document: Any) -> str:
    """Return a JSON document. NaN and infinity become strings, because JSON has no such numbers."""
    return json.dumps(_plain(document), ensure_ascii=False, indent=2)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> str:
    """Return rows as aligned text.

    Args:
        rows: Values by column.
        columns: Columns to show, in this order.
        empty: Text if there are no rows.
    """
    if not rows:
        return empty
    cells = [list(columns)] + [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def details(document: Mapping[str, Any]) -> str:
    """Return a document as lines of ``name: value``, without empty values."""
    lines = []
    for key, value in document.items():
        if value is None or value == "":
            continue
        shown = (
            json.dumps(_plain(value), ensure_ascii=False) if isinstance(value, dict | list) else _cell(value)
        )
        lines.append(f"{key.replace('_', ' ')}: {shown}")
    return "\n".join(lines)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
