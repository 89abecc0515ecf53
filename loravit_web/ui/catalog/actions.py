"""The buttons of a card. A change that affects others needs a confirmation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from loravit_web.catalog.facts import read_facts
from loravit_web.catalog.plans import (
    NEEDED,
    CatalogChange,
    ChangeKind,
    ReasonMissing,
    carry_out,
    plan_of,
)
from loravit_web.ui.catalog.change import Texts, edited, texts_of, typed_thresholds
from loravit_web.ui.catalog.take_away import connect_export
from loravit_web.ui.catalog.versions import USUAL_ALIASES, alias_to_promote
from loravit_web.ui.catalog.view import CatalogView
from loravit_web.ui.kit.errors import plain, told
from loravit_web.ui.kit.events import EACH, LAST, Data, Updates, unchanged
from loravit_web.ui.kit.markup import line
from loravit_web.ui.kit.served import bundle_file
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.language.texts import _
from loravit_web.ui.scripts import call
from registry import AS_TRAINED, Adapter, Thresholds, Version

_PRIVATE: dict[str, Any] = {"api_visibility": "private", "preprocess": False}
# An error shows a toast. Without this, every output would show a badge as well.
_QUIET: dict[str, Any] = {"show_progress": "hidden", **_PRIVATE}


def imported_sentence(version: Version, adapter: Adapter) -> str:
    """Return the message after an import. The same files may have been published before."""
    if version.withdrawn_at is not None:
        return _(
            "{ref} already exists and is withdrawn: {reason}",
            ref=version.ref,
            reason=version.withdrawn_reason,
        )
    if adapter.archived_at is not None:
        return _("{ref} already exists and is archived. Restore the adapter to use it.", ref=version.ref)
    return _("{ref} is in the catalog. Press Try it to classify an image.", ref=version.ref)


def connect_actions(view: CatalogView) -> None:
    """Connect the buttons of the card and the import."""
    change = view.card.change
    _promote(view)
    _ask(view, change.withdraw, "withdraw")
    _ask(view, change.delete, "delete")
    _ask(view, change.delete_adapter, "delete_adapter")
    _ask(view, change.archive, "archive")
    _ask(view, change.restore, "restore")
    _confirm(view)
    _texts(view)
    _thresholds(view)
    _files(view)


def _promote(view: CatalogView) -> None:
    """Ask for promotions and rollbacks: of the open version, of a row of the table, and of an alias."""
    card, change = view.card, view.card.change

    def asked(ref: str, request: gr.Request) -> Updates:
        seen = seen_by(view.service, request)
        seen.visitor.must(NEEDED["promote"])
        facts = read_facts(seen.registry, seen.predictor, ref)
        alias = alias_to_promote(facts, facts.version)
        names = [one.alias for one in facts.adapter.aliases]
        plan = plan_of(seen.registry, CatalogChange("promote", facts.version.ref, alias))
        offered = list(dict.fromkeys([*names, *USUAL_ALIASES]))
        return {**change.asking(plan), change.alias: gr.Dropdown(offered, value=alias, visible=True)}

    @told
    def ask_open(data: Data, request: gr.Request) -> Updates:
        return asked(data[card.ref], request)

    @told
    def ask_row(event: gr.EventData, request: gr.Request) -> Updates:
        return asked(str(event.ref), request)

    @told
    def ask_again(data: Data, request: gr.Request) -> Updates:
        plan = data[change.confirm.pending]
        if plan is None or not data[change.alias]:
            return unchanged()
        registry = seen_by(view.service, request).registry
        return change.asking(plan_of(registry, replace(plan.change, alias=data[change.alias].strip())))

    @told
    def ask_rollback(data: Data, event: gr.EventData, request: gr.Request) -> Updates:
        seen = seen_by(view.service, request)
        seen.visitor.must(NEEDED["rollback"])
        plan = plan_of(seen.registry, CatalogChange("rollback", data[card.ref], str(event.alias)))
        return change.asking(plan)

    outputs = [*change.asked, change.reason_told]
    change.promote.click(ask_open, {card.ref}, outputs, **_QUIET)
    card.versions.click(ask_row, None, outputs, **EACH, **_QUIET)
    change.aliases.click(ask_rollback, {card.ref}, outputs, **EACH, **_QUIET)
    change.alias.input(ask_again, {change.confirm.pending, change.alias}, outputs, **LAST, **_QUIET)


def _ask(view: CatalogView, button: gr.Button, kind: ChangeKind) -> None:
    """Ask for a change of the open version or its adapter, or carry it out if it is harmless."""
    card, change = view.card, view.card.change

    @told
    def ask(data: Data, request: gr.Request) -> Updates:
        seen = seen_by(view.service, request)
        seen.visitor.must(NEEDED[kind])
        try:
            plan = plan_of(seen.registry, CatalogChange(kind, data[card.ref], "", data[change.reason] or ""))
        except ReasonMissing as error:
            return {
                change.reason_told: gr.HTML(line(str(error), kind="field-error", role="alert"), visible=True)
            }
        return _carry_out(view, plan.change, data, request) if plan.harmless else change.asking(plan)

    asked = button.click(ask, {*view.inputs, change.reason}, view.outputs, **_QUIET)
    if kind == "withdraw":
        asked.then(None, None, None, js=call("card.showFault"), **_QUIET)


def _confirm(view: CatalogView) -> None:
    """Carry out a confirmed change, unless its text or its consequences have changed since the question."""
    change, panel = view.card.change, view.card.change.confirm

    @told
    def do(data: Data, request: gr.Request) -> Updates:
        plan = data[panel.pending]
        if plan is None:  # a second click before the reply to the first one
            return panel.closed()
        registry = seen_by(view.service, request).registry
        typed = _as_typed(plan.change, data[change.alias], data[change.reason])
        if typed != plan.change:  # edited after the question
            return change.asking(plan_of(registry, typed))
        now = plan_of(registry, plan.change)
        if now != plan:
            return change.asking(now, changed=True)
        return _carry_out(view, plan.change, data, request)

    given = {*view.inputs, change.alias, change.reason, panel.pending}
    done = panel.yes.click(do, given, view.outputs, **_QUIET)
    done.success(None, view.card.link, None, js=call("card.show"), **_PRIVATE)
    panel.no.click(panel.closed, None, list(panel.outputs), queue=False, **_QUIET)


def _as_typed(change: CatalogChange, alias: Any, reason: Any) -> CatalogChange:
    """Return a change with the present text of the fields that belong to it."""
    if change.kind == "promote":
        return replace(change, alias=str(alias or "").strip())
    return replace(change, reason=str(reason or "")) if change.kind == "withdraw" else change


def _carry_out(view: CatalogView, change: CatalogChange, data: Data, request: gr.Request) -> Updates:
    """Carry out a change, and return the updates of the page. The toast appears at once."""
    sentence = carry_out(actions_of(view.service, request), change)
    updates = _after(view, change, data, request)
    gr.Success(plain(sentence), title=_("Done"))
    return updates


def _after(view: CatalogView, change: CatalogChange, data: Data, request: gr.Request) -> Updates:
    """Return the updates of the page after a change. After a deletion, the newest version is shown."""
    if change.kind not in ("delete", "delete_adapter"):
        return view.shown_again(data, data[view.card.ref], request)
    return view.opened(data, change.slug, request) if change.kind == "delete" else view.closed(data, request)


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
        gr.Success(_("Changes saved."), title=_("Saved"))
        return updates

    change.save.click(save, view.inputs, view.outputs, **_QUIET)


def _thresholds(view: CatalogView) -> None:
    change = view.card.change

    def changed(data: Data, thresholds: Thresholds, request: gr.Request) -> Updates:
        version = actions_of(view.service, request).set_thresholds(data[view.card.ref], thresholds)
        updates = view.shown_again(data, version.ref, request)
        gr.Success(plain(_("The thresholds of {ref} are changed.", ref=version.ref)), title=_("Saved"))
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
        gr.Success(plain(imported_sentence(version, adapter)), title=_("Imported"))
        return updates

    connect_export(service, card.ref, card.export)
    saved = card.download.click(give_out, card.ref, card.file, **_QUIET)
    saved.success(None, card.file, None, js=call("card.saveFile"), **_PRIVATE)
    given = {*view.inputs, view.upload}
    taken = view.upload.upload(
        take_in, given, view.outputs, show_progress="minimal", show_progress_on=[view.found], **_PRIVATE
    )
    taken.success(None, card.link, None, js=call("card.show"), **_PRIVATE)
