"""Buttons that change a run, shared by Train and Runs. Cancelling needs a confirmation."""

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
from loravit_web.ui.language.texts import _, gettext_noop
from registry import Run

Handler = Callable[..., Any]
RunId = gr.State | gr.BrowserState
QUESTION = gettext_noop("Cancel this run? Its training progress is lost, and nothing will be published.")


@dataclass(frozen=True)
class RunButtons:
    """Buttons and the confirmation of a cancellation.

    Attributes:
        keep: Stops the training and publishes the best epoch.
        cancel: Asks for the confirmation.
        resume: Queues the run again.
        retry: Queues a new run with half the batch size.
        sure: Column with the confirmation.
        question: Question of the confirmation.
        yes: Cancels the run.
        no: Closes the confirmation.
    """

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
        """Components that depend on the run."""
        return [self.keep, self.cancel, self.resume, self.retry, self.sure]

    def updates(self, run: Run, *, fresh: bool, may: bool = True) -> Updates:
        """Return updates for a run.

        Args:
            run: Run to show.
            fresh: Whether another run was shown before; then an open confirmation is closed.
            may: Whether the visitor may change the run. Otherwise the buttons are disabled.
        """
        steps, best = steps_of(run), best_step(run)

        def button(step: Any, **changes: Any) -> gr.Button:
            variant: Any = "primary" if best == step else "secondary"
            return gr.Button(visible=step in steps, interactive=may, variant=variant, **changes)

        return {
            self.keep: button("keep"),
            self.cancel: gr.Button(visible="cancel" in steps, interactive=may),
            self.resume: button("resume", value=_("Run again") if run.status == "cancelled" else _("Resume")),
            self.retry: button("retry", value=_("Retry with batch size {size}", size=half_batch(run))),
            **({self.sure: gr.Column(visible=False)} if fresh or "cancel" not in steps else {}),
        }


def build_buttons(prefix: str) -> RunButtons:
    """Build the buttons, which are hidden until there is a run.

    Args:
        prefix: Prefix of the element IDs.
    """
    with gr.Row():
        keep = gr.Button(
            _("Stop and publish best epoch"), visible=False, elem_id=f"{prefix}-keep", min_width=160
        )
        cancel = gr.Button(
            _("Cancel run"), variant="stop", visible=False, elem_id=f"{prefix}-cancel", min_width=120
        )
        resume = gr.Button(_("Resume"), visible=False, elem_id=f"{prefix}-resume", min_width=120)
        retry = gr.Button(
            _("Retry with a smaller batch"), visible=False, elem_id=f"{prefix}-retry", min_width=200
        )
    with gr.Column(visible=False, elem_id=f"{prefix}-sure") as sure:
        question = gr.HTML(line(_(QUESTION), kind="ask", role="alert"))
        with gr.Row():
            yes = gr.Button(
                _("Yes, cancel run"), variant="stop", elem_id=f"{prefix}-cancel-yes", min_width=140
            )
            no = gr.Button(_("Keep run"), elem_id=f"{prefix}-cancel-no", min_width=140)
    return RunButtons(keep, cancel, resume, retry, sure, question, yes, no)


def connect_buttons(
    service: Service,
    buttons: RunButtons,
    run_id: RunId,
    outputs: list[Any],
    updates: Callable[[str, gr.Request], Updates],
) -> None:
    """Add the events of the buttons.

    Args:
        service: Service with the runs.
        buttons: Buttons.
        run_id: ID of the run that the buttons change.
        outputs: Components that show the run.
        updates: Returns the updates of ``outputs`` for a run.
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
