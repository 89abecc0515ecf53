"""Counts and times of the answers of this process, for monitoring."""

from __future__ import annotations

import threading
from dataclasses import dataclass

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds in seconds by which answers are counted."""


@dataclass(frozen=True)
class Measured:
    """Answers since the start of the process.

    Attributes:
        answered: Number of answers.
        failed: Number of requests of a task that got no answer.
        seconds: Compute time of all branches in seconds.
        within: Number of answers by upper bound in seconds, each with those of smaller bounds.
    """

    answered: int
    failed: int
    seconds: float
    within: dict[float, int]


class AnswerMeasures:
    """Counter of answers. Thread-safe, and cheap enough for every answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answered = self._failed = 0
        self._seconds = 0.0
        self._within = dict.fromkeys(BOUNDS, 0)

    def count(self, milliseconds: float | None) -> None:
        """Count an answer by the time of its branch; ``milliseconds`` is None after an error."""
        with self._lock:
            if milliseconds is None:
                self._failed += 1
                return
            seconds = milliseconds / 1000
            self._answered += 1
            self._seconds += seconds
            for bound in BOUNDS:
                if seconds <= bound:
                    self._within[bound] += 1

    def measured(self) -> Measured:
        """Return the counts so far."""
        with self._lock:
            return Measured(self._answered, self._failed, self._seconds, dict(self._within))
