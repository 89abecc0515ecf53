"""The buttons that change a run: one way for Train and Runs. Cancelling takes two steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loravit_web.actions import Actions
from loravit_web.runs.next_steps import best_step, half_batch, steps_of
from loravit_web.service import Service
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import QUEUED, QUIET, Updates
from loravit_web.ui.kit.markup import line
from loravit_web.ui.kit.visitors import actions_of
from registry import Run

Handler = Callable[..., Any]
RunId = gr.State | gr.BrowserState
QUESTION = "Cancel this run? What it learned is lost; nothing is published."


@dataclass(frozen=True)
class RunButtons:
    """The buttons, and what Cancel asks first."""

    keep: gr.Button
    cancel: gr.Button
    resume: gr.Button
    retry: gr.Button
    sure: gr.Column
    question: gr.HTML
    yes: gr.Button
    no: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """All that depends on the run."""
        return [self.keep, self.cancel, self.resume, self.retry, self.sure]

    def updates(self, run: Run, *, fresh: bool, may: bool = True) -> Updates:
        """Updates for a run.

        Args:
            fresh: whether another run is shown than before, so that an open question is about another one.
            may: whether the visitor may change the run; else the buttons are there and can't be pressed.
        """
        steps, best = steps_of(run), best_step(run)

        def button(step: Any, **changes: Any) -> gr.Button:
            variant: Any = "primary" if best == step else "secondary"
            return gr.Button(visible=step in steps, interactive=may, variant=variant, **changes)

        return {
            self.keep: button("keep"),
            self.cancel: gr.Button(visible="cancel" in steps, interactive=may),
            self.resume: button("resume", value="Queue it again" if run.status == "cancelled" else "Resume"),
            self.retry: button("retry", value=f"Retry with half the batch ({half_batch(run)})"),
            **({self.sure: gr.Column(visible=False)} if fresh or "cancel" not in steps else {}),
        }


def build_buttons(prefix: str) -> RunButtons:
    """Build the buttons, all hidden until there is a run."""
    with gr.Row():
        keep = gr.Button("Stop and keep the best", visible=False, elem_id=f"{prefix}-keep", min_width=160)
        cancel = gr.Button("Cancel", variant="stop", visible=False, elem_id=f"{prefix}-cancel", min_width=120)
        resume = gr.Button("Resume", visible=False, elem_id=f"{prefix}-resume", min_width=120)
        retry = gr.Button(
            "Retry with half the batch", visible=False, elem_id=f"{prefix}-retry", min_width=200
        )
    with gr.Column(visible=False, elem_id=f"{prefix}-sure") as sure:
        question = gr.HTML(line(QUESTION, kind="ask", role="alert"))
        with gr.Row():
            yes = gr.Button("Yes, cancel it", variant="stop", elem_id=f"{prefix}-cancel-yes", min_width=140)
            no = gr.Button("No, go on", elem_id=f"{prefix}-cancel-no", min_width=140)
    return RunButtons(keep, cancel, resume, retry, sure, question, yes, no)


def connect_buttons(
    service: Service,
    buttons: RunButtons,
    run_id: RunId,
    outputs: list[Any],
    updates: Callable[[str, gr.Request], Updates],
) -> None:
    """Let the buttons act on the run named by ``run_id``.

    Args:
        outputs: what follows the run.
        updates: gives the new values of those.
    """

    def on(button: gr.Button, act: Callable[[Actions, str], Run]) -> None:
        @told
        def act_on(run: str, request: gr.Request) -> Updates:
            done = act(actions_of(service, request), run)
            return {run_id: done.id, **updates(done.id, request)}

        button.click(act_on, run_id, [run_id, *outputs], **QUEUED)

    on(buttons.keep, lambda actions, run: actions.stop(run, keep=True))
    on(buttons.yes, lambda actions, run: actions.stop(run, keep=False))
    on(buttons.resume, lambda actions, run: actions.resume(run))
    on(buttons.retry, lambda actions, run: actions.retry(run))
    buttons.cancel.click(lambda: gr.Column(visible=True), None, buttons.sure, **QUIET)
    buttons.no.click(lambda: gr.Column(visible=False), None, buttons.sure, **QUIET)
