"""The start of the shell: commands that need only the registry, beside importing its three libraries."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.support.homes import open_registry
from benchmarks.support.report import Figure, at_most, show, spread
from loravit_web.access.actions import UserActions
from loravit_web.access.rights import SHELL

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("-c", "import sqlalchemy, alembic, typer")
COMMANDS = ("users list", "adapters list", "runs list", "--help")
TARGET = 2.0
"""Of ``users list`` on a registry that exists, over importing the libraries."""
USERS = 5


def run(arguments: list[str]) -> int:
    """``python -m benchmarks shell``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks shell")
    parser.add_argument("--rounds", type=int, default=10, help="runs of each command (default 10)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        _fill(home)
        measured = _in_turn(home, options.rounds)
    libraries = measured.pop(LIBRARIES)
    middle = statistics.median(libraries)
    figures = [Figure("import the libraries", f"{middle:.2f} s", note=spread(libraries, " s"))]
    for words, seconds in measured.items():
        name, ratio = " ".join(words[2:]), statistics.median(seconds) / middle
        figures.append(Figure(name, f"{statistics.median(seconds):.2f} s", note=spread(seconds, " s")))
        if name == COMMANDS[0]:
            figures.append(at_most(f"{name} / libraries", ratio, TARGET, "x"))
    return show("start of the shell, each command in a process of its own", figures)


def _fill(home: Path) -> None:
    """Make a registry with some users."""
    with open_registry(home) as registry:
        people = UserActions(registry, SHELL)
        for number in range(USERS):
            people.add(f"user-{number}", "a long enough password", "viewer")


def _in_turn(home: Path, rounds: int) -> dict[Sequence[str], list[float]]:
    """Return the seconds of each command, run in turn; the first round fills the caches and is left out."""
    commands = [LIBRARIES, *(("-m", "loravit_web", *words.split()) for words in COMMANDS)]
    environment = {**os.environ, "LORAVIT_HOME": str(home)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages are compiled, so this one is too
    measured: dict[Sequence[str], list[float]] = {command: [] for command in commands}
    for number in range(rounds + 1):
        for command in commands:
            started = time.perf_counter()
            subprocess.run(
                [sys.executable, *command],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=True,
            )
            if number:
                measured[command].append(time.perf_counter() - started)
    return measured
