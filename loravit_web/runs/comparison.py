"""Runs side by side, as texts: settings that differ, and best metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from registry import ABSENT, Comparison

SHOWN = {
    "test.accuracy": "test accuracy",
    "validation.accuracy": "published validation accuracy",
    "val_accuracy.max": "best validation accuracy",
    "val_map.max": "best validation mAP",
    "linear_probe_accuracy.last": "probe",
    "test.macro_f1": "test macro F1",
    "val_loss.min": "min. validation loss",
    "train_loss.min": "min. training loss",
}
_LOWER_IS_BETTER = (".min",)
SHORT_DIGEST = 12
"""Number of characters of a SHA-256 that are shown."""


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """A row of a table.

    Attributes:
        name: Name of the setting or metric.
        cells: Text for each run.
        best: Indices of the runs with the best value.
    """

    name: str
    cells: tuple[str, ...]
    best: frozenset[int] = frozenset()


def setting_rows(comparison: Comparison) -> list[ComparedRow]:
    """Return a row for each setting that differs between the runs."""
    return [
        ComparedRow(row.key, tuple(_setting(row.key, value) for value in row.values))
        for row in comparison.settings
    ]


def best_rows(comparison: Comparison) -> list[ComparedRow]:
    """Return a row for each metric that is shown. With several runs, the best values are marked."""
    by_key = {row.key: row.values for row in comparison.metrics}
    return [_best_row(key, name, by_key[key]) for key, name in SHOWN.items() if key in by_key]


def _best_row(key: str, name: str, values: Sequence[Any]) -> ComparedRow:
    numbers = [value for value in values if value is not ABSENT]
    best: frozenset[int] = frozenset()
    if len(numbers) > 1 and min(numbers) != max(numbers):
        goal = min(numbers) if key.endswith(_LOWER_IS_BETTER) else max(numbers)
        best = frozenset(index for index, value in enumerate(values) if value == goal)
    percent = "accuracy" in key
    cells = tuple(
        "–" if value is ABSENT else f"{value:.1%}" if percent else f"{value:.4g}" for value in values
    )
    return ComparedRow(name, cells, best)


def _setting(key: str, value: Any) -> str:
    if value is ABSENT:
        return "–"
    if value is None:
        return "none"
    if key.endswith(("sha256", "fingerprint")):
        return str(value)[:SHORT_DIGEST]
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
