"""HTML of a page of the catalog: a list of buttons with names, results and restrictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from loravit_web.catalog.facts import Availability
from loravit_web.ui.kit.markup import found, notice
from loravit_web.ui.templates import render
from registry import AdapterEntry, AdapterPage

Judge = Callable[[AdapterEntry], Availability]


@dataclass(frozen=True)
class Row:
    """An adapter in the list.

    Attributes:
        entry: Adapter.
        availability: Whether the adapter can be used, and if not, why.
        thumbnail: URL of the thumbnail, or None.
        is_chosen: Whether the card shows the adapter.
        facts: Facts about the newest version.
        chips: Aliases and tags.
    """

    entry: AdapterEntry
    availability: Availability
    thumbnail: str | None
    is_chosen: bool
    facts: tuple[str, ...]
    chips: tuple[str, ...]


def nothing_yet() -> Markup:
    """Return the notice in place of the list while the catalog is empty."""
    return notice(
        "Adapters that you train or import appear here with their results.",
        title="The catalog is empty.",
    )


def no_match() -> Markup:
    """Return the notice in place of the list if no adapter matches."""
    return notice(
        "Clear the filters, or set the status to Archived to see archived ones.",
        title="No matching adapters.",
    )


def list_html(
    page: AdapterPage, judge: Judge, thumbnails: Mapping[str, str], chosen: str | None, *, anything: bool
) -> Markup:
    """Return the list of a page.

    Args:
        page: Page of the catalog.
        judge: Returns whether an adapter can be used.
        thumbnails: URLs of the thumbnails, by slug.
        chosen: Slug of the selected adapter, or None.
        anything: Whether the catalog contains any adapter.
    """
    if not page.entries:
        return no_match() if anything else nothing_yet()
    rows = [
        _row(entry, judge(entry), thumbnails.get(entry.slug), is_chosen=entry.slug == chosen)
        for entry in page.entries
    ]
    return render("catalog/list", rows=rows)


def found_html(page: AdapterPage) -> Markup:
    """Return the number of adapters and the current page. Screen readers announce changes."""
    return found("adapter", page.total, page.page, page.pages)


def size_text(size: int) -> str:
    """Format a number of bytes, such as ``0.8 MB``."""
    return f"{size / 1e3:.0f} kB" if size < 100_000 else f"{size / 1e6:.1f} MB"


def _row(entry: AdapterEntry, availability: Availability, thumbnail: str | None, *, is_chosen: bool) -> Row:
    newest = entry.newest
    facts = (
        [] if newest is None else [f"{newest.n_classes} classes", newest.base, size_text(newest.size_bytes)]
    )
    aliases = [f"{alias} → {version}" for alias, version in entry.aliases.items()]
    return Row(entry, availability, thumbnail, is_chosen, (*facts, entry.owner), (*aliases, *entry.tags))
