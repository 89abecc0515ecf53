"""Choice of the class as which the image is added to the training data of a task."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loravit_web.datasets import ImageDataset
from loravit_web.runs.taught import taught_dataset
from loravit_web.service import Service
from loravit_web.serving.answers import TaskAnswer
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import EACH, QUEUED, QUIET, Updates
from loravit_web.ui.kit.markup import heading
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.language.texts import _
from loravit_web.ui.scripts import call
from loravit_web.visibility import Seen
from registry import Version


@dataclass(frozen=True)
class TeachPanel:
    """Components of the choice; hidden until the menu of an answer opens it.

    Attributes:
        panel: Column with all others.
        title: Title with the task.
        ref: Version that answered.
        label: Class of the image.
        problem: Why the image was not added.
        add: Button that adds the image; the page connects it.
    """

    panel: gr.Column
    title: gr.HTML
    ref: gr.State
    label: gr.Dropdown
    problem: gr.HTML
    add: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """Components that the methods update."""
        return [self.panel, self.title, self.ref, self.label, self.problem]

    def opened(self, version: Version, dataset: ImageDataset) -> Updates:
        """Return updates that ask for the class."""
        return {
            self.panel: gr.Column(visible=True),
            self.title: heading(_("Add this image to the training data of “{title}”", title=version.title)),
            self.ref: version.ref,
            self.label: gr.Dropdown(choices=list(dataset.classes), value=None),
            self.problem: "",
        }

    def closed(self) -> Updates:
        """Return updates that hide the choice."""
        return {self.panel: gr.Column(visible=False), self.problem: ""}


def taught(seen: Seen, ref: str) -> tuple[ImageDataset, Version]:
    """Return the training data of a version, and the version; see `taught_dataset`."""
    return taught_dataset(seen.registry, seen.datasets, ref)


def teachable(seen: Seen, answers: Iterable[TaskAnswer]) -> Collection[str]:
    """Return the versions, among those that answered, to whose training data an image can be added.

    Args:
        seen: What the visitor sees.
        answers: Answers for the image.
    """
    if seen.visitor.refusal("train") is not None:
        return ()
    return {
        answer.task
        for answer in answers
        if answer.labels_per_image == "one"
        and (fingerprint := seen.predictor.trained_on(answer.task)) is not None
        and seen.datasets.has(fingerprint)
    }


def build_teach(service: Service, answers: gr.HTML) -> TeachPanel:
    """Build the components and the events that open and close them.

    Args:
        service: Service with the tasks and datasets.
        answers: Component with the answers, whose event ``input`` names a version.
    """
    ref = gr.State(None)
    with gr.Column(visible=False, elem_id="use-teach") as panel:
        title = gr.HTML(elem_id="use-teach-title")
        label = gr.Dropdown(label=_("Class"), info=_("What the image shows."), elem_id="use-teach-class")
        problem = gr.HTML(elem_id="use-teach-problem")
        with gr.Row():
            close = gr.Button(_("Cancel"), size="sm", min_width=90, elem_id="use-teach-cancel")
            add = gr.Button(
                _("Add and check the data"),
                size="sm",
                variant="primary",
                min_width=160,
                elem_id="use-teach-add",
            )
    shown = TeachPanel(panel, title, ref, label, problem, add)

    @told
    def choose(event: gr.EventData, request: gr.Request) -> Updates:
        dataset, version = taught(seen_by(service, request), str(event.teach))
        return shown.opened(version, dataset)

    answers.input(choose, None, shown.outputs, **EACH, **QUEUED).success(
        None, None, None, js=call("answers.showTeach"), **QUIET
    )
    close.click(shown.closed, None, shown.outputs, **QUIET)
    return shown
