"""The buttons of a card. A change that affects others needs a confirmation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from loravit_web.catalog.facts import read_facts
from loravit_web.catalog.plans import CatalogChange, ChangeKind, carry_out, plan_of
from loravit_web.ui.catalog.change import ConfirmPanel, Texts, edited, texts_of, typed_thresholds
from loravit_web.ui.catalog.view import CatalogView
from loravit_web.ui.kit.errors import plain, told
from loravit_web.ui.kit.events import Data, Updates
from loravit_web.ui.kit.served import bundle_file
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.scripts import call
from registry import AS_TRAINED, Adapter, Thresholds, Version

_PRIVATE: dict[str, Any] = {"api_visibility": "private", "preprocess": False}
# An error shows a toast. Without this, every output would show a badge as well.
_QUIET: dict[str, Any] = {"show_progress": "hidden", **_PRIVATE}


def imported_sentence(version: Version, adapter: Adapter) -> str:
    """Return the message after an import. The same files may have been published before."""
    if version.withdrawn_at is not None:
        return f"{version.ref} already exists and is withdrawn: {version.withdrawn_reason}"
    if adapter.archived_at is not None:
        return f"{version.ref} already exists and is archived. Restore the adapter to use it."
    return f"{version.ref} is in the catalog. Press Try it to classify an image."


def connect_actions(view: CatalogView) -> None:
    """Connect the buttons of the card and the import."""
    change = view.card.change
    _two_steps(view, change.promote, "promote", change.move)
    _two_steps(view, change.rollback, "rollback", change.move)
    _two_steps(view, change.withdraw, "withdraw", change.retire)
    _two_steps(view, change.archive, "archive", change.retire)
    _two_steps(view, change.restore, "restore", change.retire)
    for panel in (change.move, change.retire):
        _second_step(view, panel)
    _texts(view)
    _thresholds(view)
    _files(view)


def _two_steps(view: CatalogView, button: gr.Button, kind: ChangeKind, panel: ConfirmPanel) -> None:
    card = view.card

    @told
    def ask(data: Data, request: gr.Request) -> Updates:
        plan = plan_of(
            seen_by(view.service, request).registry, _requested_change(view, kind, data[card.ref], data)
        )
        if plan.harmless:
            return _carry_out(view, plan.change, data, request)
        return {**card.change.move.closed(), **card.change.retire.closed(), **panel.asking(plan)}

    button.click(ask, {*view.inputs, *card.change.typed}, view.outputs, **_QUIET)


def _requested_change(view: CatalogView, kind: ChangeKind, ref: str, data: Data) -> CatalogChange:
    change = view.card.change
    return CatalogChange(kind, ref, (data[change.alias] or "").strip(), data[change.reason] or "")


def _second_step(view: CatalogView, panel: ConfirmPanel) -> None:
    @told
    def do(data: Data, request: gr.Request) -> Updates:
        plan = data[panel.pending]
        if plan is None:  # a second click before the reply to the first one
            return panel.closed()
        registry = seen_by(view.service, request).registry
        typed = _requested_change(view, plan.change.kind, plan.change.ref, data)
        if typed != plan.change:  # edited after the question
            return panel.asking(plan_of(registry, typed))
        now = plan_of(registry, plan.change)
        if now != plan:
            return panel.asking(now, changed=True)
        return _carry_out(view, plan.change, data, request)

    given = {*view.inputs, *view.card.change.typed, panel.pending}
    panel.yes.click(do, given, view.outputs, **_QUIET)
    panel.no.click(panel.closed, None, view.outputs, queue=False, **_QUIET)


def _carry_out(view: CatalogView, change: CatalogChange, data: Data, request: gr.Request) -> Updates:
    """Carry out a change, and return the updates of the page. The toast appears at once."""
    sentence = carry_out(actions_of(view.service, request), change)
    updates = view.shown_again(data, change.ref, request)
    gr.Success(plain(sentence), title="Done")
    return updates


def _texts(view: CatalogView) -> None:
    change, service = view.card.change, view.service

    @told
    def save(data: Data, request: gr.Request) -> Updates:
        ref = data[view.card.ref]
        seen = seen_by(service, request)
        facts = read_facts(seen.registry, seen.predictor, ref)
        typed = Texts(data[change.title], data[change.description], tuple(data[change.tags] or ()))
        edits, actions = edited(data[change.loaded], typed, texts_of(facts)), actions_of(service, request)
        actions.describe(facts.adapter.slug, **edits.texts, add_tags=edits.add, remove_tags=edits.remove)
        updates = view.opened(data, ref, request)
        gr.Success("Changes saved.", title="Saved")
        return updates

    change.save.click(save, view.inputs, view.outputs, **_QUIET)


def _thresholds(view: CatalogView) -> None:
    change = view.card.change

    def changed(data: Data, thresholds: Thresholds, request: gr.Request) -> Updates:
        version = actions_of(view.service, request).set_thresholds(data[view.card.ref], thresholds)
        updates = view.shown_again(data, version.ref, request)
        gr.Success(plain(f"The thresholds of {version.ref} are changed."), title="Saved")
        return updates

    @told
    def save(data: Data, request: gr.Request) -> Updates:
        return changed(data, typed_thresholds(data[change.unlike], data[change.unsure]), request)

    @told
    def reset(data: Data, request: gr.Request) -> Updates:
        return changed(data, AS_TRAINED, request)

    given = {*view.inputs, change.unlike, change.unsure}
    change.set_thresholds.click(save, given, view.outputs, **_QUIET)
    change.reset_thresholds.click(reset, view.inputs, view.outputs, **_QUIET)


def _files(view: CatalogView) -> None:
    card, service = view.card, view.service

    @told
    def give_out(ref: str, request: gr.Request) -> str:
        seen = seen_by(service, request)
        return bundle_file(seen, seen.registry.catalog.resolve(ref))

    @told
    def take_in(data: Data, request: gr.Request) -> Updates:
        version = actions_of(service, request).import_bundle(Path(data[view.upload]["path"]))
        adapter = seen_by(service, request).registry.catalog.adapter(version.slug)
        updates = view.opened(data, version.ref, request)
        gr.Success(plain(imported_sentence(version, adapter)), title="Imported")
        return updates

    saved = card.download.click(give_out, card.ref, card.file, **_QUIET)
    saved.success(None, card.file, None, js=call("card.saveFile"), **_PRIVATE)
    given = {*view.inputs, view.upload}
    taken = view.upload.upload(
        take_in, given, view.outputs, show_progress="minimal", show_progress_on=[view.found], **_PRIVATE
    )
    taken.success(None, card.versions, None, js=call("card.show"), **_PRIVATE)
