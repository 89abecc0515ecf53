"""Step 5 of Train: evaluation, misclassified images, and the next steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from loravit_web.catalog.naming import slugified
from loravit_web.datasets import ImageDataset
from loravit_web.datasets.errors import DatasetError
from loravit_web.errors import LoraVitError
from loravit_web.runs.demo import slug_of
from loravit_web.runs.results import Result, details_of, images_behind, result_of
from loravit_web.service import Service
from loravit_web.training.recipe import Recipe
from loravit_web.ui.kit.confusion import NoSuchCell, caption_of, cell_of, confusion_table, pairs_of
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import EACH, LAST, QUIET, Updates, unchanged
from loravit_web.ui.kit.markup import class_table, evaluation_table, line, notice
from loravit_web.ui.kit.served import bundle_file
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.language.texts import _, gettext_noop, numeral
from loravit_web.ui.language.words import split_name
from loravit_web.ui.runs.watch import WatchPanel, is_known
from loravit_web.ui.scripts import call, on_load
from loravit_web.ui.train.default import DefaultPanel, build_default
from loravit_web.ui.train.judged import JudgedPanel, build_judged
from loravit_web.ui.train.relabel import (
    IN_ORDER,
    Kept,
    RelabelPanel,
    Sheet,
    build_relabel,
    changes_in,
    changes_kept,
    changes_of,
)
from loravit_web.ui.train.stage import headline
from loravit_web.ui.train.steps import actions
from loravit_web.ui.train.suspects import SuspectsPanel, build_suspects, doubts_of_run
from loravit_web.ui.train.texts import build_texts
from loravit_web.visibility import Seen
from registry import EvaluationDetails, RegistryError, Run, Split

EMPTY = gettext_noop("Results appear here when training finishes.")
MOST_KEPT = 20
"""Maximum number of runs for which the browser keeps changes."""


class NoResultShown(LoraVitError):
    """A result was requested that does not exist."""


@dataclass(frozen=True)
class ResultPanel:
    """Components of the step.

    Attributes:
        head: Accuracy beside the probe and the version before, or a notice.
        default: Question which version people get.
        body: Column with everything below the head; hidden without a result.
        run_id: ID of the run whose result is shown.
        try_it: Button that opens the task in Use; the page connects it.
        split: Split to show.
        judged: Images of the split with their answers.
        matrix: Confusion matrix.
        pair: Choice of the most frequent confusions.
        classes: Metrics per class.
        suspects: Number of images whose label looks wrong, and a button that shows them.
        panel: Images of a cell, the suspicious or the changed ones.
        again: Button that trains again with the changes.
        texts: Title, description and tags.
        download: Button that downloads the version.
    """

    head: gr.HTML
    body: gr.Column
    run_id: gr.State
    try_it: gr.Button
    default: DefaultPanel
    split: gr.Radio
    judged: JudgedPanel
    matrix: gr.HTML
    pair: gr.Dropdown
    classes: gr.HTML
    suspects: SuspectsPanel
    panel: RelabelPanel
    again: gr.Button
    texts: tuple[gr.Textbox, ...]
    download: gr.DownloadButton

    @property
    def of_one_split(self) -> list[Any]:
        """Components that depend on the split."""
        shown = [self.judged.key, self.matrix, self.pair, self.classes]
        return [*shown, *self.suspects.outputs, *self.corrected]

    @property
    def corrected(self) -> list[Any]:
        """Components that show and change images."""
        return [*self.panel.outputs, self.again]

    @property
    def outputs(self) -> list[Any]:
        """Components that the methods update."""
        first = [self.head, *self.default.outputs, self.body, self.run_id, self.split]
        return [*first, *self.texts, self.download, *self.of_one_split]

    def of_watched(self, seen: Seen, watched: str | None, shown: str | None, kept: Any) -> Updates:
        """Return updates that show the result of the watched run, or no updates if it is shown already.

        Args:
            seen: What the visitor sees.
            watched: ID of the watched run.
            shown: ID of the run whose result is shown.
            kept: Changes as the browser keeps them; any JSON value.
        """
        if watched == shown:
            return {}
        hidden = gr.Column(visible=False)
        if watched is None or not is_known(seen, watched) or not seen.registry.runs.get(watched).published:
            return {} if shown is None else {self.head: EMPTY, self.body: hidden, self.run_id: None}
        try:
            return self.of_run(seen, watched, kept)
        except (LoraVitError, RegistryError) as error:  # the page continues to follow the registry
            return {
                self.head: notice(error.in_public, kind="error"),
                self.body: hidden,
                self.run_id: watched,
            }

    def of_run(self, seen: Seen, run_id: str, kept: Any = None) -> Updates:
        """Return updates that show the result of a run.

        Args:
            seen: What the visitor sees.
            run_id: ID of the run.
            kept: Changes as the browser keeps them; any JSON value.
        """
        result = result_of(seen.registry, run_id)
        adapter = seen.registry.catalog.adapter(result.version.slug)
        texts = (adapter.title, adapter.description, ", ".join(adapter.tags))
        split = result.splits[0]
        return {
            self.head: headline(seen, result),
            **self.default.asked(seen, result.version),
            self.body: gr.Column(visible=True),
            self.run_id: run_id,
            self.split: gr.Radio(
                [(_("{split} images", split=split_name(name)), name) for name in result.splits],
                value=split,
                visible=len(result.splits) > 1,
            ),
            **dict(zip(self.texts, texts, strict=True)),
            self.download: gr.DownloadButton(value=bundle_file(seen, result.version)),
            **self.of_split(seen, result, split, _kept_of(seen, result.run, kept)),
        }

    def of_split(self, seen: Seen, result: Result, split: Split, changes: Kept) -> Updates:
        """Return updates of ``of_one_split``.

        Args:
            seen: What the visitor sees.
            result: Result to show.
            split: Split to show.
            changes: Changes of images, of any split.
        """
        details = details_of(seen.registry, result, split)
        pairs, images = pairs_of(details), _images(seen, result.run)
        doubts = doubts_of_run(seen, result.run.id, images)
        panel, doubted = self.panel, doubts.entries
        shown = panel.changed(images, changes) if changes else panel.suspicious(images, doubted, {})
        return {
            **self.judged.shown(result.run, split),
            self.matrix: _matrix(details, split),
            self.pair: gr.Dropdown(choices=pairs, value=None, visible=bool(pairs)),
            self.classes: evaluation_table(result.version) + class_table(details),
            **self.suspects.shown(doubts),
            **shown,
            self.again: gr.Button(visible=bool(changes or doubted)),
        }

    def of_suspects(self, seen: Seen, run_id: str, sheet: Sheet | None) -> Updates:
        """Return updates of ``corrected`` that show the images whose label looks wrong; see `of_cell`."""
        images = _images(seen, seen.registry.runs.get(run_id))
        doubted = doubts_of_run(seen, run_id, images).entries
        shown = self.panel.suspicious(images, doubted, changes_of(sheet))
        return {**shown, self.again: gr.Button(visible=True)}

    def of_cell(
        self, seen: Seen, run_id: str, split: Split, cell: tuple[int, int], sheet: Sheet | None
    ) -> Updates:
        """Return updates of ``corrected`` that show the images behind a cell.

        Args:
            seen: What the visitor sees.
            run_id: ID of the run.
            split: Split of the images.
            cell: Indices of the actual and of the predicted class.
            sheet: Sheet with the changes so far.

        Raises:
            NoResultShown: If the run has no predictions per image.
            NoSuchCell: If there are no such classes.
        """
        result = result_of(seen.registry, run_id)
        if result.predictions is None:
            raise NoResultShown(
                _("This run has no predictions per image. Train again to see the images of a cell.")
            )
        dataset = _images(seen, result.run)
        names = dataset.classes
        if max(cell) >= len(names):
            raise NoSuchCell
        behind = images_behind(result, dataset, split, *cell)
        actual, predicted = (names[index] for index in cell)
        if actual == predicted:
            title = _("Correct: “{actual}” · highest confidence first", actual=actual)
        else:
            title = _(
                "“{actual}” predicted as “{predicted}” · highest confidence first",
                actual=actual,
                predicted=predicted,
            )
        entries = [(one.item, numeral(one.answer.score, ".0%")) for one in behind]
        images = self.panel.shown(dataset, entries, changes_of(sheet), title=title)
        return {**images, self.again: gr.Button(visible=True)}


def build_result(
    service: Service,
    watched: gr.BrowserState,
    corrections: gr.BrowserState,
    watch: WatchPanel,
) -> ResultPanel:
    """Build the step and its events.

    Args:
        service: Service with the runs.
        watched: ID of the run that step 4 follows; a retraining from here becomes that run.
        corrections: Changes that were not trained on yet, by run, kept in the browser.
        watch: Components of step 4.
    """
    run_id = gr.State(None)
    head = gr.HTML(notice(_(EMPTY)), elem_id="train-result")
    with gr.Column(visible=False, elem_id="train-result-body") as body:
        default = build_default(service, run_id)
        split = gr.Radio(
            [],
            label=_("Evaluated on"),
            info=_("The validation split selected the best epoch. The test split, if any, was used once."),
            elem_id="train-split",
        )
        judged = build_judged(service)
        matrix = gr.HTML(js_on_load=on_load("confusion.listen"), elem_id="train-confusion")
        pair = gr.Dropdown(label=_("Most frequent mistakes"), value=None, elem_id="train-pair")
        suspects = build_suspects()
        panel = build_relabel(service, prefix="train-behind")
        again = gr.Button(_("Retrain with corrections"), visible=False, elem_id="train-again")
        with gr.Accordion(_("Per-class metrics"), open=False, elem_id="train-classes"):
            classes = gr.HTML()
        texts = build_texts(service, run_id)
        with actions():
            download = gr.DownloadButton(_("Download"), elem_id="train-download", min_width=120)
            try_it = gr.Button(_("Try it"), variant="primary", elem_id="train-try")
    shown = ResultPanel(
        head,
        body,
        run_id,
        try_it,
        default,
        split,
        judged,
        matrix,
        pair,
        classes,
        suspects,
        panel,
        again,
        texts,
        download,
    )
    _judge_by_split(service, shown)
    _open_cells(service, shown)
    _follow_up(service, shown, watched, corrections, watch)

    return shown


def _judge_by_split(service: Service, shown: ResultPanel) -> None:
    @told
    def judge(run: str, split: Split, sheet: Sheet | None, request: gr.Request) -> Updates:
        seen = seen_by(service, request)
        return shown.of_split(seen, result_of(seen.registry, run), split, changes_of(sheet))

    shown.split.input(
        judge,
        [shown.run_id, shown.split, shown.panel.sheet],
        shown.of_one_split,
        show_progress="hidden",
        api_visibility="private",
        **LAST,
        **IN_ORDER,
    )


def _open_cells(service: Service, shown: ResultPanel) -> None:
    @told
    def by_cell(
        run: str, split: Split, sheet: Sheet | None, event: gr.SelectData, request: gr.Request
    ) -> Updates:
        return shown.of_cell(seen_by(service, request), run, split, cell_of(str(event.value)), sheet)

    @told
    def by_pair(
        run: str, split: Split, sheet: Sheet | None, chosen: str | None, request: gr.Request
    ) -> Updates:
        if not chosen:
            return unchanged()
        return shown.of_cell(seen_by(service, request), run, split, cell_of(chosen), sheet)

    @told
    def by_suspicion(run: str, sheet: Sheet | None, request: gr.Request) -> Updates:
        return shown.of_suspects(seen_by(service, request), run, sheet)

    given, outputs = [shown.run_id, shown.split, shown.panel.sheet], shown.corrected
    how: dict[str, Any] = {
        "show_progress": "minimal",
        "show_progress_on": [shown.pair],
        "api_visibility": "private",
        **IN_ORDER,
    }
    shown.matrix.select(by_cell, given, outputs, **EACH, **how)
    shown.pair.input(by_pair, [*given, shown.pair], outputs, **LAST, **how)
    shown.suspects.show.click(by_suspicion, [shown.run_id, shown.panel.sheet], outputs, **how)


def _follow_up(
    service: Service,
    shown: ResultPanel,
    watched: gr.BrowserState,
    corrections: gr.BrowserState,
    watch: WatchPanel,
) -> None:
    @told
    def train_again(run_id: str, sheet: Sheet | None, request: gr.Request) -> Updates:
        actions, seen = actions_of(service, request), seen_by(service, request)
        run = seen.registry.runs.get(run_id)
        dataset = actions.correct(run.dataset.fingerprint, changes_in(sheet))
        new = actions.queue_training(dataset, _name(run), Recipe.from_json(run.config))
        gr.Success(_("The training with the corrected dataset is queued."), title=_("Corrected"))
        return {watched: new.id, **watch.updates(seen, new.id, fresh=True)}

    trained = shown.again.click(
        train_again,
        [shown.run_id, shown.panel.sheet],
        [watched, *watch.outputs],
        show_progress_on=[watch.progress],
        api_visibility="private",
        **IN_ORDER,
    )
    kept = [watched, shown.panel.changes, corrections]
    shown.panel.changes.change(None, kept, corrections, js=call("corrections.store", MOST_KEPT), **QUIET)
    # on click, because the new run is watched once it is queued
    shown.again.click(None, watched, None, js=call("corrections.begin"), **QUIET)
    trained.success(None, corrections, corrections, js=call("corrections.forget"), **QUIET)
    trained.success(None, watched, None, js=call("steps.follow"), **QUIET)


def _matrix(details: EvaluationDetails, split: Split) -> Markup:
    """Return the confusion matrix, or why there is none."""
    if any(one.average_precision is not None for one in details.classes):
        return line(_("Images can have several labels, so see the metrics per class."))
    return confusion_table(details, caption_of(details, split))


def _images(seen: Seen, run: Run) -> ImageDataset:
    return seen.datasets.load(run.dataset.fingerprint)


def _kept_of(seen: Seen, run: Run, kept: Any) -> Kept:
    """Return those changes that the browser kept for a run and that apply to its dataset."""
    if not isinstance(kept, dict) or run.id not in kept:
        return {}
    try:
        return changes_kept(_images(seen, run), kept[run.id])
    except DatasetError:  # the images were deleted; the result is shown without changes
        return {}


def _name(run: Run) -> str:
    """Return the name under which a training creates the next version of a run's adapter."""
    return run.title if slug_of(run.created_by, slugified(run.title)[0]) == run.slug else run.slug
