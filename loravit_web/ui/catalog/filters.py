"""The search fields of the catalog, and the query that they form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from loravit_web.ui.language.texts import _, gettext_noop, numeral
from loravit_web.visibility import Seen
from registry import MAX_TEXT, AdapterFacets, AdapterQuery, Facet

PAGE = 20
ANY = ""
STATUSES = [
    (gettext_noop("Active"), "active"),
    (gettext_noop("Archived"), "archived"),
    (gettext_noop("Withdrawn"), "withdrawn"),
    (gettext_noop("All"), ANY),
]
SORTS = [
    (gettext_noop("Newest"), "newest"),
    (gettext_noop("Name"), "name"),
    (gettext_noop("Accuracy"), "accuracy"),
    (gettext_noop("Most versions"), "versions"),
]
PERCENTAGES = (50, 75, 90, 95, 99)
DEFAULTS: Mapping[str, Any] = {
    "text": "",
    "sort": "newest",
    "mine": False,
    "status": "active",
    "base": ANY,
    "adapter_type": ANY,
    "owner": ANY,
    "alias": ANY,
    "tags": [],
    "accuracy": ANY,
}
_FACETS = {
    "base": (gettext_noop("Base"), gettext_noop("Any base")),
    "adapter_type": (gettext_noop("Type"), gettext_noop("Any type")),
    "owner": (gettext_noop("Owner"), gettext_noop("Any owner")),
    "alias": (gettext_noop("Alias"), gettext_noop("Any alias")),
}
"""Label of each filter, and its choice without effect."""
_IDS = {"base": "base", "adapter_type": "type", "owner": "owner", "alias": "alias"}


@dataclass(frozen=True)
class Filters:
    """The search fields and the number of the page.

    Attributes:
        fields: Components by the names in `DEFAULTS`.
        words: Copy of the field ``text``, never drawn.
        page: Number of the page, from 1.
        clear: Clears the filters.
    """

    fields: Mapping[str, Any]
    words: gr.Textbox
    page: gr.State
    clear: gr.Button

    @property
    def inputs(self) -> set[Any]:
        """Components that `values` and `query` read."""
        return {*self.fields.values(), self.page}

    def values(self, data: Mapping[Any, Any]) -> dict[str, Any]:
        """Return the values of the fields, by name."""
        return {name: data[field] for name, field in self.fields.items()}

    def query(self, seen: Seen, data: Mapping[Any, Any], *, page: int | None = None) -> AdapterQuery:
        """Return the query of the fields.

        Args:
            seen: What the visitor sees of the app.
            data: Values of ``inputs``.
            page: Number of the page, or None for the current one.
        """
        at = data[self.page] if page is None else page
        return query_of(self.values(data), at, seen.visitor.own_names)

    def offered(self, seen: Seen, data: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return updates of the choices of each filter, for the current text and status."""
        values = self.values(data)
        asked = query_of({**DEFAULTS, "text": values["text"], "status": values["status"]}, 1)
        facets = seen.registry.search.facets(asked)
        return {self.fields[name]: update for name, update in _choices(facets, values).items()}

    def cleared(self) -> dict[Any, Any]:
        """Return updates that reset every field."""
        return {field: DEFAULTS[name] for name, field in self.fields.items()}


def build_filters() -> Filters:
    """Build the fields, without events. The caller renders the button."""
    fields: dict[str, Any] = {}
    with gr.Row(elem_id="catalog-search-row", equal_height=False):
        fields["text"] = gr.Textbox(
            placeholder=_("Search names, descriptions, tags and classes"),
            label=_("Search"),
            max_length=MAX_TEXT,
            scale=4,
            min_width=220,
            elem_id="catalog-search",
        )
        fields["mine"] = gr.Checkbox(
            label=_("Mine"), value=False, scale=0, min_width=90, elem_id="catalog-mine"
        )
        fields["status"] = _dropdown(_("Status"), STATUSES, "active", "catalog-status")
        fields["sort"] = _dropdown(_("Sort by"), SORTS, "newest", "catalog-sort")
    with gr.Accordion(_("More filters"), open=False, elem_id="catalog-filters"), gr.Row():
        for name, (label, everything) in _FACETS.items():
            fields[name] = _dropdown(_(label), [(everything, ANY)], ANY, f"catalog-{_IDS[name]}")
        fields["tags"] = gr.Dropdown(
            label=_("Tags"), choices=[], value=[], multiselect=True, min_width=150, elem_id="catalog-tags"
        )
        fields["accuracy"] = _dropdown(_("Accuracy"), _accuracies(), ANY, "catalog-accuracy")
    clear = gr.Button(
        _("Clear filters"),
        size="sm",
        scale=0,
        min_width=130,
        visible=False,
        render=False,
        elem_id="catalog-clear",
    )
    words = gr.Textbox("", visible=False, container=False, elem_id="catalog-words")
    return Filters(fields, words, gr.State(1), clear)


def query_of(values: Mapping[str, Any], page: int, own_names: tuple[str, ...] = ()) -> AdapterQuery:
    """Return the query for values of the fields.

    Args:
        values: Values by the names in `DEFAULTS`.
        page: Number of the page, from 1.
        own_names: Names of the visitor as an owner.
    """
    return AdapterQuery(
        text=values["text"] or "",
        base=values["base"] or None,
        adapter_type=values["adapter_type"] or None,
        status=values["status"] or None,
        alias=values["alias"] or None,
        tags=tuple(values["tags"] or ()),
        owner=values["owner"] or None,
        owners=own_names if values["mine"] else (),
        min_accuracy=int(values["accuracy"]) / 100 if values["accuracy"] else None,
        sort=values["sort"] or "newest",
        page=max(1, page),
        limit=PAGE,
    )


def narrowed(query: AdapterQuery) -> bool:
    """Return whether a query excludes adapters that are neither archived nor withdrawn."""
    everything = AdapterQuery(page=query.page, limit=query.limit, sort=query.sort)
    return replace(query, text=" ".join(query.text.split())) != everything


def _choices(facets: AdapterFacets, values: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "base": facets.bases,
        "adapter_type": facets.adapter_types,
        "owner": facets.owners,
        "alias": facets.aliases,
    }
    updates: dict[str, Any] = {
        name: gr.Dropdown(choices=[(_(everything), ANY), *_named(found[name], filter(None, [values[name]]))])
        for name, (_label, everything) in _FACETS.items()
    }
    return {**updates, "tags": gr.Dropdown(choices=_named(facets.tags, values["tags"] or ()))}


def _named(facets: Iterable[Facet], chosen: Iterable[str]) -> list[tuple[str, str]]:
    """Return choices with their counts. Selected values stay, even if no adapter has them."""
    counts = {facet.value: facet.n for facet in facets}
    return [(f"{value} ({numeral(n)})", value) for value, n in (dict.fromkeys(chosen, 0) | counts).items()]


def _accuracies() -> list[tuple[str, str]]:
    shares = [(_("{percent} % or more", percent=percent), str(percent)) for percent in PERCENTAGES]
    return [(_("Any accuracy"), ANY), *shares]


def _dropdown(label: str, choices: list[tuple[str, str]], value: str, elem_id: str) -> gr.Dropdown:
    shown = [(_(text), choice) for text, choice in choices]
    return gr.Dropdown(label=label, choices=shown, value=value, scale=1, min_width=150, elem_id=elem_id)
