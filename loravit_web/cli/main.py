"""The app of all commands, and errors as exit codes.

0: done. 1: failed, with ``error: …`` on stderr in one line. 2: invalid command or options.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from loravit_web.cli import (
    adapters,
    adapters_exchange,
    bases,
    compare,
    data,
    predict,
    runs,
    server,
    train,
    users,
)
from loravit_web.errors import LoraVitError
from loravit_web.settings.logs import set_up_logs
from registry import RegistryError

PROGRAM = "loravit"
NOISY_LOGGERS = ("httpx", "alembic", "timm", "aiobotocore", "botocore")


class Commands(TyperGroup):
    """All commands. Errors for users end them with exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name.

        Args:
            ctx: Context of Click.

        Raises:
            typer.Exit: With code 1, after an error was printed.
        """
        try:
            return super().invoke(ctx)
        except (LoraVitError, RegistryError) as error:
            sentence = str(error)
        except KeyboardInterrupt:
            sentence = "Stopped."
        print(f"error: {sentence}", file=sys.stderr)
        raise typer.Exit(1)


# Without completion, because --install-completion would edit the shell profile of a user who may run this
# command from a clone only.
app = typer.Typer(
    cls=Commands,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)
for command in (
    train.train,
    train.sweep,
    predict.predict,
    adapters_exchange.export,
    compare.compare,
    server.serve,
    server.worker,
    server.workers,
    server.doctor,
    server.backup,
    server.restore,
):
    app.command()(command)
app.add_typer(adapters.app, name="adapters")
app.add_typer(bases.app, name="bases")
app.add_typer(server.cluster, name="cluster")
app.add_typer(data.app, name="data")
app.add_typer(runs.app, name="runs")
app.add_typer(users.app, name="users")


@app.callback()
def prepare() -> None:
    """Train image classifiers, use them, and manage the registry of a data folder.

    With --json a command prints exactly one JSON document to stdout. Progress and notes go to stderr.
    Exit codes: 0 if done, 1 after an error, 2 if the command or an option is invalid.
    """
    set_up_logs(os.environ)
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def main(arguments: Sequence[str], program: str = PROGRAM) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: Arguments after the name of the program.
        program: Name of the program in help texts and errors.
    """
    try:
        typer.main.get_command(app).main(list(arguments), prog_name=program)
    except SystemExit as ended:
        if isinstance(ended.code, int):
            return ended.code
        raise
    return 0
