"""Frame of Train: one of five steps in view, a bar that names all of them, and a line for what is decided.

All steps stay on the page, and CSS hides those that are not in view: a hidden step of `gr.Walkthrough` has no
components, so no event could fill it. The script ``train/steps`` shows another step at once, in the browser.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from loravit_web.ui.language.texts import _, gettext_noop
from loravit_web.ui.scripts import on_load
from loravit_web.ui.templates import render

STEPS = {
    "data": gettext_noop("Data"),
    "check": gettext_noop("Check"),
    "settings": gettext_noop("Settings"),
    "watch": gettext_noop("Watch"),
    "result": gettext_noop("Result"),
}
"""Titles of the steps, in their order."""


def build_bar() -> gr.HTML:
    """Build the bar of the steps, and the lines of those that are done."""
    return gr.HTML(
        render("train/steps", steps=STEPS), js_on_load=on_load("steps.listen"), elem_id="train-bar"
    )


@contextmanager
def step(name: str) -> Iterator[None]:
    """Build a step with its heading; its components are built inside the context.

    Args:
        name: Name of the step, one of `STEPS`.
    """
    with gr.Column(elem_id=f"train-step-{name}", elem_classes="lv-step"):
        gr.HTML(render("train/heading", title=_(STEPS[name])))
        yield


@contextmanager
def actions() -> Iterator[None]:
    """Build the row of a step's buttons, which stays in view."""
    with gr.Row(elem_classes="lv-actions"):
        yield


def go_back(to: str) -> gr.Button:
    """Build the button that leads to an earlier step."""
    return gr.Button(_("Back"), min_width=80, scale=0, elem_id=f"train-back-to-{to}")
