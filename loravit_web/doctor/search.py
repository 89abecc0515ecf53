"""Check of the summaries that lists and searches use."""

from __future__ import annotations

from collections.abc import Iterator

from loravit_web.doctor.report import Check, Context, Finding


def find(context: Context) -> Iterator[Finding]:
    """Find summaries that differ from their adapter."""
    stale = context.registry.search.stale_summaries()
    for slug in stale:
        text = f"lists show an old state of {slug}. Run doctor --mend."
        yield Finding("problem", "search", text)
    if not stale:
        yield Finding("ok", "search", "lists are up to date")


def mend(context: Context) -> Iterator[str]:
    """Write outdated summaries again."""
    for slug in context.registry.search.mend_summaries():
        yield f"updated the summary of {slug}"


SEARCH = Check("search", find, mend)
