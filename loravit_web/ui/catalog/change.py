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
from loravit_web.ui.catalog.card import aliases_html, reliability_html
from loravit_web.ui.catalog.versions import USUAL_ALIASES
from loravit_web.ui.kit.confirm import ConfirmPanel
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.language.texts import _, gettext_noop
from loravit_web.ui.scripts import on_load
from registry import AS_TRAINED, HIGHEST_UNLIKE, LOWEST_UNLIKE, Thresholds

_CHANGED = {
    "title": gettext_noop(
        "Another user changed the title to “{current}”. Your text is still in the field; copy it, then "
        "select the adapter again to edit the new text."
    ),
    "description": gettext_noop(
        "Another user changed the description to “{current}”. Your text is still in the field; copy it, then "
        "select the adapter again to edit the new text."
    ),
}


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
class ChangePanel:
    """The components that change an adapter.

    Each part has a notice, named ``…_off``, with the reason if the visitor cannot use it.

    Attributes:
        confirm: Confirms every change that needs it; ``alias`` is a part of it while a version is promoted.
        promote: Asks to which alias the open version is promoted.
        aliases: Aliases and their history.
        loaded: Texts of the adapter when the user began to edit, as `Texts`.
        reason_told: Says that the reason of a withdrawal is missing.
    """

    confirm: ConfirmPanel
    alias: gr.Dropdown
    promote: gr.Button
    aliases: gr.HTML
    alias_off: gr.HTML
    title: gr.Textbox
    description: gr.Textbox
    tags: gr.Dropdown
    save: gr.Button
    texts_off: gr.HTML
    loaded: gr.State
    reason: gr.Textbox
    reason_told: gr.HTML
    withdraw: gr.Button
    archive: gr.Button
    restore: gr.Button
    delete: gr.Button
    delete_adapter: gr.Button
    retire_off: gr.HTML
    told: gr.HTML
    unlike: gr.Number
    unsure: gr.Number
    set_thresholds: gr.Button
    reset_thresholds: gr.Button
    thresholds_off: gr.HTML

    @property
    def outputs(self) -> set[Any]:
        """Components that the methods update."""
        parts = {getattr(self, one.name) for one in fields(self) if one.name != "confirm"}
        return parts | self.asked

    @property
    def inputs(self) -> set[Any]:
        """Components that `followed` reads."""
        return {self.title, self.description, self.tags, self.loaded}

    @property
    def typed(self) -> Collection[Any]:
        """Other fields that may contain unsaved text."""
        return {self.reason, self.unlike, self.unsure}

    @property
    def asked(self) -> set[Any]:
        """Components of the confirmation."""
        return {*self.confirm.outputs, self.alias}

    def asking(self, plan: Plan, *, changed: bool = False) -> dict[Any, Any]:
        """Return updates that ask for the confirmation of a change."""
        is_promotion = plan.change.kind == "promote"
        alias = {self.alias: plan.change.alias} if is_promotion else {self.alias: gr.Dropdown(visible=False)}
        return {
            **self.confirm.asking(plan, changed=changed),
            **alias,
            self.reason_told: gr.HTML(visible=False),
        }

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
        may = visitor.may("curate")
        return {
            self.aliases: aliases_html(facts, can_roll_back=may),
            self.reason_told: gr.HTML(visible=False),
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
            **self.confirm.closed(),
        }

    def _allowed(self, facts: AdapterFacts, visitor: Visitor) -> dict[Any, Any]:
        curate, retire = visitor.refusal("curate"), why_not_retire(facts, visitor)
        above = visitor.refusal("import")  # stands above the list already
        withdrawn, archived = facts.version.withdrawn_at is not None, facts.adapter.archived_at is not None
        return {
            self.alias_off: _reason(curate, above),
            self.texts_off: _reason(curate, above),
            self.retire_off: _reason(retire, above),
            self.thresholds_off: _reason(curate, above),
            self.set_thresholds: gr.Button(interactive=curate is None and not withdrawn),
            self.reset_thresholds: gr.Button(
                interactive=curate is None and not withdrawn and facts.version.thresholds != AS_TRAINED
            ),
            self.promote: gr.Button(interactive=curate is None and not withdrawn),
            self.save: gr.Button(interactive=curate is None),
            self.withdraw: gr.Button(interactive=retire is None and not withdrawn),
            self.archive: gr.Button(interactive=retire is None, visible=not archived),
            self.restore: gr.Button(interactive=retire is None, visible=archived),
            self.delete: gr.Button(interactive=retire is None),
            self.delete_adapter: gr.Button(visible=visitor.may("manage")),
        }


def build_change(confirm: ConfirmPanel, alias: gr.Dropdown, promote: gr.Button) -> ChangePanel:
    """Build the tabs, without events.

    Args:
        confirm: Confirmation of the changes.
        alias: Alias of a promotion.
        promote: Button that asks for a promotion.
    """
    parts: dict[str, Any] = {"confirm": confirm, "alias": alias, "promote": promote}
    with gr.Tab(_("Aliases")):
        _aliases(parts)
    with gr.Tab(_("Thresholds")):
        _thresholds(parts)
    with gr.Tab(_("Edit")):
        _texts(parts)
    with gr.Tab(_("Withdraw or delete")):
        _retire(parts)
    return ChangePanel(loaded=gr.State(None), **parts)


def build_alias() -> gr.Dropdown:
    """Build the choice of an alias for a promotion, hidden until there is one. The caller renders it."""
    return gr.Dropdown(
        label=_("Alias"),
        info=_("A movable name for a version. Type a new one to create it."),
        choices=list(USUAL_ALIASES),
        value=None,
        allow_custom_value=True,
        visible=False,
        render=False,
        elem_id="catalog-alias",
    )


def _aliases(parts: dict[str, Any]) -> None:
    parts["aliases"] = gr.HTML(js_on_load=on_load("versions.listenToAliases"), elem_id="catalog-aliases")
    parts["alias_off"] = gr.HTML(visible=False, elem_id="catalog-aliases-off")


def _thresholds(parts: dict[str, Any]) -> None:
    parts["told"] = gr.HTML(elem_id="catalog-told")
    parts["thresholds_off"] = gr.HTML(visible=False, elem_id="catalog-thresholds-off")
    parts["unlike"] = gr.Number(
        label=_("Unlike above"),
        info=_("Multiple of the trained threshold. Raise it if known images are called unlike."),
        value=UNLIKE,
        minimum=LOWEST_UNLIKE,
        maximum=HIGHEST_UNLIKE,
        step=0.05,
        elem_id="catalog-unlike",
    )
    parts["unsure"] = gr.Number(
        label=_("Unsure below"),
        info=_("Confidence, 0 to 1. Raise it to get fewer wrong answers that are not called unsure."),
        value=UNSURE,
        minimum=0,
        maximum=1,
        step=0.05,
        elem_id="catalog-unsure",
    )
    with gr.Row():
        parts["set_thresholds"] = gr.Button(_("Save thresholds"), min_width=140, elem_id="catalog-thresholds")
        parts["reset_thresholds"] = gr.Button(
            _("Reset to as trained"), min_width=140, elem_id="catalog-thresholds-reset"
        )


def _texts(parts: dict[str, Any]) -> None:
    parts["texts_off"] = gr.HTML(visible=False, elem_id="catalog-texts-off")
    parts["title"] = gr.Textbox(label=_("Title"), max_length=120, elem_id="catalog-title")
    parts["description"] = gr.Textbox(
        label=_("Description"), lines=3, max_length=10_000, elem_id="catalog-description"
    )
    parts["tags"] = gr.Dropdown(
        label=_("Tags"),
        info=_("Lowercase letters, digits and hyphens. Press Enter to add a tag."),
        choices=[],
        value=[],
        multiselect=True,
        allow_custom_value=True,
        elem_id="catalog-edit-tags",
    )
    parts["save"] = gr.Button(_("Save changes"), elem_id="catalog-save")


def _retire(parts: dict[str, Any]) -> None:
    parts["retire_off"] = gr.HTML(visible=False, elem_id="catalog-retire-off")
    parts["reason"] = gr.Textbox(
        label=_("Reason for withdrawal"),
        info=_("Shown to anyone who requests this version."),
        max_length=500,
        elem_id="catalog-reason",
    )
    parts["reason_told"] = gr.HTML(visible=False, elem_id="catalog-reason-told")
    with gr.Row():
        parts["withdraw"] = _stop(_("Withdraw this version…"), "catalog-withdraw")
        parts["delete"] = _stop(_("Delete this version…"), "catalog-delete")
    with gr.Row():
        parts["archive"] = gr.Button(_("Archive the adapter…"), min_width=140, elem_id="catalog-archive")
        parts["restore"] = gr.Button(
            _("Restore the adapter"), min_width=140, visible=False, elem_id="catalog-restore"
        )
        parts["delete_adapter"] = _stop(_("Delete the adapter…"), "catalog-delete-adapter", visible=False)


def _stop(label: str, elem_id: str, *, visible: bool = True) -> gr.Button:
    return gr.Button(label, variant="stop", min_width=140, visible=visible, elem_id=elem_id)


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
            raise ChangedMeanwhile(_(_CHANGED[name], current=current[:200]))
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


def _reason(refusal: str | None, above: str | None) -> gr.HTML:
    """Return the notice with a reason, unless the same one is shown above."""
    if refusal is None or refusal == above:
        return gr.HTML("", visible=False)
    return gr.HTML(notice(refusal, title=_("View only.")), visible=True)


def typed_thresholds(unlike: object, unsure: object) -> Thresholds:
    """Return the thresholds in the fields. An empty field, or the trained value, is as trained.

    Raises:
        NotANumber: If a field contains something else than a number.
    """
    return Thresholds(_typed(_("Unlike above"), unlike, UNLIKE), _typed(_("Unsure below"), unsure, UNSURE))


def _typed(field: str, value: object, trained: float) -> float | None:
    if value is None or value == trained:
        return None
    if not isinstance(value, int | float):
        raise NotANumber(
            _("“{field}” is not a number. Enter one, or empty the field to reset it.", field=field)
        )
    return float(value)
