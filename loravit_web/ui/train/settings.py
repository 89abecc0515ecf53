"""Step 3 of Train: presets, everything behind Advanced, what it will take, and the equal line for a shell."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import gradio as gr
from markupsafe import Markup

from loravit_web.actions import STORED_PREFIX
from loravit_web.catalog.naming import slugified
from loravit_web.errors import LoraVitError
from loravit_web.runs.demo import slug_of
from loravit_web.service import Service
from loravit_web.training.command_line import train_command
from loravit_web.training.recipe import DRAFT, PRESETS, Recipe
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import LAST, QUEUED, QUIET, Updates
from loravit_web.ui.kit.markup import cost_summary, line, notice
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.kit.share import build_code
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.runs.watch import WatchPanel
from loravit_web.ui.scripts import call
from loravit_web.ui.train.bases import build_base, notice_of_other, offers
from loravit_web.ui.train.check import CheckPanel
from loravit_web.ui.train.fields import build_fields, field_errors, preset_values, recipe_of
from loravit_web.ui.train.relabel import Sheet, changes_in
from loravit_web.util.cancellation import IsCancelled, never_cancelled
from loravit_web.visibility import Seen
from registry import UnknownAdapter

_MEASURING = "Measuring what this takes on this machine…"
UNNAMED, LONGEST_NAME = "my-task", 80
_SHORT = 12


class NoData(LoraVitError):
    """Training was started without data."""


class UnusedCorrections(LoraVitError):
    """Training was started with corrections that no data has yet."""


@dataclass(frozen=True)
class SettingsPanel:
    """The components of the step.

    Attributes:
        brought: what new data suggest, as `suggestions`; setting it changes what the reader did not.
        suggested: the name that data brought or that was trained under, which other data may replace.
        mirrored: what the data made of ``mirror``, likewise.
        fields: in the order of `ALL_FIELDS`.
    """

    name: gr.Textbox
    brought: gr.Textbox
    suggested: gr.Textbox
    preset: gr.Radio
    mirror: gr.Checkbox
    mirrored: gr.Checkbox
    advanced: gr.Accordion
    base: gr.Dropdown
    fields: list[Any]
    cost: gr.HTML
    line: gr.Textbox
    start: gr.Button

    @property
    def asked(self) -> list[Any]:
        """What decides a run."""
        return [self.name, self.preset, self.mirror, self.base, *self.fields]


def build_settings(service: Service) -> SettingsPanel:
    """Build the components for the configured base; `connect_settings` adds the events."""
    patch_size, settings = service.base.patch_size, service.settings
    name = gr.Textbox(
        label="Name", placeholder="My flowers", max_lines=1, max_length=LONGEST_NAME, elem_id="train-name"
    )
    preset = gr.Radio(
        [
            (f"{p.title}: {p.recipe.fitted(patch_size).image_size} px, {p.summary}", key)
            for key, p in PRESETS.items()
        ],
        value=DRAFT,
        label="Preset",
        elem_id="train-preset",
    )
    mirror = gr.Checkbox(
        value=True,
        label="Mirrored images mean the same",
        info="Learns from each mirrored too. Switch it off for text, digits, anything with a left and right.",
        elem_id="train-mirror",
    )
    cost = gr.HTML("", elem_id="train-cost")
    start = gr.Button("Start training", variant="primary", interactive=False, elem_id="train-start")
    with gr.Accordion("Advanced", open=False, elem_id="train-advanced") as advanced:
        base = build_base(settings.base, visible=settings.mode != "demo")
        fields = build_fields(DRAFT, patch_size)
    with gr.Accordion("The same from a shell", open=False, elem_id="train-shell"):
        line = build_code("Command", "train-line")
    brought, suggested = (gr.Textbox("", visible=False, container=False) for _ in range(2))
    mirrored = gr.Checkbox(True, visible=False)
    panel = SettingsPanel(
        name, brought, suggested, preset, mirror, mirrored, advanced, base, fields, cost, line, start
    )
    theirs = [name, suggested, mirror, mirrored]
    brought.change(None, [brought, *theirs], theirs, js=call("settings.takeSuggestions"), **QUIET)
    return panel


def suggestions(data: str, *, mirror: bool) -> str:
    """What new data bring: their name as a task's, and whether mirrored images mean the same."""
    return json.dumps({"name": suggested_name(data), "mirror": mirror, "nonce": uuid4().hex})


def suggested_name(data: str) -> str:
    """The name of new data without a remark in brackets."""
    return re.sub(r"(?<=\S)\s*\([^()]*\)$", "", data)[:LONGEST_NAME]


def connect_settings(
    service: Service,
    panel: SettingsPanel,
    check: CheckPanel,
    run_id: gr.BrowserState,
    watch: WatchPanel,
    presence: Presence,
) -> gr.events.Dependency:
    """Add the events: what changes is estimated again, and Start queues the run, which is returned."""
    data = check.data

    def tell(
        request: gr.Request,
        fingerprint: str | None,
        name: str | None,
        preset: str,
        mirror: bool,
        base: str | None,
        *values: Any,
    ) -> Updates:
        seen, is_cancelled = seen_by(service, request), presence.watch(request.session_hash)
        # the browser knows no name before its field was drawn, as where another tab is open
        cost, line = told_cost(
            seen, fingerprint, name or "", preset, mirror, values, base=base, is_cancelled=is_cancelled
        )
        return {panel.cost: cost, panel.line: line}

    def offer(chosen: str | None, request: gr.Request) -> gr.Dropdown:
        return offers(seen_by(service, request), chosen)

    @told
    def begin(
        request: gr.Request,
        fingerprint: str | None,
        sheet: Sheet | None,
        name: str | None,
        preset: str,
        mirror: bool,
        base: str | None,
        *values: Any,
    ) -> Updates:
        if fingerprint is None:
            raise NoData("Give some images first, or use a sample.")
        if waiting := len(changes_in(sheet)):
            raise UnusedCorrections(
                f"The data does not have your {waiting} correction{'s' * (waiting > 1)} yet: press “Use the "
                "corrected data” in step 2 first, or “Undo all changes” there."
            )
        recipe = recipe_of(preset, mirror, values)
        actions = actions_of(service, request)
        seen = seen_by(service, request)
        run = actions.queue_training(seen.datasets.load(fingerprint), name or "", recipe, base=base)
        return {run_id: run.id, **watch.updates(seen, run.id, fresh=True), panel.suggested: name or ""}

    panel.advanced.expand(offer, panel.base, panel.base, **QUEUED)
    # in the browser, so that no hand is fast enough to start a preset with another one's values
    presets = {key: preset_values(key, service.base.patch_size) for key in PRESETS}
    filled = panel.preset.input(
        None,
        [panel.preset, panel.cost],
        [*panel.fields, panel.cost],
        js=call("settings.fill", presets, line(_MEASURING, kind="cost", role="")),
        **QUIET,
    )
    told_again: dict[str, Any] = {
        **LAST,
        "show_progress": "minimal",
        "show_progress_on": [panel.cost],
        "concurrency_limit": 1,
        "concurrency_id": "estimates",
        "api_visibility": "private",
    }
    estimated = tell, [data, *panel.asked], [panel.cost, panel.line]
    changes = [check.taken.change, panel.mirror.change, panel.base.input, panel.name.blur]
    changes += [field.blur if isinstance(field, gr.Number) else field.input for field in panel.fields]
    gr.on(changes, *estimated, **told_again)
    filled.then(*estimated, **told_again)
    return panel.start.click(
        begin,
        [data, check.panel.sheet, *panel.asked],
        [run_id, *watch.outputs, panel.suggested],
        show_progress_on=[watch.progress],
        api_visibility="private",
    )


def told_cost(
    seen: Seen,
    fingerprint: str | None,
    name: str,
    preset: str,
    mirror: bool,
    values: Any,
    *,
    base: str | None = None,
    is_cancelled: IsCancelled = never_cancelled,
) -> tuple[str, str]:
    """What the training will take, or all that is wrong, and its line; nothing before there is data.

    Args:
        base: the base to train on; the configured one when None.
        is_cancelled: returns whether the request was cancelled.
    """
    if fingerprint is None:
        return "", ""
    wrong = [error for error in field_errors(preset, values) if error]
    if wrong:
        return Markup().join(notice(error, kind="error") for error in wrong), ""
    try:
        recipe = recipe_of(preset, mirror, values)
        other = base if base != seen.settings.base else None
        command = train_command(f"{STORED_PREFIX}{fingerprint[:_SHORT]}", _slug(name), recipe, base=other)
        if other is not None:
            cost = notice_of_other(seen, other, recipe)
        else:
            cost = _cost(seen, fingerprint, recipe, is_cancelled)
        return cost + _successor(seen, name), command
    except LoraVitError as error:
        return notice(error.in_public, kind="error"), ""


def _cost(seen: Seen, fingerprint: str, recipe: Recipe, is_cancelled: IsCancelled) -> Markup:
    return cost_summary(seen.estimate(fingerprint, recipe, is_cancelled=is_cancelled))


def _successor(seen: Seen, name: str) -> Markup:
    """Told before it happens: a name that is taken gives that adapter its next version."""
    try:
        taken = seen.registry.catalog.adapter(slug_of(seen.visitor.name, _slug(name)))
    except UnknownAdapter:
        return Markup()
    became = "exists and gets" if taken.archived_at is None else "is archived; it comes back with"
    return notice(f"“{taken.title}” {became} its next version from this; another name makes a new task.")


def _slug(name: str) -> str:
    return slugified(name)[0] if name.strip() else UNNAMED
