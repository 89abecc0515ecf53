"""The card of the selected version: its components and their updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loravit_web.catalog.facts import AdapterFacts, read_facts
from loravit_web.errors import LoraVitError
from loravit_web.ui.catalog.card import (
    changes_html,
    head_html,
    none_chosen,
    origin_html,
    results_html,
)
from loravit_web.ui.catalog.change import ChangePanel, build_alias, build_change
from loravit_web.ui.catalog.compare import compared_html
from loravit_web.ui.catalog.take_away import ExportPanel, build_export
from loravit_web.ui.catalog.versions import COMPARED, versions_html
from loravit_web.ui.kit.confirm import build_confirm
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.kit.served import thumbnail_link
from loravit_web.ui.kit.share import SharePanel, build_share
from loravit_web.ui.kit.snippets import card_link
from loravit_web.ui.language.texts import _
from loravit_web.ui.runs.watch import build_curves, curves
from loravit_web.ui.scripts import on_load
from loravit_web.visibility import Seen
from registry import RegistryError, utc_now

TOP_K = 5


@dataclass(frozen=True)
class CardPanel:
    """The components of a card.

    Attributes:
        ref: Version that is shown, as ``slug@2``, or None.
        seen: Revision of the catalog that the card shows.
        ticked: References of the versions that are compared.
        message: Notice above the card, or in its place.
        body: Contains the other components.
        head: Name, status and classes.
        versions: Table of the versions, which opens, compares and promotes them.
        compared: Comparison of two versions, or an error.
        try_it: Selects the version in the Use tab.
        download: Writes the bundle.
        file: Bundle to download, hidden.
        results: Evaluation of the version.
        plots: Loss and accuracy of the run.
        origin: Provenance of the version, its settings and its requests.
        link: Link to the card.
        share: Link and code for the version.
        export: Exports the version for use without the app.
        change: Components that change the adapter.
    """

    ref: gr.State
    seen: gr.State
    ticked: gr.State
    message: gr.HTML
    body: gr.Column
    head: gr.HTML
    versions: gr.HTML
    compared: gr.HTML
    try_it: gr.Button
    download: gr.Button
    file: gr.DownloadButton
    results: gr.HTML
    plots: tuple[gr.LinePlot, gr.LinePlot]
    origin: gr.HTML
    link: gr.Textbox
    share: SharePanel
    export: ExportPanel
    change: ChangePanel

    @property
    def outputs(self) -> list[Any]:
        """Components that the methods update."""
        shown = [self.head, *self.of_versions, self.try_it, self.download, self.results, *self.plots]
        about = [self.origin, self.link, *self.share.outputs, self.export.others, *self.change.outputs]
        return [self.ref, self.seen, self.message, self.body, *shown, *about]

    @property
    def of_versions(self) -> list[Any]:
        """Components that show and compare the versions."""
        return [self.ticked, self.versions, self.compared]

    def opened(self, seen: Seen, ref: str, url: str, ticked: Sequence[str] = ()) -> dict[Any, Any]:
        """Return updates that show a version.

        Args:
            seen: What the visitor sees of the app.
            ref: Slug, version or alias.
            url: URL of the app.
            ticked: References of the versions that were compared, of this adapter or another one.

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
            **self.comparing(seen, facts, ticked),
            **self.change.opened(facts, seen.visitor),
        }

    def comparing(self, seen: Seen, facts: AdapterFacts, ticked: Sequence[str]) -> dict[Any, Any]:
        """Return updates of ``of_versions``.

        Args:
            seen: What the visitor sees of the app.
            facts: Facts about the open version.
            ticked: References of the versions to compare; those that do not exist are left out.
        """
        known = [one.ref for one in facts.versions]
        kept = [ref for ref in ticked if ref in known]
        may = seen.visitor.may("curate")
        return {
            self.ticked: kept,
            self.versions: versions_html(facts, kept, utc_now(), can_promote=may),
            self.compared: _compared(seen, kept),
        }

    def shown_again(self, seen: Seen, ref: str, url: str, data: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return updates after the visitor changed the adapter. Unsaved texts stay."""
        return self.change.followed(data, self.opened(seen, ref, url, data[self.ticked]))

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
        # a confirmation of an outdated question asks again
        kept = {*self.change.typed, *self.change.asked, self.export.others}
        return {part: one for part, one in updates.items() if part not in kept} | {
            self.message: gr.HTML(why, visible=True)
        }

    def closed(self, message: str) -> dict[Any, Any]:
        """Return updates that show a message instead of a version."""
        return {
            self.ref: None,
            self.message: gr.HTML(message, visible=True),
            self.body: gr.Column(visible=False),
            self.link: "",
        }

    def _shown(self, seen: Seen, facts: AdapterFacts, url: str) -> dict[Any, Any]:
        version = facts.version
        drawn = curves(seen, facts.run) if facts.run is not None else (gr.LinePlot(visible=False),) * 2
        return {
            self.head: head_html(facts, thumbnail_link(seen, version)),
            self.try_it: gr.Button(interactive=facts.availability.usable),
            self.download: gr.Button(interactive=version.withdrawn_at is None),
            self.results: results_html(facts),
            **dict(zip(self.plots, drawn, strict=True)),
            self.origin: origin_html(facts) + changes_html(facts),
            self.link: card_link(url, version.ref),
            **self.share.updates(seen, url, [version.ref], TOP_K),
            **self.export.opened(seen, version),
        }


def build_card() -> CardPanel:
    """Build the panel, without a version and without events."""
    message = gr.HTML(none_chosen(), elem_id="catalog-message")
    with gr.Column(visible=False, elem_id="catalog-card") as body:
        alias = build_alias()
        confirm = build_confirm("catalog", within=alias.render)
        head = gr.HTML(js_on_load=on_load("card.listenToHead"), elem_id="catalog-head")
        with gr.Row():
            try_it = gr.Button(_("Try it"), variant="primary", min_width=90, elem_id="catalog-try")
            promote = gr.Button(_("Promote…"), min_width=90, elem_id="catalog-promote")
            download = gr.Button(_("Download"), min_width=90, elem_id="catalog-download")
            file = gr.DownloadButton(visible=False)
        versions = gr.HTML(js_on_load=on_load("focus.keep", "versions.listen"), elem_id="catalog-versions")
        compared = gr.HTML(elem_id="catalog-compared")
        with gr.Tabs(elem_id="catalog-parts"):
            with gr.Tab(_("Results")):
                results = gr.HTML(elem_id="catalog-results")
                plots = build_curves("catalog-loss", "catalog-accuracy-curve")
            with gr.Tab(_("Details")):
                origin = gr.HTML(elem_id="catalog-origin")
            with gr.Tab(_("Share")):
                link = gr.Textbox(
                    label=_("Link to this page of the catalog"),
                    interactive=False,
                    buttons=["copy"],
                    elem_id="catalog-card-link",
                )
                share = build_share("catalog", _("Link to try this version"))
                export = build_export()
            change = build_change(confirm, alias, promote)
    return CardPanel(
        ref=gr.State(None),
        seen=gr.State(0),
        ticked=gr.State([]),
        message=message,
        body=body,
        head=head,
        versions=versions,
        compared=compared,
        try_it=try_it,
        download=download,
        file=file,
        results=results,
        plots=plots,
        origin=origin,
        link=link,
        share=share,
        export=export,
        change=change,
    )


def _compared(seen: Seen, ticked: Sequence[str]) -> str:
    """Return the comparison of two selected versions, an error in its place, or an empty text."""
    if len(ticked) < COMPARED:
        return ""
    try:
        return compared_html(seen, (ticked[0], ticked[1]))
    except (LoraVitError, RegistryError) as error:  # the card continues to work
        return notice(error.in_public, kind="error")
