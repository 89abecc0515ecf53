"""The parts of a card that change something: texts, aliases, withdrawal and archive."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import gradio as gr

from loravit_web.access.rights import NotAllowed, Visitor
from loravit_web.catalog.facts import AdapterFacts
from loravit_web.catalog.plans import Plan
from loravit_web.errors import LoraVitError
from loravit_web.ui.catalog.card import plan_html
from loravit_web.ui.kit.markup import notice

USUAL_ALIASES = ("production", "staging")


class ChangedMeanwhile(LoraVitError):
    """Somebody else changed what is being edited."""


@dataclass(frozen=True)
class Texts:
    """What people say about an adapter."""

    title: str
    description: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Edits:
    """What is to be changed: title and description by name, and tags."""

    texts: Mapping[str, str]
    add: tuple[str, ...]
    remove: tuple[str, ...]


@dataclass(frozen=True)
class ConfirmPanel:
    """The second step of a change: what will happen, and the buttons that do it or leave it."""

    pending: gr.State
    box: gr.Column
    text: gr.HTML
    yes: gr.Button
    no: gr.Button

    @property
    def outputs(self) -> set[Any]:
        """All components that change."""
        return {self.pending, self.box, self.text, self.yes}

    def asking(self, plan: Plan, *, changed: bool = False) -> dict[Any, Any]:
        """Updates that ask."""
        return {
            self.pending: plan,
            self.box: gr.Column(visible=True),
            self.text: plan_html(plan, changed=changed),
            self.yes: gr.Button(plan.confirm),
        }

    def closed(self) -> dict[Any, Any]:
        """Updates that ask nothing."""
        return {self.pending: None, self.box: gr.Column(visible=False)}


@dataclass(frozen=True)
class ChangePanel:
    """The components that change an adapter, each part with the reason why it is off, where it is."""

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

    @property
    def outputs(self) -> set[Any]:
        """All that `opened`, `asking` and `closed` update."""
        parts = {getattr(self, one.name) for one in fields(self) if one.name not in ("move", "retire")}
        return parts | self.asked

    @property
    def inputs(self) -> set[Any]:
        """What `followed` reads; ``loaded`` is what the reader began with."""
        return {self.title, self.description, self.tags, self.loaded}

    @property
    def typed(self) -> Collection[Any]:
        """What else a reader may be typing into."""
        return {self.alias, self.reason}

    @property
    def asked(self) -> set[Any]:
        """The questions before a change."""
        return {*self.move.outputs, *self.retire.outputs}

    def followed(self, data: Mapping[Any, Any], updates: Mapping[Any, Any]) -> dict[Any, Any]:
        """Of the updates for the same version shown again those that leave texts that were not saved."""
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
        """Updates for a version."""
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
            self.promote: gr.Button(interactive=curate is None and not withdrawn),
            self.rollback: gr.Button(interactive=curate is None and bool(facts.adapter.aliases)),
            self.save: gr.Button(interactive=curate is None),
            self.withdraw: gr.Button(interactive=retire is None and not withdrawn),
            self.archive: gr.Button(interactive=retire is None, visible=not archived),
            self.restore: gr.Button(interactive=retire is None, visible=archived),
        }


def build_change() -> ChangePanel:
    """Build the tabs; nothing is connected."""
    parts: dict[str, Any] = {}
    with gr.Tab("Aliases"):
        _aliases(parts)
    with gr.Tab("Edit"):
        _texts(parts)
    with gr.Tab("Retire"):
        _retire(parts)
    return ChangePanel(loaded=gr.State(None), **parts)


def _aliases(parts: dict[str, Any]) -> None:
    parts["aliases"] = gr.HTML(elem_id="catalog-aliases")
    parts["alias_off"] = gr.HTML(visible=False, elem_id="catalog-aliases-off")
    parts["alias"] = gr.Dropdown(
        label="Alias",
        info="A name such as production that means one version, until somebody moves it.",
        choices=list(USUAL_ALIASES),
        value=None,
        allow_custom_value=True,
        elem_id="catalog-alias",
    )
    with gr.Row():
        parts["promote"] = gr.Button("Let it mean this version", min_width=140, elem_id="catalog-promote")
        parts["rollback"] = gr.Button("Roll it back", min_width=140, elem_id="catalog-rollback")
    parts["move"] = _confirm("catalog-move")


def _texts(parts: dict[str, Any]) -> None:
    parts["texts_off"] = gr.HTML(visible=False, elem_id="catalog-texts-off")
    parts["title"] = gr.Textbox(label="Title", max_length=120, elem_id="catalog-title")
    parts["description"] = gr.Textbox(
        label="Description", lines=3, max_length=10_000, elem_id="catalog-description"
    )
    parts["tags"] = gr.Dropdown(
        label="Tags",
        info="Lower-case letters, digits and hyphens; Enter adds one.",
        choices=[],
        value=[],
        multiselect=True,
        allow_custom_value=True,
        elem_id="catalog-edit-tags",
    )
    parts["save"] = gr.Button("Save", elem_id="catalog-save")


def _retire(parts: dict[str, Any]) -> None:
    parts["retire_off"] = gr.HTML(visible=False, elem_id="catalog-retire-off")
    parts["reason"] = gr.Textbox(
        label="Why this version must not be used",
        info="Whoever asks for it reads this.",
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
            no = gr.Button("Leave it as it is", min_width=140, elem_id=f"{prefix}-no")
    return ConfirmPanel(gr.State(None), box, text, yes, no)


def texts_of(facts: AdapterFacts) -> Texts:
    """What people say about the adapter now."""
    adapter = facts.adapter
    return Texts(adapter.title, adapter.description, adapter.tags)


def edited(loaded: Texts, typed: Texts, now: Texts) -> Edits:
    """What a reader changed.

    Args:
        loaded: what the reader began with.
        now: what the catalog says now.

    Raises:
        ChangedMeanwhile: if somebody else changed the same text in another way.
    """
    texts: dict[str, str] = {}
    for name in ("title", "description"):
        before, after, current = (getattr(one, name) for one in (loaded, typed, now))
        if after == before:
            continue
        if current not in (before, after):
            raise ChangedMeanwhile(
                f"Somebody changed the {name} meanwhile, to “{current[:200]}”: choose the adapter again to "
                "start from that; your text is still in the field to be copied."
            )
        texts[name] = after
    before_tags, after_tags = set(loaded.tags), set(typed.tags)
    return Edits(texts, tuple(sorted(after_tags - before_tags)), tuple(sorted(before_tags - after_tags)))


def why_not_retire(facts: AdapterFacts, visitor: Visitor) -> str | None:
    """Why a visitor can't withdraw or archive; None where they can."""
    refusal = visitor.refusal("retire")
    if refusal is not None:
        return refusal
    try:
        visitor.must_own(facts.adapter.owner, facts.adapter.title)
    except NotAllowed as error:
        return error.in_public
    return None


def _reason(refusal: str | None) -> gr.HTML:
    return gr.HTML(notice(refusal, title="Read only.") if refusal else "", visible=refusal is not None)
