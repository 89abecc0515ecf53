"""The confirmation of a change: what it does, and buttons to carry it out or cancel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gradio as gr
from markupsafe import Markup

from loravit_web.ui.language.texts import _
from loravit_web.ui.scripts import on_load
from loravit_web.ui.templates import render


class Question(Protocol):
    """A change to confirm."""

    @property
    def consequences(self) -> tuple[str, ...]:
        """Consequences, one sentence each."""

    @property
    def confirm(self) -> str:
        """Label of the button that confirms the change."""

    @property
    def note(self) -> str:
        """Additional information, or an empty text."""


@dataclass(frozen=True)
class ConfirmPanel:
    """The components of a confirmation, which stands at the lower edge of the window, always in view.

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

    def asking(self, question: Question, *, changed: bool = False) -> dict[Any, Any]:
        """Return updates that ask for confirmation.

        Args:
            question: Change to confirm.
            changed: Whether the consequences have changed since the user was asked.
        """
        return {
            self.pending: question,
            self.box: gr.Column(visible=True),
            self.text: plan_html(question.consequences, question.note, changed=changed),
            self.yes: gr.Button(question.confirm),
        }

    def closed(self) -> dict[Any, Any]:
        """Return updates that hide the panel."""
        return {self.pending: None, self.box: gr.Column(visible=False)}


def plan_html(consequences: Sequence[str], note: str, *, changed: bool) -> Markup:
    """Return the consequences of a change.

    Args:
        consequences: Consequences, one sentence each.
        note: Additional information, or an empty text.
        changed: Whether the consequences have changed since the user was asked.
    """
    sentences = [*consequences, *([note] if note else [])]
    return render("kit/plan", sentences=sentences, is_changed=changed)


def build_confirm(prefix: str, *, within: Callable[[], object] | None = None) -> ConfirmPanel:
    """Build the panel, which is hidden at first.

    Args:
        prefix: Prefix of the element IDs.
        within: Renders further components between text and buttons.
    """
    with gr.Column(visible=False, elem_id=f"{prefix}-ask", elem_classes="lv-ask") as box:
        text = gr.HTML(js_on_load=on_load("confirm.shown"))
        if within is not None:
            within()
        with gr.Row():
            yes = gr.Button(variant="stop", min_width=140, elem_id=f"{prefix}-yes")
            no = gr.Button(_("Cancel"), min_width=140, elem_id=f"{prefix}-no")
    return ConfirmPanel(gr.State(None), box, text, yes, no)
