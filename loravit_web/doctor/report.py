"""Checks, their findings, and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from loravit_web.settings.environment import Settings
from registry import Registry


@dataclass(frozen=True, slots=True)
class Finding:
    """Finding of a check.

    Attributes:
        state: ``problem`` needs an action, ``note`` is information, ``mended`` was just repaired.
        subject: What was checked.
        text: What was found, and what to do.
    """

    state: Literal["ok", "note", "problem", "mended"]
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """What a check reads.

    Attributes:
        settings: Settings of the app.
        registry: Opened registry.
        now: Time of the examination.
    """

    settings: Settings
    registry: Registry
    now: datetime


@dataclass(frozen=True, slots=True)
class Check:
    """A check.

    Attributes:
        subject: What is checked.
        find: Yields findings and changes nothing.
        mend: Repairs what can be repaired safely and yields a sentence for each repair, or None.
    """

    subject: str
    find: Callable[[Context], Iterable[Finding]]
    mend: Callable[[Context], Iterable[str]] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Result of an examination.

    Attributes:
        findings: All findings.
    """

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether there is no problem."""
        return all(finding.state != "problem" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON-ready document."""
        return {"healthy": self.healthy, "findings": [asdict(finding) for finding in self.findings]}

    def as_text(self) -> str:
        """Return the report as lines of text."""
        return "\n".join(f"[{f.state:7}] {f.subject}: {f.text}" for f in self.findings)


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless the number is 1."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
