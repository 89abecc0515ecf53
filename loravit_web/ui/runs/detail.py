"""Selected run of the tab Runs: status, error, next step, settings and log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from loravit_web.runs.next_steps import place_of, refusal_of, steps_of
from loravit_web.ui.kit.confirm import ConfirmPanel, build_confirm
from loravit_web.ui.kit.events import Updates
from loravit_web.ui.kit.markup import definitions, flattened, notice, run_progress
from loravit_web.ui.language.texts import _
from loravit_web.ui.runs.buttons import RunButtons, build_buttons
from loravit_web.ui.runs.markup import log_text, run_back, run_origin
from loravit_web.ui.runs.watch import dataset_line
from loravit_web.ui.scripts import on_load
from loravit_web.visibility import Seen
from registry import RegistryError, Run


@dataclass(frozen=True)
class DetailPanel:
    """Components that show a run.

    Attributes:
        column: Contains the other components; hidden until a run is selected.
        head: Progress, result or error of the run.
        result: Button that shows the result in Train.
        catalog: Button that opens the version in Catalog.
        buttons: Buttons that change the run.
        facts: Accordion with the settings.
        settings: Data, settings and environment of the run.
        record: Accordion with the log.
        log: End of the log.
        delete: Asks for the confirmation of a deletion.
        confirm: Confirmation of the deletion.
    """

    column: gr.Column
    head: gr.HTML
    result: gr.Button
    catalog: gr.Button
    buttons: RunButtons
    facts: gr.Accordion
    settings: gr.HTML
    record: gr.Accordion
    log: gr.HTML
    delete: gr.Button
    confirm: ConfirmPanel

    @property
    def outputs(self) -> list[Any]:
        """Components that `updates` fills."""
        shown = [self.column, self.head, self.result, self.catalog, *self.buttons.outputs]
        ends = [self.delete, *self.confirm.outputs]
        return [*shown, self.facts, self.settings, self.record, self.log, *ends]

    def updates(self, seen: Seen, run_id: str | None, *, fresh: bool = True) -> Updates:
        """Return updates for a run.

        Args:
            seen: What the visitor sees.
            run_id: ID of the run; without one, there are no updates.
            fresh: Whether another run was shown before. Otherwise the settings are not updated.
        """
        if run_id is None:
            return {}
        try:
            run = seen.registry.runs.get(run_id)
        except RegistryError as error:  # the page continues after a link to a deleted run
            parts = [self.result, self.catalog, *self.buttons.outputs, self.facts, self.record, self.delete]
            return {
                **dict.fromkeys(parts, gr.update(visible=False)),
                **self.confirm.closed(),
                self.column: gr.Column(visible=True),
                self.head: notice(error.in_public, kind="error"),
            }
        steps, refusal = steps_of(run), refusal_of(seen.visitor, run)
        blocked = refusal if steps - {"result"} else None
        once = {
            self.facts: gr.Accordion(visible=True),
            self.settings: definitions(_facts(run)),
            self.record: gr.Accordion(visible=True),
            self.column: gr.Column(visible=True),
            **self.confirm.closed(),
        }
        return {
            self.head: _head(seen, run) + (notice(blocked, title=_("View only.")) if blocked else Markup()),
            self.result: gr.Button(visible="result" in steps),
            self.catalog: gr.Button(visible=run.published is not None),
            **self.buttons.updates(run, fresh=fresh, may=refusal is None),
            **(once if fresh else {}),
            self.log: log_text(seen.log_of(run.id)),
            self.delete: gr.Button(
                visible=run.ended_at is not None and seen.visitor.may("retire"), interactive=refusal is None
            ),
        }

    def closed(self) -> Updates:
        """Return updates that hide the panel."""
        return {self.column: gr.Column(visible=False), **self.confirm.closed()}


def build_detail() -> DetailPanel:
    """Build the panel, which is hidden until a run is selected."""
    with gr.Column(scale=2, min_width=320, visible=False, elem_id="runs-detail") as column:
        confirm = build_confirm("runs-delete")
        head = gr.HTML(js_on_load=on_load("runs.listenToDetail"), elem_id="runs-progress")
        with gr.Row():
            result = gr.Button(_("Show result"), variant="primary", visible=False, elem_id="runs-result")
            catalog = gr.Button(_("Open in Catalog"), visible=False, elem_id="runs-catalog")
        buttons = build_buttons("runs")
        with gr.Accordion(_("Settings"), open=False, visible=False, elem_id="runs-facts") as facts:
            settings = gr.HTML(elem_id="runs-settings")
        with gr.Accordion(_("Log"), open=False, visible=False, elem_id="runs-record") as record:
            log = gr.HTML(elem_id="runs-log", autoscroll=True)
        delete = gr.Button(_("Delete run…"), variant="stop", size="sm", visible=False, elem_id="runs-delete")
    return DetailPanel(column, head, result, catalog, buttons, facts, settings, record, log, delete, confirm)


def _head(seen: Seen, run: Run) -> Markup:
    place = place_of(seen.registry, run)
    shown = run_progress(
        run, position=place.position if place else None, ahead=place.ahead if place else None
    )
    return run_back() + shown + run_origin(run)


def _facts(run: Run) -> dict[str, str]:
    data = run.dataset
    base = {"data": dataset_line(data.name, data.n_images, data.n_classes)}
    base |= {"base": run.base.name, "seed": str(run.seed), "resumed": f"{run.resumed} times"}
    return {**base, **dict(flattened(run.config)), **{k: str(v) for k, v in run.environment.items()}}
