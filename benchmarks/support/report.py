"""Targets and figures as a table, with the machine they were measured on."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Figure:
    """One measurement; ``met`` is None where it has no target, ``note`` tells its spread."""

    name: str
    value: str
    target: str = ""
    met: bool | None = None
    note: str = ""


def at_most(name: str, value: float, target: float, unit: str = "", note: str = "") -> Figure:
    """A figure that should be small."""
    return Figure(name, f"{_short(value)}{unit}", f"at most {target:g}{unit}", value <= target, note)


def at_least(name: str, value: float, target: float, unit: str = "", note: str = "") -> Figure:
    """A figure that should be large."""
    return Figure(name, f"{_short(value)}{unit}", f"at least {target:g}{unit}", value >= target, note)


def spread(values: Sequence[float], unit: str = "") -> str:
    """Quartiles and extremes in words."""
    if len(values) < 2:
        return ""
    low, _middle, high = statistics.quantiles(values, n=4, method="inclusive")
    lowest, highest = min(values), max(values)
    return f"quartiles {_short(low)}..{_short(high)}{unit}, all {_short(lowest)}..{_short(highest)}{unit}"


def show(title: str, figures: Sequence[Figure]) -> int:
    """Print a table; returns 1 when a target is missed, else 0."""
    print(f"\n{title}\n{machine()}\n")
    width = max(len(figure.name) for figure in figures)
    value = max(10, *(len(figure.value) for figure in figures))
    for figure in figures:
        mark = {True: "met", False: "MISSED", None: ""}[figure.met]
        line = f"  {figure.name:{width}}  {figure.value:>{value}}  {figure.target:20} {mark:6}  {figure.note}"
        print(line.rstrip())
    return int(any(figure.met is False for figure in figures))


def save(path: Path | None, title: str, figures: Sequence[Figure], **measured: Any) -> None:
    """Write the figures, and what they were made from, as JSON; nothing where no path is given."""
    if path is not None:
        rows = [asdict(figure) for figure in figures]
        document = {"title": title, "machine": machine(), "figures": rows, **measured}
        path.write_text(json.dumps(document, indent=2) + "\n")


def machine() -> str:
    """Date, processor, cores and torch in one line."""
    today = datetime.now(timezone.utc).date()
    return f"{today}, {_processor()}, {os.cpu_count()} cores, torch {torch.__version__}"


def _short(value: float) -> str:
    """Three digits, but every one before the point."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123 - a kernel file
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
