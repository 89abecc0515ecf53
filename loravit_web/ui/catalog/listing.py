"""One page of the catalog as a list of buttons: names, results, and why something can't be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape

from loravit_web.catalog.facts import Standing
from loravit_web.ui.kit.markup import notice
from registry import AdapterEntry, AdapterPage

NOTHING_YET = notice(
    "A task that you train, or import as a bundle, appears here with its results, and everybody who opens "
    "this page can use it.",
    title="The catalog is empty.",
)
NOTHING_FOUND = notice(
    "Use fewer words or clear the filters; archived adapters are under State.", title="No adapter meets this."
)

Judge = Callable[[AdapterEntry], Standing]


def list_html(
    page: AdapterPage, judge: Judge, pictures: Mapping[str, str], chosen: str | None, *, anything: bool
) -> str:
    """The entries of a page.

    Args:
        judge: says where an adapter stands.
        pictures: where the browser finds thumbnails, by slug.
        chosen: the slug whose row is marked.
        anything: whether the catalog holds any adapter at all.
    """
    if not page.entries:
        return NOTHING_FOUND if anything else NOTHING_YET
    rows = "".join(
        _row(entry, judge(entry), pictures.get(entry.slug), entry.slug == chosen) for entry in page.entries
    )
    return f'<ul class="lv-list" aria-label="Adapters">{rows}</ul>'


def found_html(page: AdapterPage) -> str:
    """How many there are, and which page this is; announced when it changes."""
    where = f", page {page.page:,} of {page.pages:,}" if page.pages > 1 else ""
    count = f"{page.total:,} adapter{'' if page.total == 1 else 's'}{where}."
    return f'<p class="lv-muted" role="status">{count}</p>'


def size_text(size: int) -> str:
    """Bytes as people say them."""
    return f"{size / 1e3:.0f} kB" if size < 100_000 else f"{size / 1e6:.1f} MB"


def _row(entry: AdapterEntry, standing: Standing, picture: str | None, current: bool) -> str:
    mark = ' aria-current="true"' if current else ""
    off = "" if standing.usable else " lv-off"
    reason = _reason(standing)
    return (
        f'<li><button type="button" class="lv-row{off}" data-slug="{escape(entry.slug)}"{mark}>'
        f"{_picture(picture)}"
        f'<span class="lv-row-name">{escape(entry.title)}</span>'
        f'<span class="lv-tag">{escape(_ref(entry))}</span>'
        f"{_results(entry)}{_chips(entry)}{reason}</button></li>"
    )


def _picture(link: str | None) -> str:
    """Told to nobody who can't see it, as the card says what it shows."""
    if link is None:
        return '<span class="lv-row-picture" aria-hidden="true"></span>'
    return f'<img class="lv-row-picture" src="{escape(link)}" alt="" loading="lazy">'


def _reason(standing: Standing) -> str:
    if standing.reason is None:
        return ""
    sign = "" if standing.usable else '<span aria-hidden="true">⚠</span> '
    return f'<span class="lv-reason">{sign}{escape(standing.reason)}</span>'


def _ref(entry: AdapterEntry) -> str:
    return entry.slug if entry.newest is None else f"{entry.slug}@{entry.newest.version}"


def _results(entry: AdapterEntry) -> str:
    newest = entry.newest
    if newest is None:
        return ""
    facts = [f"{newest.n_classes} classes", newest.base, size_text(newest.size_bytes), entry.owner]
    published = f"<time>{newest.published_at:%Y-%m-%d}</time>"
    accuracy = '<span class="lv-row-score">not measured</span>'
    if newest.accuracy is not None:
        split = "validation" if newest.test_accuracy is None else "test"
        probe = newest.linear_probe_accuracy
        beside = "" if probe is None else f" · linear probe {probe:.1%}"
        accuracy = f'<span class="lv-row-score"><b>{newest.accuracy:.1%}</b> on {split} images{beside}</span>'
    return f'{accuracy}<span class="lv-row-facts">{escape(" · ".join(facts))} · {published}</span>'


def _chips(entry: AdapterEntry) -> str:
    aliases = [f"{alias} → {version}" for alias, version in entry.aliases.items()]
    shown = "".join(f'<span class="lv-chip">{escape(one)}</span>' for one in [*aliases, *entry.tags])
    return f'<span class="lv-row-chips">{shown}</span>' if shown else ""
