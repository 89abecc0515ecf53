"""HTML of a page of the catalog: a list of buttons with names, results and restrictions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from loravit_web.access.rights import APP
from loravit_web.catalog.facts import Availability
from loravit_web.ui.kit.markup import found, notice
from loravit_web.ui.language.texts import _, ngettext, numeral
from loravit_web.ui.language.words import age
from loravit_web.ui.templates import render
from registry import AdapterEntry, AdapterPage

CLASSES_SHOWN = 6
"""Number of classes in a row without a description."""
Judge = Callable[[AdapterEntry], Availability]


@dataclass(frozen=True)
class Row:
    """An adapter in the list.

    Attributes:
        entry: Adapter.
        availability: Whether the adapter can be used, and if not, why.
        thumbnail: URL of the thumbnail, or None.
        is_chosen: Whether the card shows the adapter.
        is_picked: Whether the row is selected for a change of several adapters.
        about: Beginning of the description, or else the classes.
        when: How long ago the newest version was published, and the owner unless that is the visitor or the
            app.
        chips: Aliases.
    """

    entry: AdapterEntry
    availability: Availability
    thumbnail: str | None
    is_chosen: bool
    is_picked: bool
    about: str
    when: str
    chips: tuple[str, ...]


@dataclass(frozen=True)
class Marks:
    """What is marked in the list.

    Attributes:
        chosen: Slug of the adapter that the card shows, or None.
        picked: Slugs of the adapters that are selected for a change.
    """

    chosen: str | None = None
    picked: Collection[str] = ()


def nothing_yet() -> Markup:
    """Return the notice in place of the list while the catalog is empty."""
    return notice(
        _("Adapters that you train or import appear here with their results."),
        title=_("The catalog is empty."),
    )


def no_match() -> Markup:
    """Return the notice in place of the list if no adapter matches."""
    return notice(
        _("Clear the filters, or set the status to Archived to see archived ones."),
        title=_("No matching adapters."),
    )


def list_html(
    page: AdapterPage,
    judge: Judge,
    thumbnails: Mapping[str, str],
    marks: Marks,
    *,
    anything: bool,
    now: datetime,
    own_names: Collection[str],
) -> Markup:
    """Return the list of a page.

    Args:
        page: Page of the catalog.
        judge: Returns whether an adapter can be used.
        thumbnails: URLs of the thumbnails, by slug.
        marks: What is marked.
        anything: Whether the catalog contains any adapter.
        now: Current time.
        own_names: Names of the visitor as an owner.
    """
    if not page.entries:
        return no_match() if anything else nothing_yet()
    rows = [
        Row(
            entry=entry,
            availability=judge(entry),
            thumbnail=thumbnails.get(entry.slug),
            is_chosen=entry.slug == marks.chosen,
            is_picked=entry.slug in marks.picked,
            about=_about(entry),
            when=_when(entry, now, own_names),
            chips=_chips(entry),
        )
        for entry in page.entries
    ]
    return render("catalog/list", rows=rows)


def found_html(page: AdapterPage) -> Markup:
    """Return the number of adapters and the current page. Screen readers announce changes."""
    return found(ngettext("{n} adapter", "{n} adapters", page.total), page.page, page.pages)


def size_text(size: int) -> str:
    """Format a number of bytes, such as ``0.8 MB``."""
    return f"{numeral(size / 1e3, '.0f')} kB" if size < 100_000 else f"{numeral(size / 1e6, '.1f')} MB"


def _about(entry: AdapterEntry) -> str:
    description = " ".join(entry.description.split())
    if description or entry.newest is None:
        return description
    more = entry.newest.n_classes - CLASSES_SHOWN
    names = ", ".join(entry.newest.class_names[:CLASSES_SHOWN])
    return _("{names} and {n} more", names=names, n=more) if more > 0 else names


def _when(entry: AdapterEntry, now: datetime, own_names: Collection[str]) -> str:
    moment = entry.created_at if entry.newest is None else entry.newest.published_at
    is_told = entry.owner not in (*own_names, APP)
    return f"{age(moment, now)} · {entry.owner}" if is_told else age(moment, now)


def _chips(entry: AdapterEntry) -> tuple[str, ...]:
    newest = entry.newest.version if entry.newest is not None else None
    return tuple(
        alias if version == newest else f"{alias}: v{version}" for alias, version in entry.aliases.items()
    )
