"""Images whose label looks wrong: the texts about them, and where steps 2 and 5 get them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from loravit_web.datasets import ImageDataset, ImageItem
from loravit_web.runs.suspects import Doubted, doubted_images, last_suspects, suspects_of_run
from loravit_web.training.files.suspects import Suspects, SuspectsDamaged
from loravit_web.ui.kit.events import Updates
from loravit_web.ui.kit.markup import line, notice
from loravit_web.ui.language.texts import _, gettext_noop, ngettext, numeral
from loravit_web.util.labels import several
from loravit_web.visibility import Seen
from registry import RegistryError


@dataclass(frozen=True)
class Doubts:
    """Suspicious labels of a dataset.

    Attributes:
        entries: Images with their captions, the most suspicious first.
        notice: Notice with their number, or why they cannot be shown; empty if no run examined the images.
    """

    entries: tuple[tuple[ImageItem, str], ...]
    notice: Markup


NOT_SEARCHED = gettext_noop("Data with several labels per image is not searched for suspicious labels.")
BY_LAST = gettext_noop("The last training on this dataset examined {n} training and validation images.")
BY_THIS = gettext_noop("This training examined {n} training and validation images.")
NO_DOUBTS = Doubts((), Markup())
"""Nothing is known of the labels."""


@dataclass(frozen=True)
class SuspectsPanel:
    """Components of step 5.

    Attributes:
        text: Notice with the number of suspicious labels.
        show: Button that shows these images.
    """

    text: gr.HTML
    show: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """Components that the methods update."""
        return [self.text, self.show]

    def shown(self, doubts: Doubts) -> Updates:
        """Return updates that show the number of suspicious labels."""
        return {self.text: doubts.notice, self.show: gr.Button(visible=bool(doubts.entries))}


def build_suspects() -> SuspectsPanel:
    """Build the components; the step connects the button."""
    text = gr.HTML(elem_id="train-suspects")
    show = gr.Button(_("Show suspicious labels"), size="sm", visible=False, elem_id="train-suspicious")
    return SuspectsPanel(text, show)


def doubts_of_dataset(seen: Seen, dataset: ImageDataset) -> Doubts:
    """Return the suspicious labels that the last run on a dataset found.

    Args:
        seen: What the visitor sees.
        dataset: Dataset of the images.
    """
    return _doubts(
        lambda: last_suspects(seen.registry, dataset.fingerprint),
        dataset,
        examined_by=BY_LAST,
    )


def doubts_of_run(seen: Seen, run_id: str, dataset: ImageDataset) -> Doubts:
    """Return the suspicious labels that a run found.

    Args:
        seen: What the visitor sees.
        run_id: ID of the run.
        dataset: Dataset of the run.
    """
    if several(dataset.labels):
        return Doubts((), line(_(NOT_SEARCHED)))
    return _doubts(lambda: suspects_of_run(seen.registry, run_id), dataset, examined_by=BY_THIS)


def caption_of(doubted: Doubted) -> str:
    """Return the caption of a suspicious image, with its label and the suggested class."""
    return _(
        "“{label}”? Probably “{suggested}” ({probability})",
        label=doubted.label,
        suggested=doubted.suggested,
        probability=numeral(doubted.probability, ".0%"),
    )


def doubts_notice(suspicious: int, examined: int, *, examined_by: str) -> Markup:
    """Return a notice with the number of suspicious labels.

    Args:
        suspicious: Number of images whose label looks wrong.
        examined: Number of images that were examined.
        examined_by: Sentence that names the run, `BY_LAST` or `BY_THIS`.
    """
    text = _(examined_by, n=examined)
    if not suspicious:
        return notice(f"{_('No label looks wrong.')} {text}", kind="success")
    labels = ngettext("{n} label looks wrong.", "{n} labels look wrong.", suspicious)
    todo = _("Check these images below. A label changes only if you change it.")
    return notice(f"{labels} {text} {todo}", kind="warning")


def _doubts(read: Callable[[], Suspects | None], dataset: ImageDataset, *, examined_by: str) -> Doubts:
    try:
        suspects = read()
    except (SuspectsDamaged, RegistryError) as error:  # everything else about the data is shown
        return Doubts((), notice(error.in_public, kind="error"))
    if suspects is None:
        return NO_DOUBTS
    found = doubted_images(suspects, dataset)
    entries = tuple((doubted.item, caption_of(doubted)) for doubted in found)
    return Doubts(entries, doubts_notice(len(found), suspects.examined, examined_by=examined_by))
