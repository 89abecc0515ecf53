"""The parts of a card that change an adapter: texts, aliases, withdrawal and archive."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import gradio as gr

from loravit_web.access.rights import NotAllowed, Visitor
from loravit_web.catalog.facts import AdapterFacts
from loravit_web.catalog.plans import Plan
from loravit_web.errors import LoraVitError
from loravit_web.serving.answers import unlike_above, unsure_below
from loravit_web.training.files.reliability import UNLIKE, UNSURE
from loravit_web.ui.catalog.card import plan_html, reliability_html
from loravit_web.ui.kit.markup import notice
from registry import AS_TRAINED, HIGHEST_UNLIKE, LOWEST_UNLIKE, Thresholds

USUAL_ALIASES = ("production", "staging")


class ChangedMeanwhile(LoraVitError):
    """Another user changed the text that is being edited."""


class NotANumber(LoraVitError):
    """A threshold that is not a number."""


@dataclass(frozen=True)
class Texts:
    """The editable texts of an adapter."""

    title: str
    description: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Edits:
    """Changes of an adapter's texts.

    Attributes:
        texts: New title and description, by name. An unchanged text is left out.
        add: Tags to add.
        remove: Tags to remove.
    """

    texts: Mapping[str, str]
    add: tuple[str, ...]
    remove: tuple[str, ...]


@dataclass(frozen=True)
class ConfirmPanel:
    """The confirmation of a change: its consequences, and buttons to carry it out or cancel.

    Attributes:
        pending: Change that waits for confirmation, or None.
        box: Contains the other components.
        text: Consequences of the change.
        yes: Carries out the change.
        no: Cancels the change.
    """

    pending: gr.State
    box: gr.Column
    text: gr.HTML
    yes: gr.Button
    no: gr.Button

    @property
    def outputs(self) -> set[Any]:
        """Components that `asking` and `closed` update."""
        return {self.pending, self.box, self.text, self.yes}

    def asking(self, plan: Plan, *, changed: bool = False) -> dict[Any, Any]:
        """Return updates that ask for confirmation.

        Args:
            plan: Change to confirm.
            changed: Whether the consequences have changed since the user was asked.
        """
        return {
            self.pending: plan,
            self.box: gr.Column(visible=True),
            self.text: plan_html(plan, changed=changed),
            self.yes: gr.Button(plan.confirm),
        }

    def closed(self) -> dict[Any, Any]:
        """Return updates that hide the panel."""
        return {self.pending: None, self.box: gr.Column(visible=False)}


@dataclass(frozen=True)
class ChangePanel:
    """The components that change an adapter.

    Each part has a notice, named ``…_off``, with the reason if the visitor cannot use it.

    Attributes:
        loaded: Texts of the adapter when the user began to edit, as `Texts`.
        move: Confirms a move of an alias.
        retire: Confirms a withdrawal or the archiving of the adapter.
    """

    aliases: gr.HTML
    alias: gr.Dropdown
    promote: gr.Button
    rollback: gr.Button
    alias_off: gr.HTML
    move: ConfirmPanel
    title: gr.Textbox
    description: gr.Textbox
    tags: gr.Dropdown
    save: gr.Button
    texts_off: gr.HTML
    loaded: gr.State
    reason: gr.Textbox
    withdraw: gr.Button
    archive: gr.Button
    restore: gr.Button
    retire_off: gr.HTML
    retire: ConfirmPanel
    told: gr.HTML
    unlike: gr.Number
    unsure: gr.Number
    set_thresholds: gr.Button
    reset_thresholds: gr.Button
    thresholds_off: gr.HTML

    @property
    def outputs(self) -> set[Any]:
        """Components that the methods update."""
        parts = {getattr(self, one.name) for one in fields(self) if one.name not in ("move", "retire")}
        return parts | self.asked

    @property
    def inputs(self) -> set[Any]:
        """Components that `followed` reads."""
        return {self.title, self.description, self.tags, self.loaded}

    @property
    def typed(self) -> Collection[Any]:
        """Other fields that may contain unsaved text."""
        return {self.alias, self.reason, self.unlike, self.unsure}

    @property
    def asked(self) -> set[Any]:
        """Components of the confirmations."""
        return {*self.move.outputs, *self.retire.outputs}

    def followed(self, data: Mapping[Any, Any], updates: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return the updates that keep unsaved texts, for a version that is shown again.

        Args:
            data: Values of ``inputs``.
            updates: Updates from `opened`.
        """
        before: Texts | None = data[self.loaded]
        stay: dict[str, Any] = {}
        for name in ("title", "description", "tags") if before is not None else ():
            typed, loaded = data[getattr(self, name)], getattr(before, name)
            if typed is not None and (set(typed) != set(loaded) if name == "tags" else typed != loaded):
                stay[name] = loaded
        left = {getattr(self, name) for name in stay}
        others = {part: one for part, one in updates.items() if part not in left}
        return {**others, self.loaded: replace(updates[self.loaded], **stay)}

    def opened(self, facts: AdapterFacts, visitor: Visitor) -> dict[Any, Any]:
        """Return updates that show a version."""
        texts = texts_of(facts)
        aliases = [one.alias for one in facts.adapter.aliases]
        return {
            self.alias: gr.Dropdown(
                choices=list(dict.fromkeys([*aliases, *USUAL_ALIASES])),
                value=aliases[0] if len(aliases) == 1 else None,
            ),
            self.title: texts.title,
            self.description: texts.description,
            self.tags: gr.Dropdown(
                choices=list(texts.tags), value=list(texts.tags), multiselect=True, allow_custom_value=True
            ),
            self.loaded: texts,
            self.reason: "",
            self.told: reliability_html(facts),
            self.unlike: unlike_above(facts.version.thresholds),
            self.unsure: unsure_below(facts.version.thresholds),
            **self._allowed(facts, visitor),
            **self.move.closed(),
            **self.retire.closed(),
        }

    def _allowed(self, facts: AdapterFacts, visitor: Visitor) -> dict[Any, Any]:
        curate, retire = visitor.refusal("curate"), why_not_retire(facts, visitor)
        withdrawn, archived = facts.version.withdrawn_at is not None, facts.adapter.archived_at is not None
        return {
            self.alias_off: _reason(curate),
            self.texts_off: _reason(curate),
            self.retire_off: _reason(retire),
            self.thresholds_off: _reason(curate),
            self.set_thresholds: gr.Button(interactive=curate is None and not withdrawn),
            self.reset_thresholds: gr.Button(
                interactive=curate is None and not withdrawn and facts.version.thresholds != AS_TRAINED
            ),
            self.promote: gr.Button(interactive=curate is None and not withdrawn),
            self.rollback: gr.Button(interactive=curate is None and bool(facts.adapter.aliases)),
            self.save: gr.Button(interactive=curate is None),
            self.withdraw: gr.Button(interactive=retire is None and not withdrawn),
            self.archive: gr.Button(interactive=retire is None, visible=not archived),
            self.restore: gr.Button(interactive=retire is None, visible=archived),
        }


def build_change() -> ChangePanel:
    """Build the tabs, without events."""
    parts: dict[str, Any] = {}
    with gr.Tab("Aliases"):
        _aliases(parts)
    with gr.Tab("Thresholds"):
        _thresholds(parts)
    with gr.Tab("Edit"):
        _texts(parts)
    with gr.Tab("Withdraw or archive"):
        _retire(parts)
    return ChangePanel(loaded=gr.State(None), **parts)


def _aliases(parts: dict[str, Any]) -> None:
    parts["aliases"] = gr.HTML(elem_id="catalog-aliases")
    parts["alias_off"] = gr.HTML(visible=False, elem_id="catalog-aliases-off")
    parts["alias"] = gr.Dropdown(
        label="Alias",
        info="A movable name for a version, e.g. production.",
        choices=list(USUAL_ALIASES),
        value=None,
        allow_custom_value=True,
        elem_id="catalog-alias",
    )
    with gr.Row():
        parts["promote"] = gr.Button("Promote this version", min_width=140, elem_id="catalog-promote")
        parts["rollback"] = gr.Button("Roll back", min_width=140, elem_id="catalog-rollback")
    parts["move"] = _confirm("catalog-move")


def _thresholds(parts: dict[str, Any]) -> None:
    parts["told"] = gr.HTML(elem_id="catalog-told")
    parts["thresholds_off"] = gr.HTML(visible=False, elem_id="catalog-thresholds-off")
    parts["unlike"] = gr.Number(
        label="Unlike above",
        info="Multiple of the trained threshold. Raise it if known images are called unlike.",
        value=UNLIKE,
        minimum=LOWEST_UNLIKE,
        maximum=HIGHEST_UNLIKE,
        step=0.05,
        elem_id="catalog-unlike",
    )
    parts["unsure"] = gr.Number(
        label="Unsure below",
        info="Confidence, 0 to 1. Raise it to get fewer wrong answers that are not called unsure.",
        value=UNSURE,
        minimum=0,
        maximum=1,
        step=0.05,
        elem_id="catalog-unsure",
    )
    with gr.Row():
        parts["set_thresholds"] = gr.Button("Save thresholds", min_width=140, elem_id="catalog-thresholds")
        parts["reset_thresholds"] = gr.Button(
            "Reset to as trained", min_width=140, elem_id="catalog-thresholds-reset"
        )


def _texts(parts: dict[str, Any]) -> None:
    parts["texts_off"] = gr.HTML(visible=False, elem_id="catalog-texts-off")
    parts["title"] = gr.Textbox(label="Title", max_length=120, elem_id="catalog-title")
    parts["description"] = gr.Textbox(
        label="Description", lines=3, max_length=10_000, elem_id="catalog-description"
    )
    parts["tags"] = gr.Dropdown(
        label="Tags",
        info="Lowercase letters, digits and hyphens. Press Enter to add a tag.",
        choices=[],
        value=[],
        multiselect=True,
        allow_custom_value=True,
        elem_id="catalog-edit-tags",
    )
    parts["save"] = gr.Button("Save changes", elem_id="catalog-save")


def _retire(parts: dict[str, Any]) -> None:
    parts["retire_off"] = gr.HTML(visible=False, elem_id="catalog-retire-off")
    parts["reason"] = gr.Textbox(
        label="Reason for withdrawal",
        info="Shown to anyone who requests this version.",
        max_length=500,
        elem_id="catalog-reason",
    )
    parts["withdraw"] = gr.Button("Withdraw this version…", variant="stop", elem_id="catalog-withdraw")
    with gr.Row():
        parts["archive"] = gr.Button("Archive the adapter…", elem_id="catalog-archive")
        parts["restore"] = gr.Button("Restore the adapter", visible=False, elem_id="catalog-restore")
    parts["retire"] = _confirm("catalog-retire")


def _confirm(prefix: str) -> ConfirmPanel:
    with gr.Column(visible=False, elem_id=f"{prefix}-ask") as box:
        text = gr.HTML()
        with gr.Row():
            yes = gr.Button(variant="stop", min_width=140, elem_id=f"{prefix}-yes")
            no = gr.Button("Cancel", min_width=140, elem_id=f"{prefix}-no")
    return ConfirmPanel(gr.State(None), box, text, yes, no)


def texts_of(facts: AdapterFacts) -> Texts:
    """Return the current texts of an adapter."""
    adapter = facts.adapter
    return Texts(adapter.title, adapter.description, adapter.tags)


def edited(loaded: Texts, typed: Texts, now: Texts) -> Edits:
    """Return what a user changed.

    Args:
        loaded: Texts when the user began to edit.
        typed: Texts as the user left them.
        now: Current texts in the catalog.

    Raises:
        ChangedMeanwhile: If another user changed the same text to something else.
    """
    texts: dict[str, str] = {}
    for name in ("title", "description"):
        before, after, current = (getattr(one, name) for one in (loaded, typed, now))
        if after == before:
            continue
        if current not in (before, after):
            raise ChangedMeanwhile(
                f"Another user changed the {name} to “{current[:200]}”. Your text is still in the field; "
                "copy it, then select the adapter again to edit the new text."
            )
        texts[name] = after
    before_tags, after_tags = set(loaded.tags), set(typed.tags)
    return Edits(texts, tuple(sorted(after_tags - before_tags)), tuple(sorted(before_tags - after_tags)))


def why_not_retire(facts: AdapterFacts, visitor: Visitor) -> str | None:
    """Return why a visitor cannot withdraw or archive, or None if they can."""
    refusal = visitor.refusal("retire")
    if refusal is not None:
        return refusal
    try:
        visitor.must_own(facts.adapter.owner, facts.adapter.title)
    except NotAllowed as error:
        return error.in_public
    return None


def _reason(refusal: str | None) -> gr.HTML:
    return gr.HTML(notice(refusal, title="View only.") if refusal else "", visible=refusal is not None)


def typed_thresholds(unlike: object, unsure: object) -> Thresholds:
    """Return the thresholds in the fields. An empty field, or the trained value, is as trained.

    Raises:
        NotANumber: If a field contains something else than a number.
    """
    return Thresholds(_typed("Unlike above", unlike, UNLIKE), _typed("Unsure below", unsure, UNSURE))


def _typed(field: str, value: object, trained: float) -> float | None:
    if value is None or value == trained:
        return None
    if not isinstance(value, int | float):
        raise NotANumber(f"“{field}” is not a number. Enter one, or empty the field to reset it.")
    return float(value)
