"""The field for the base of a training: what it offers, and what follows from a choice."""

from __future__ import annotations

import gradio as gr
from markupsafe import Markup

from loravit_web.catalog.offered_bases import OfferedBase
from loravit_web.training.recipe import Recipe
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.language.texts import _, gettext_noop
from loravit_web.visibility import Seen

INFO = gettext_noop("The frozen model that the adapter is trained on.")


def build_base(configured: str, *, visible: bool) -> gr.Dropdown:
    """Build the field with the configured base alone; `offers` adds the others."""
    return gr.Dropdown(
        [configured],
        value=configured,
        label=_("Base"),
        info=_(INFO),
        # the server would else compare with the choices that it built the field with
        allow_custom_value=True,
        visible=visible,
        elem_id="train-base",
    )


def offers(seen: Seen, chosen: str | None) -> gr.Dropdown:
    """Return the field with the bases that can be loaded now, and keep the chosen one if it is among them."""
    bases = seen.bases()
    problem = None if all(base.is_at_hand for base in bases) else seen.hub.problem
    listed = [base for base in bases if base.is_at_hand or problem is None]
    names = [base.name for base in listed]
    return gr.Dropdown(
        [(_label(base), base.name) for base in listed],
        value=chosen if chosen in names else names[0],
        info=_(INFO) if problem is None else f"{_(INFO)} {problem} {_('Only bases at hand are listed.')}",
    )


def notice_of_other(seen: Seen, name: str, recipe: Recipe) -> Markup:
    """Return what a training on another base than the configured one changes."""
    base = next((base for base in seen.bases() if base.name == name), None)
    parts = [_("This training runs on {base}.", base=name)]
    if base is not None and base.patch_size is not None:
        side = recipe.fitted(base.patch_size).image_size
        parts.append(
            _(
                "Images have {side} px, a multiple of its patch size {patch_size}.",
                side=side,
                patch_size=base.patch_size,
            )
        )
    if base is not None and not base.is_at_hand:
        parts.append(_("The app downloads it first ({megabytes} MB).", megabytes=base.megabytes))
    return notice(" ".join([*parts, _("The time is estimated once the training runs.")]))


def _label(base: OfferedBase) -> str:
    facts = [base.license, "" if base.megabytes is None else f"{base.megabytes} MB"]
    facts += [] if base.is_at_hand else [_("download")]
    shown = ", ".join(filter(None, facts))
    return f"{base.name}{f' ({shown})' * bool(shown)}: {base.summary}"
