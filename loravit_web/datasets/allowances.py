"""How much of the data folder the visitors of a demo may fill: each one, and all of them together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from loravit_web.datasets import DatasetStore, Giver
from loravit_web.errors import LoraVitError
from loravit_web.settings.modes import DemoRules
from loravit_web.settings.quota import MIB, used


class AllowanceUsed(LoraVitError):
    """A visitor, or all visitors together, stored as much as they may."""


@dataclass
class _Import:
    """One that goes on, or ended while others went on.

    Attributes:
        size: bytes so far; none once it failed.
        begun: its place in the order in which imports began.
        ended: how many had begun when it ended; None while it goes on.
    """

    giver: Giver
    size: int
    begun: int
    ended: int | None = None


class Allowances:
    """Counts what visitors store while they store it. Safe to use from many threads."""

    def __init__(self, datasets: DatasetStore, rules: DemoRules) -> None:
        """
        Args:
            datasets: all that are stored.
        """
        self._datasets, self._rules = datasets, rules
        self._lock = threading.Lock()
        self._imports: list[_Import] = []
        self._begun = 0

    @contextmanager
    def importing(self, giver: Giver) -> Iterator[_Spend]:
        """Let a visitor store images; what is yielded is told of all bytes that are stored meanwhile.

        Raises:
            AllowanceUsed: if they have as many datasets as they may, or as soon as the bytes are too many.
        """
        with self._lock:
            own, everybodys = self._stored(giver)
            self._begun += 1
            going = _Import(giver, 0, self._begun)
            self._imports.append(going)
        spend = _Spend(self, going, own, everybodys)
        try:
            spend(0)
            yield spend
        except BaseException:
            going.size = 0
            raise
        finally:
            with self._lock:
                going.ended = self._begun
                if all(one.ended is not None for one in self._imports):
                    self._imports.clear()

    def _stored(self, giver: Giver) -> tuple[int, int]:
        """Bytes on the disk: of this visitor, and of all; counted when an import begins."""
        given = self._datasets.given()
        own = [fingerprint for fingerprint, one in given.items() if giver.is_same(one)]
        if len(own) >= self._rules.datasets:
            raise AllowanceUsed(
                f"This demo keeps {self._rules.datasets} datasets of each visitor, and you have as many: "
                f"they are deleted {self._rules.hours:g} hours after they were last used."
            )
        root = self._datasets.root
        return used(*(root / one for one in own)), used(*(root / one for one in given))

    def _check(self, going: _Import, own: int, everybodys: int) -> None:
        with self._lock:
            # what ended after this one began was not on the disk yet when that was counted
            beside = [one for one in self._imports if one.ended is None or one.ended >= going.begun]
            own += sum(one.size for one in beside if one.giver.is_same(going.giver))
            everybodys += sum(one.size for one in beside)
        if own > self._rules.mib * MIB:
            raise AllowanceUsed(
                f"This demo keeps {self._rules.mib:g} MiB of images of each visitor, and these would be "
                "more: give it fewer or smaller ones."
            )
        if everybodys > self._rules.total_mib * MIB:
            raise AllowanceUsed(
                "The visitors of this demo gave it as many images as it can keep: try again tomorrow, or use "
                "one of the tasks that are there."
            )


class _Spend:
    """Told of the bytes of one import, and refuses those that are too many."""

    def __init__(self, allowances: Allowances, going: _Import, own: int, everybodys: int) -> None:
        self._allowances, self._going = allowances, going
        self._own, self._everybodys = own, everybodys

    def __call__(self, size: int) -> None:
        """Count bytes that are stored.

        Raises:
            AllowanceUsed: if they are too many.
        """
        self._going.size += size
        self._allowances._check(self._going, self._own, self._everybodys)
