"""The first answer of a run, shown while its adapter is still training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from loravit_web.adapters.files.first_answer import EVALUATION_FILE, FirstAnswer, read_first_answer
from loravit_web.ui.kit.confusion import confusion_table
from loravit_web.ui.kit.events import Updates
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.language.texts import _, gettext_noop, numeral
from loravit_web.visibility import Seen
from registry import BlobMissing, ConfusionCell, EvaluationDetails, Run, UnknownRunFile

CAPTION = gettext_noop("Confusion matrix of the first answer (validation). The result has its own.")


@dataclass(frozen=True)
class FirstPanel:
    """Components of the first answer; hidden without one.

    Attributes:
        sentence: When it was ready, and its accuracy.
        details: Accordion with the confusion matrix.
        matrix: Confusion matrix.
    """

    sentence: gr.HTML
    details: gr.Accordion
    matrix: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """Components that `updates` fills."""
        return [self.sentence, self.details, self.matrix]

    def updates(self, answer: FirstAnswer | None, error: str = "") -> Updates:
        """Return updates that show a first answer, or an error in its place, or hide the components.

        Args:
            answer: First answer, if there is one.
            error: Reason why it cannot be shown.
        """
        if answer is None:
            return {
                self.sentence: gr.HTML(notice(error, kind="error"), visible=bool(error)),
                self.details: gr.Accordion(visible=False),
                self.matrix: "",
            }
        return {
            self.sentence: gr.HTML(notice(sentence(answer)), visible=True),
            self.details: gr.Accordion(visible=bool(answer.confusion)),
            self.matrix: _matrix(answer) if answer.confusion else "",
        }


def build_first(prefix: str) -> FirstPanel:
    """Build the components.

    Args:
        prefix: Prefix of the element IDs.
    """
    said = gr.HTML(visible=False, elem_id=f"{prefix}-first")
    with gr.Accordion(
        _("Confusion matrix"), open=False, visible=False, elem_id=f"{prefix}-first-more"
    ) as more:
        matrix = gr.HTML(elem_id=f"{prefix}-first-confusion")
    return FirstPanel(said, more, matrix)


def first_answer_of(seen: Seen, run: Run) -> FirstAnswer | None:
    """Return the first answer of a run that is training, or None if it has none.

    Raises:
        FirstAnswerDamaged: If its file cannot be read.
    """
    if run.status != "running":
        return None
    try:
        return read_first_answer(seen.registry.run_files.read(run.id, EVALUATION_FILE))
    except (UnknownRunFile, BlobMissing):  # not computed yet, or removed because the run has just ended
        return None


def sentence(answer: FirstAnswer) -> str:
    """Return when a first answer was ready, and its accuracy."""
    told: dict[str, object] = {
        "seconds": numeral(answer.seconds, ".0f"),
        "accuracy": numeral(answer.accuracy, ".0%"),
        "images": numeral(answer.n),
    }
    if answer.mean_average_precision is None:
        return _(
            "First answer after {seconds} s: {accuracy} of {images} validation images correct (a probe "
            "without training).",
            **told,
        )
    return _(
        "First answer after {seconds} s: mAP {precision}, {accuracy} of {images} validation images correct "
        "in all their labels (a probe without training).",
        precision=numeral(answer.mean_average_precision, ".3f"),
        **told,
    )


def _matrix(answer: FirstAnswer) -> Markup:
    cells = tuple(ConfusionCell(*cell) for cell in answer.confusion)
    return confusion_table(EvaluationDetails(answer.class_names, (), cells), _(CAPTION), opens=False)
