"""One page of the catalog as a list of buttons: names, results, and why something can't be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from loravit_web.catalog.facts import Standing
from loravit_web.ui.kit.markup import found, notice
from loravit_web.ui.templates import render
from registry import AdapterEntry, AdapterPage

Judge = Callable[[AdapterEntry], Standing]


@dataclass(frozen=True)
class Row:
    """An adapter in the list.

    Attributes:
        picture: address of its thumbnail.
        facts: about its newest version.
        chips: its aliases and tags.
    """

    entry: AdapterEntry
    standing: Standing
    picture: str | None
    is_chosen: bool
    facts: tuple[str, ...]
    chips: tuple[str, ...]


def nothing_yet() -> Markup:
    """Shown in the place of the list while the catalog is empty."""
    return notice(
        "A task that you train, or import as a bundle, appears here with its results, and everybody who "
        "opens this page can use it.",
        title="The catalog is empty.",
    )


def no_match() -> Markup:
    """Shown in the place of the list where no adapter matches."""
    return notice(
        "Use fewer words or clear the filters; archived adapters are under State.",
        title="No adapter meets this.",
    )


def list_html(
    page: AdapterPage, judge: Judge, pictures: Mapping[str, str], chosen: str | None, *, anything: bool
) -> Markup:
    """The entries of a page.

    Args:
        judge: says where an adapter stands.
        pictures: where the browser finds thumbnails, by slug.
        chosen: the slug whose row is marked.
        anything: whether the catalog holds any adapter at all.
    """
    if not page.entries:
        return no_match() if anything else nothing_yet()
    rows = [
        _row(entry, judge(entry), pictures.get(entry.slug), is_chosen=entry.slug == chosen)
        for entry in page.entries
    ]
    return render("catalog/list", rows=rows)


def found_html(page: AdapterPage) -> Markup:
    """How many there are, and which page this is; announced when it changes."""
    return found("adapter", page.total, page.page, page.pages)


def size_text(size: int) -> str:
    """Bytes as people say them."""
    return f"{size / 1e3:.0f} kB" if size < 100_000 else f"{size / 1e6:.1f} MB"


def _row(entry: AdapterEntry, standing: Standing, picture: str | None, *, is_chosen: bool) -> Row:
    newest = entry.newest
    facts = (
        [] if newest is None else [f"{newest.n_classes} classes", newest.base, size_text(newest.size_bytes)]
    )
    aliases = [f"{alias} → {version}" for alias, version in entry.aliases.items()]
    return Row(entry, standing, picture, is_chosen, (*facts, entry.owner), (*aliases, *entry.tags))
