"""The card of the selected version: its components and their updates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loravit_web.catalog.facts import AdapterFacts, read_facts
from loravit_web.ui.catalog.card import (
    aliases_html,
    changes_html,
    head_html,
    none_chosen,
    origin_html,
    results_html,
)
from loravit_web.ui.catalog.change import ChangePanel, build_change
from loravit_web.ui.kit.served import thumbnail_link
from loravit_web.ui.kit.share import SharePanel, build_share
from loravit_web.ui.kit.snippets import card_link
from loravit_web.ui.runs.watch import build_curves, curves
from loravit_web.visibility import Seen
from registry import Version

TOP_K = 5


@dataclass(frozen=True)
class CardPanel:
    """The components of a card.

    Attributes:
        ref: Version that is shown, as ``slug@2``, or None.
        seen: Revision of the catalog that the card shows.
        message: Notice above the card, or in its place.
        body: Contains the other components.
        head: Name, status and classes.
        versions: Selects a version of the adapter.
        try_it: Selects the version in the Use tab.
        download: Writes the bundle.
        file: Bundle to download, hidden.
        results: Evaluation of the version.
        plots: Loss and accuracy of the run.
        origin: Provenance of the version, its settings and its requests.
        aliases: Aliases and their history.
        link: Link to the card.
        share: Link and code for the version.
        change: Components that change the adapter.
    """

    ref: gr.State
    seen: gr.State
    message: gr.HTML
    body: gr.Column
    head: gr.HTML
    versions: gr.Dropdown
    try_it: gr.Button
    download: gr.Button
    file: gr.DownloadButton
    results: gr.HTML
    plots: tuple[gr.LinePlot, gr.LinePlot]
    origin: gr.HTML
    aliases: gr.HTML
    link: gr.Textbox
    share: SharePanel
    change: ChangePanel

    @property
    def outputs(self) -> list[Any]:
        """Components that the methods update."""
        shown = [self.head, self.versions, self.try_it, self.download, self.results, *self.plots]
        about = [self.origin, self.link, *self.share.outputs, *self.change.outputs]
        return [self.ref, self.seen, self.message, self.body, *shown, *about]

    def opened(self, seen: Seen, ref: str, url: str) -> dict[Any, Any]:
        """Return updates that show a version.

        Args:
            seen: What the visitor sees of the app.
            ref: Slug, version or alias.
            url: URL of the app.

        Raises:
            RegistryError: If there is no such version.
        """
        facts = read_facts(seen.registry, seen.predictor, ref)
        return {
            self.ref: facts.version.ref,
            self.seen: facts.revision,
            self.message: gr.HTML("", visible=False),
            self.body: gr.Column(visible=True),
            **self._shown(seen, facts, url),
            **self.change.opened(facts, seen.visitor),
        }

    def shown_again(self, seen: Seen, ref: str, url: str, data: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return updates after the visitor changed the adapter. Unsaved texts stay."""
        return self.change.followed(data, self.opened(seen, ref, url))

    def refreshed(self, seen: Seen, ref: str, url: str, data: Mapping[Any, Any], why: str) -> dict[Any, Any]:
        """Return updates after another user changed the adapter. Unsaved input and open questions stay.

        Args:
            seen: What the visitor sees of the app.
            ref: Version that is shown.
            url: URL of the app.
            data: Values of the page's components.
            why: Notice above the card.
        """
        updates = self.shown_again(seen, ref, url, data)
        kept = {*self.change.typed, *self.change.asked}  # a confirmation of an outdated question asks again
        return {part: one for part, one in updates.items() if part not in kept} | {
            self.message: gr.HTML(why, visible=True)
        }

    def closed(self, message: str) -> dict[Any, Any]:
        """Return updates that show a message instead of a version."""
        return {
            self.ref: None,
            self.message: gr.HTML(message, visible=True),
            self.body: gr.Column(visible=False),
        }

    def _shown(self, seen: Seen, facts: AdapterFacts, url: str) -> dict[Any, Any]:
        version = facts.version
        drawn = curves(seen, facts.run) if facts.run is not None else (gr.LinePlot(visible=False),) * 2
        return {
            self.head: head_html(facts, thumbnail_link(seen, version)),
            self.versions: gr.Dropdown(choices=version_choices(facts), value=version.ref),
            self.try_it: gr.Button(interactive=facts.availability.usable),
            self.download: gr.Button(interactive=version.withdrawn_at is None),
            self.results: results_html(facts),
            **dict(zip(self.plots, drawn, strict=True)),
            self.origin: origin_html(facts) + changes_html(facts),
            self.aliases: aliases_html(facts),
            self.link: card_link(url, version.ref),
            **self.share.updates(seen, url, [version.ref], TOP_K),
        }


def build_card() -> CardPanel:
    """Build the panel, without a version and without events."""
    message = gr.HTML(none_chosen(), elem_id="catalog-message")
    with gr.Column(visible=False, elem_id="catalog-card") as body:
        head = gr.HTML(elem_id="catalog-head")
        versions = gr.Dropdown(label="Version", choices=[], elem_id="catalog-version")
        with gr.Row():
            try_it = gr.Button("Try it", variant="primary", min_width=110, elem_id="catalog-try")
            download = gr.Button("Download", min_width=110, elem_id="catalog-download")
            file = gr.DownloadButton(visible=False)
        with gr.Tabs(elem_id="catalog-parts"):
            with gr.Tab("Results"):
                results = gr.HTML(elem_id="catalog-results")
                plots = build_curves("catalog-loss", "catalog-accuracy-curve")
            with gr.Tab("Details"):
                origin = gr.HTML(elem_id="catalog-origin")
            with gr.Tab("Share"):
                link = gr.Textbox(
                    label="Link to this page of the catalog",
                    interactive=False,
                    buttons=["copy"],
                    elem_id="catalog-card-link",
                )
                share = build_share("catalog", "Link to try this version")
            change = build_change()
    return CardPanel(
        ref=gr.State(None),
        seen=gr.State(0),
        message=message,
        body=body,
        head=head,
        versions=versions,
        try_it=try_it,
        download=download,
        file=file,
        results=results,
        plots=plots,
        origin=origin,
        aliases=change.aliases,
        link=link,
        share=share,
        change=change,
    )


def version_choices(facts: AdapterFacts) -> list[tuple[str, str]]:
    """Return every version with its aliases as choices, newest first."""
    return [(" · ".join([f"Version {one.version}", *_names(facts, one)]), one.ref) for one in facts.versions]


def _names(facts: AdapterFacts, version: Version) -> list[str]:
    if version.withdrawn_at is not None:
        return ["withdrawn"]
    aliases = [one.alias for one in facts.adapter.aliases if one.version == version.version]
    newest = facts.adapter.newest
    return [*(["latest"] if newest is not None and newest.id == version.id else []), *aliases]
