"""Results of ``python -m benchmarks tasks``, one per task, size, seed and way, kept as JSON lines.

A row has the answer to every test image, so that two ways can be compared image by image.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch

_DIGITS = 4


class Key(NamedTuple):
    """What a row is the result of.

    Attributes:
        task: Name of the task.
        size: Number of training and validation images that was asked for.
        seed: Seed of the cell.
        way: Name of the way to learn.
    """

    task: str
    size: int
    seed: int
    way: str


@dataclass(frozen=True, eq=False)
class Outcome:
    """Result of learning one task in one way.

    Attributes:
        correct: Whether the answer to each test image is correct, bool (N,).
        scores: Probability of the answer to each test image, float (N,).
        seconds: Duration in seconds, from the image files to the answers to the test images.
        bytes: Size of the files to keep.
        first_answers: Seconds until there was a head to ask; None if the way has none before its end.
        is_below_probe: Whether it predicts the validation images worse than its own probe.
        map: Mean average precision on the test images for several labels per image, which takes the place of
            the answers; else None.
    """

    correct: torch.Tensor
    scores: torch.Tensor
    seconds: float
    bytes: int
    first_answers: float | None = None
    is_below_probe: bool = False
    map: float | None = None


@dataclass(frozen=True)
class Row:
    """An outcome as it is stored.

    Attributes:
        conditions: Precision and number of test images; only rows of the same conditions can be compared.
        task: See `Key`.
        size: See `Key`.
        seed: See `Key`.
        way: See `Key`.
        correct: A 1 for each test image that was answered correctly, else a 0.
        scores: Probability of each answer, 0 to 1.
        seconds: See `Outcome`.
        bytes: See `Outcome`.
        first_answers: See `Outcome`.
        is_below_probe: See `Outcome`.
        map: See `Outcome`.
    """

    conditions: str
    task: str
    size: int
    seed: int
    way: str
    correct: str
    scores: tuple[float, ...]
    seconds: float
    bytes: int
    first_answers: float | None
    is_below_probe: bool
    map: float | None = None

    @property
    def key(self) -> Key:
        """What it is the result of."""
        return Key(self.task, self.size, self.seed, self.way)

    @property
    def accuracy(self) -> float:
        """Accuracy on the test images, 0 to 1; for several labels the mean average precision."""
        if self.map is not None:
            return self.map
        return self.correct.count("1") / len(self.correct)


class RowsUnusable(Exception):
    """A file of rows that cannot be continued."""


def row_of(key: Key, conditions: str, outcome: Outcome) -> Row:
    """Return the row of an outcome."""
    return Row(
        conditions=conditions,
        **key._asdict(),
        correct="".join("1" if right else "0" for right in outcome.correct.tolist()),
        scores=tuple(round(score, _DIGITS) for score in outcome.scores.tolist()),
        seconds=round(outcome.seconds, 3),
        bytes=outcome.bytes,
        first_answers=None if outcome.first_answers is None else round(outcome.first_answers, 3),
        is_below_probe=outcome.is_below_probe,
        map=outcome.map,
    )


class RowFile:
    """A file of rows, one JSON document per line, that an interrupted run is continued from.

    Args:
        path: The file, or None to keep the rows in memory only.
        conditions: Conditions of this run.

    Raises:
        RowsUnusable: If the file has rows of other conditions, or is not such a file.
    """

    def __init__(self, path: Path | None, conditions: str) -> None:
        self.path, self.conditions = path, conditions
        self.rows: dict[Key, Row] = {}
        if path is None or not path.exists():
            return
        complete = path.read_text()
        complete = complete[: complete.rfind("\n") + 1]  # a killed run may leave half a line
        for line in complete.splitlines():
            row = _parsed(line, path)
            if row.conditions != conditions:
                raise RowsUnusable(
                    f"{path} was measured with {row.conditions}, this run with {conditions}. Name another "
                    "file."
                )
            self.rows[row.key] = row
        path.write_text(complete)

    def add(self, row: Row) -> None:
        """Keep a row, and append it to the file."""
        self.rows[row.key] = row
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")


def rows_of(rows: Sequence[Row], way: str, task: str) -> dict[tuple[int, int], Row]:
    """Return the rows of one way and task by size and seed."""
    return {(row.size, row.seed): row for row in rows if (row.way, row.task) == (way, task)}


def _parsed(line: str, path: Path) -> Row:
    try:
        fields = json.loads(line)
        return Row(**{**fields, "scores": tuple(fields["scores"])})
    except (ValueError, TypeError, KeyError) as error:
        raise RowsUnusable(f"{path} is not a file of this benchmark. Name another file.") from error
