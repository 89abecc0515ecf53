"""What a check is, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from loravit_web.settings.environment import Settings
from registry import Registry


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: a ``problem`` needs somebody, a ``note`` is worth knowing, ``mended`` was put right just now.
    """

    state: Literal["ok", "note", "problem", "mended"]
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Patient:
    """One data folder and its registry, at one time."""

    settings: Settings
    registry: Registry
    now: datetime


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    Attributes:
        find: says what is so, and changes nothing.
        mend: puts right what can safely be put right of what `find` did not call ok, and says what it did.
    """

    subject: str
    find: Callable[[Patient], Iterable[Finding]]
    mend: Callable[[Patient], Iterable[str]] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All findings."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing has to be mended."""
        return all(finding.state != "problem" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The report as a document."""
        return {"healthy": self.healthy, "findings": [asdict(finding) for finding in self.findings]}

    def as_text(self) -> str:
        """The report as lines."""
        return "\n".join(f"[{f.state:7}] {f.subject}: {f.text}" for f in self.findings)
