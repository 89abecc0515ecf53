"""Step 3 of Train: presets, advanced settings, the estimated cost, and the equivalent command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
from loravit_web.ui.kit.errors import told_at
from loravit_web.ui.kit.events import LAST, QUEUED, QUIET, Updates, unchanged
from loravit_web.ui.kit.markup import cost_summary, line, notice
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.kit.share import build_code
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.language.texts import _, gettext_noop, ngettext
from loravit_web.ui.runs.watch import WatchPanel
from loravit_web.ui.scripts import call
from loravit_web.ui.templates import render
from loravit_web.ui.train.bases import build_base, notice_of_other, offers
from loravit_web.ui.train.check import CheckPanel
from loravit_web.ui.train.fields import build_fields, field_errors, preset_values, recipe_of
from loravit_web.ui.train.lock import AlreadyTraining, already_text, unfinished_run
from loravit_web.ui.train.presets import preset_choices, preset_times
from loravit_web.ui.train.relabel import Sheet, changes_in
from loravit_web.ui.train.steps import actions, go_back
from loravit_web.util.cancellation import IsCancelled, never_cancelled
from loravit_web.visibility import Seen
from registry import UnknownAdapter

_MEASURING = gettext_noop("Estimating training time…")
UNNAMED, LONGEST_NAME = "my-task", 80
_SHORT = 12


class NoData(LoraVitError):
    """Training was started without a dataset."""


class UnusedCorrections(LoraVitError):
    """Training was started with changes that were not applied to the dataset."""


@dataclass(frozen=True)
class SettingsPanel:
    """Components of the step.

    Attributes:
        name: Title of the task.
        brought: Text of `suggestions` for new data. Setting it changes what the user did not change.
        suggested: Name that the data suggested or that was last trained; new data may replace it.
        preset: Key of the preset.
        mirror: Whether to augment with horizontal flips.
        mirrored: Value of ``mirror`` that the data suggested.
        fields: Advanced settings, in the order of `ALL_FIELDS`.
        cost: Estimated cost, or the errors of the settings.
        line: Equivalent command line.
        problem: Why the training was not started.
        lock: Why it cannot be started now.
        start: Button that queues the training.
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
    problem: gr.HTML
    lock: gr.HTML
    start: gr.Button

    @property
    def asked(self) -> list[Any]:
        """Components that decide a run."""
        return [self.name, self.preset, self.mirror, self.base, *self.fields]


def build_settings(service: Service) -> SettingsPanel:
    """Build the components for the configured base; `connect_settings` adds the events.

    Args:
        service: Everything that the app has open.
    """
    patch_size, settings = service.base.patch_size, service.settings
    name = gr.Textbox(
        label=_("Name"),
        placeholder=_("My flowers"),
        max_lines=1,
        max_length=LONGEST_NAME,
        elem_id="train-name",
    )
    preset = gr.Radio(
        preset_choices(patch_size, {}),
        value=DRAFT,
        label=_("Preset"),
        elem_id="train-preset",
    )
    mirror = gr.Checkbox(
        value=True,
        label=_("Augment with horizontal flips"),
        info=_("Turn off for text, digits, or anything where left and right matter."),
        elem_id="train-mirror",
    )
    with gr.Accordion(_("Advanced"), open=False, elem_id="train-advanced") as advanced:
        base = build_base(settings.base, visible=settings.mode != "demo")
        fields = build_fields(DRAFT, patch_size)
    with gr.Accordion(_("Command line"), open=False, elem_id="train-shell"):
        line = build_code(_("Command"), "train-line")
    cost = gr.HTML("", elem_id="train-cost")
    problem, lock = gr.HTML(elem_id="train-start-problem"), gr.HTML(elem_id="train-lock")
    with actions():
        back = go_back("check")
        start = gr.Button(_("Start training"), variant="primary", interactive=False, elem_id="train-start")
    back.click(None, None, None, js=call("steps.show", "check"), **QUIET)
    brought, suggested = (gr.Textbox("", visible=False, container=False) for _ in range(2))
    mirrored = gr.Checkbox(True, visible=False)
    panel = SettingsPanel(
        name,
        brought,
        suggested,
        preset,
        mirror,
        mirrored,
        advanced,
        base,
        fields,
        cost,
        line,
        problem,
        lock,
        start,
    )
    theirs = [name, suggested, mirror, mirrored]
    brought.change(None, [brought, *theirs], theirs, js=call("settings.takeSuggestions"), **QUIET)
    return panel


def suggestions(data: str, *, mirror: bool) -> str:
    """Return the settings that new data suggest, as JSON for the browser.

    Args:
        data: Name of the dataset.
        mirror: Whether horizontal flips suit the data.
    """
    return json.dumps({"name": suggested_name(data), "mirror": mirror, "nonce": uuid4().hex})


def suggested_name(data: str) -> str:
    """Return the name of a dataset without a remark in parentheses at its end."""
    return re.sub(r"(?<=\S)\s*\([^()]*\)$", "", data)[:LONGEST_NAME]


def connect_settings(
    service: Service,
    panel: SettingsPanel,
    check: CheckPanel,
    run_id: gr.BrowserState,
    watch: WatchPanel,
    presence: Presence,
) -> gr.events.Dependency:
    """Add the events: a change of a setting updates the estimate, and the button queues the run.

    Args:
        service: Service that trains.
        panel: Components of the step.
        check: Components of the step before, with the dataset.
        run_id: ID of the watched run, which becomes the new run.
        watch: Components that follow the new run.
        presence: Registry of the open pages.

    Returns:
        The event that queues the run.
    """
    data, patch_size = check.data, service.base.patch_size

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
        # the name is None until its field was drawn, for example if another tab is open
        cost, line = told_cost(
            seen, fingerprint, name or "", preset, mirror, values, base=base, is_cancelled=is_cancelled
        )
        times = preset_times(seen, fingerprint, mirror, patch_size)
        choices = gr.Radio(choices=preset_choices(patch_size, times))
        return {panel.cost: cost, panel.line: line, **({panel.preset: choices} if times else {})}

    def offer(chosen: str | None, request: gr.Request) -> gr.Dropdown:
        return offers(seen_by(service, request), chosen)

    def lock(
        request: gr.Request,
        fingerprint: str | None,
        name: str | None,
        preset: str,
        mirror: bool,
        base: str | None,
        *values: Any,
    ) -> str:
        seen = seen_by(service, request)
        twin = unfinished_run(seen, fingerprint, name or "", preset, mirror, values, base)
        return "" if twin is None else notice(already_text(twin))

    @told_at(panel.problem)
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
            raise NoData(_("There is no dataset. Add images or choose a sample dataset first."))
        if waiting := len(changes_in(sheet)):
            raise UnusedCorrections(
                ngettext(
                    "You have {n} unapplied change. Apply or discard it in Check first.",
                    "You have {n} unapplied changes. Apply or discard them in Check first.",
                    waiting,
                )
            )
        recipe, seen = recipe_of(preset, mirror, values), seen_by(service, request)
        if twin := unfinished_run(seen, fingerprint, name or "", preset, mirror, values, base):
            raise AlreadyTraining(already_text(twin))
        run = actions_of(service, request).queue_training(
            seen.datasets.load(fingerprint), name or "", recipe, base=base
        )
        shown = watch.updates(seen, run.id, fresh=True)
        return {run_id: run.id, **shown, panel.suggested: name or "", panel.problem: ""}

    def reshow(watched: str | None, problem: str, request: gr.Request) -> Updates:
        """Show the run again that was watched before a training that was not started."""
        if not problem:
            return unchanged()
        shown = watch.updates(seen_by(service, request), watched, fresh=True)
        return shown or {watch.progress: notice(_(watch.empty))}

    panel.advanced.expand(offer, panel.base, panel.base, **QUEUED)
    # in the browser, so that a quick click on Start never trains with the values of another preset
    presets = {key: preset_values(key, patch_size) for key in PRESETS}
    filled = panel.preset.input(
        None,
        [panel.preset, panel.cost],
        [*panel.fields, panel.cost],
        js=call("settings.fill", presets, line(_(_MEASURING), kind="cost", role="")),
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
    estimated = tell, [data, *panel.asked], [panel.cost, panel.line, panel.preset]
    changes = [check.taken.change, panel.mirror.change, panel.base.input, panel.name.blur]
    changes += [
        field.blur if isinstance(field, gr.Number | gr.Textbox) else field.input for field in panel.fields
    ]
    gr.on(changes, *estimated, **told_again)
    filled.then(*estimated, **told_again)

    def lock_after(when: Callable[..., gr.events.Dependency]) -> None:
        locked = when(lock, [data, *panel.asked], panel.lock, **LAST, **QUIET)
        locked.then(None, [panel.lock, check.taken], panel.start, js=call("data.allow"), **QUIET)

    lock_after(partial(gr.on, [*changes, panel.name.input, watch.state.change]))
    lock_after(filled.then)
    # before the server is asked, so that the next step is in view at once
    panel.start.click(
        None,
        [panel.name],
        [watch.progress, panel.start],
        js=call("steps.begin", run_begins()),
        **QUIET,
    )
    started = panel.start.click(
        begin,
        [data, check.panel.sheet, *panel.asked],
        [run_id, *watch.outputs, panel.suggested, panel.problem],
        show_progress="hidden",
        api_visibility="private",
    )
    refused = started.then(None, panel.problem, None, js=call("steps.refuse"), **QUIET)
    lock_after(refused.then(reshow, [run_id, panel.problem], watch.outputs, **QUIET).then)
    return started


def run_begins() -> str:
    """Return what the step Watch shows until the server has queued the run."""
    return render("train/begins")


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
    """Return the estimated cost of a training, or all errors of its settings, and the command line.

    Args:
        seen: What the visitor sees.
        fingerprint: Fingerprint of the dataset; without one, both texts are empty.
        name: Title of the task.
        preset: Key of the preset.
        mirror: Whether to augment with horizontal flips.
        values: Values of the advanced settings, in the order of `ALL_FIELDS`.
        base: Base to train on; None for the configured one.
        is_cancelled: Returns whether the request was cancelled.
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
    """Return a notice if the name belongs to an adapter, which the training gives its next version."""
    try:
        taken = seen.registry.catalog.adapter(slug_of(seen.visitor.name, _slug(name)))
    except UnknownAdapter:
        return Markup()
    if taken.archived_at is None:
        text = _(
            "This will create the next version of “{title}”. Use another name for a new task.",
            title=taken.title,
        )
    else:
        text = _(
            "This will create the next version of “{title}” and restore it from the archive. Use another "
            "name for a new task.",
            title=taken.title,
        )
    return notice(text)


def _slug(name: str) -> str:
    return slugified(name)[0] if name.strip() else UNNAMED
