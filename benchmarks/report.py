"""Targets and figures as a table, with the machine they were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import datetime, timezone

import torch


@dataclass(frozen=True)
class Figure:
    """One measurement; ``met`` is None where it has no target."""

    name: str
    value: str
    target: str = ""
    met: bool | None = None


def at_most(name: str, value: float, target: float, unit: str = "") -> Figure:
    """A figure that should be small."""
    return Figure(name, f"{value:.3g}{unit}", f"at most {target:g}{unit}", value <= target)


def at_least(name: str, value: float, target: float, unit: str = "") -> Figure:
    """A figure that should be large."""
    return Figure(name, f"{value:.3g}{unit}", f"at least {target:g}{unit}", value >= target)


def show(title: str, figures: list[Figure]) -> int:
    """Print a table; returns 1 when a target is missed, else 0."""
    print(f"\n{title}\n{machine()}\n")
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        mark = {True: "met", False: "MISSED", None: ""}[figure.met]
        print(f"  {figure.name:{width}}  {figure.value:>10}  {figure.target:20} {mark}")
    return int(any(figure.met is False for figure in figures))


def machine() -> str:
    """Date, processor, cores and torch in one line."""
    today = datetime.now(timezone.utc).date()
    return f"{today}, {_processor()}, {os.cpu_count()} cores, torch {torch.__version__}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123 - a kernel file
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
