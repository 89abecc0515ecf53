"""Choices that were measured on this machine, remembered from one start to the next.

A measurement at a start takes up to a second, and another program that computes at that moment can mislead
it. So a choice is remembered as soon as two measurements in a row agree, and measured at each start until
then.
"""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

import torch

from loravit_web.backbones.base import Base
from loravit_web.util.files import write_atomic

MAX_CHOICES = 64
"""Number of choices that are kept, the newest ones."""
ENGINE_FOR = "blocks of "
"""Start of the keys under which is kept what computes the blocks of some images."""
_AGREEING = 2
_LOG = logging.getLogger(__name__)


class Remembers(Protocol):
    """Keeps what was chosen by measurements."""

    def choose(self, what: str, base: Base, choices: Collection[str], measure: Callable[[], str]) -> str:
        """Return a remembered choice, or measure.

        Args:
            what: What is chosen, and everything besides machine and base that it depends on.
            base: Base that is measured.
            choices: The possible choices.
            measure: Measures, and returns one of them.
        """


class NothingRemembered:
    """Measures each time."""

    def choose(self, what: str, base: Base, choices: Collection[str], measure: Callable[[], str]) -> str:
        """Return the result of a measurement; see `Remembers`."""
        return measure()


class RememberedChoices:
    """Choices in a file of the data folder, which is safe to delete.

    Args:
        path: The file. One that cannot be read is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def choose(self, what: str, base: Base, choices: Collection[str], measure: Callable[[], str]) -> str:
        """Return a choice on which two measurements in a row agreed, or measure; see `Remembers`."""
        key = f"{what}; {base.architecture} {base.weights_sha256[:12]}; {this_machine(base.device)}"
        before = self._read().get(key, [])
        if len(before) == _AGREEING and len(set(before)) == 1 and before[0] in choices:
            return before[0]
        chosen = measure()
        known = self._read()  # another process may have added some meanwhile
        known.pop(key, None)
        known[key] = [*before, chosen][-_AGREEING:]
        self._write(dict(list(known.items())[-MAX_CHOICES:]))
        return chosen

    def chosen(self, start: str) -> list[tuple[str, str]]:
        """Return what was chosen last on this machine, by keys that begin with some text, sorted.

        Args:
            start: Start of `choose`'s ``what``; the rest of it is returned with the choice.
        """
        machine = this_machine(torch.device("cpu"))
        found = [(key, results) for key, results in self._read().items() if key.startswith(start) and results]
        mine = [(key, results) for key, results in found if key.endswith(machine)]
        return sorted((key.removeprefix(start).partition(";")[0], results[-1]) for key, results in mine)

    def _write(self, known: dict[str, list[str]]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self.path, json.dumps(known, indent=1).encode())
        except OSError as error:
            _LOG.warning(
                "%s cannot be written (%s). The next start measures again.", self.path, error.strerror
            )

    def _read(self) -> dict[str, list[str]]:
        try:
            found = json.loads(self.path.read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        valid = isinstance(found, dict) and all(isinstance(results, list) for results in found.values())
        return found if valid else {}


def this_machine(device: torch.device) -> str:
    """Return what a measurement depends on: processor, cores, torch, and the device's name if it is a GPU."""
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{_processor()} {capability}, {torch.get_num_threads()} cores; {named}; torch {torch.__version__}"


def _processor() -> str:
    """Return the name of the processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
