"""Whether lists and searches say what the catalog holds."""

from __future__ import annotations

from collections.abc import Iterator

from loravit_web.doctor.report import Check, Finding, Patient


def find(patient: Patient) -> Iterator[Finding]:
    """Summaries that say something else than their adapter."""
    stale = patient.registry.search.stale_summaries()
    for slug in stale:
        text = f"lists show {slug} as it was once: run doctor --mend"
        yield Finding("problem", "search", text)
    if not stale:
        yield Finding("ok", "search", "lists are up to date")


def mend(patient: Patient) -> Iterator[str]:
    """Write the summaries anew."""
    for slug in patient.registry.search.mend_summaries():
        yield f"lists show {slug} as it is"


SEARCH = Check("search", find, mend)
