"""Limits on what visitors of a demo may store: per visitor, and for all visitors together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from loravit_web.datasets import DatasetStore, Uploader
from loravit_web.errors import LoraVitError
from loravit_web.settings.modes import DemoRules
from loravit_web.settings.quota import MIB, used


class AllowanceExceeded(LoraVitError):
    """A visitor, or all visitors together, reached the limit of stored data."""


@dataclass
class _Import:
    """An import that is running, or that ended while others were running.

    Attributes:
        uploader: Visitor who imports.
        size: Bytes stored so far; 0 after a failure.
        begun: Position in the order in which imports began.
        ended: Number of imports that had begun when it ended; None while it runs.
    """

    uploader: Uploader
    size: int
    begun: int
    ended: int | None = None


class Allowances:
    """Counter of the data that visitors are storing. Thread-safe.

    Args:
        datasets: Store with all datasets.
        rules: Limits of the demo.
    """

    def __init__(self, datasets: DatasetStore, rules: DemoRules) -> None:
        self._datasets, self._rules = datasets, rules
        self._lock = threading.Lock()
        self._imports: list[_Import] = []
        self._begun = 0

    @contextmanager
    def importing(self, uploader: Uploader) -> Iterator[_Counter]:
        """Count an import of a visitor; the yielded function is called with the size of everything stored.

        Raises:
            AllowanceExceeded: If the visitor has the maximum number of datasets, or as soon as the bytes
                exceed a limit.
        """
        with self._lock:
            own, total = self._stored(uploader)
            self._begun += 1
            current = _Import(uploader, 0, self._begun)
            self._imports.append(current)
        count = _Counter(self, current, own, total)
        try:
            count(0)
            yield count
        except BaseException:
            current.size = 0
            raise
        finally:
            with self._lock:
                current.ended = self._begun
                if all(other.ended is not None for other in self._imports):
                    self._imports.clear()

    def _stored(self, uploader: Uploader) -> tuple[int, int]:
        """Return the stored bytes of this visitor and of all visitors."""
        uploaders = self._datasets.uploaders()
        own = [fingerprint for fingerprint, other in uploaders.items() if uploader.is_same(other)]
        if len(own) >= self._rules.datasets:
            raise AllowanceExceeded(
                f"You have the maximum of {self._rules.datasets} datasets of this demo. Wait until one is "
                f"deleted, {self._rules.hours:g} hours after its last use."
            )
        root = self._datasets.root
        return used(*(root / other for other in own)), used(*(root / other for other in uploaders))

    def _check(self, current: _Import, own: int, total: int) -> None:
        with self._lock:
            # Imports that ended after this one began were not on disk when its stored bytes were counted.
            concurrent = [
                other for other in self._imports if other.ended is None or other.ended >= current.begun
            ]
            own += sum(other.size for other in concurrent if other.uploader.is_same(current.uploader))
            total += sum(other.size for other in concurrent)
        if own > self._rules.mib * MIB:
            raise AllowanceExceeded(
                f"These images exceed the {self._rules.mib:g} MiB that this demo stores per visitor. Use "
                "fewer or smaller images."
            )
        if total > self._rules.total_mib * MIB:
            raise AllowanceExceeded(
                "The storage of this demo is full. Try again tomorrow, or use one of the existing tasks."
            )


class _Counter:
    """Counter of the bytes of one import."""

    def __init__(self, allowances: Allowances, current: _Import, own: int, total: int) -> None:
        self._allowances, self._going = allowances, current
        self._own, self._everybodys = own, total

    def __call__(self, size: int) -> None:
        """Count stored bytes.

        Raises:
            AllowanceExceeded: If the bytes exceed a limit.
        """
        self._going.size += size
        self._allowances._check(self._going, self._own, self._everybodys)
