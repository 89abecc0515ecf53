"""Step 5 of Train: how good it became, which images went wrong, and what to do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from loravit_web.catalog.naming import slugified
from loravit_web.datasets import ImageDataset
from loravit_web.datasets.errors import DatasetError
from loravit_web.errors import LoraVitError
from loravit_web.runs.demo import slug_of
from loravit_web.runs.results import Result, details_of, images_behind, mistakes, result_of
from loravit_web.service import Service
from loravit_web.training.recipe import Recipe
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import EACH, LAST, QUIET, Updates, unchanged
from loravit_web.ui.kit.markup import beside_probe, class_table, evaluation_table, next_attempt, notice
from loravit_web.ui.kit.served import bundle_file
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.runs.watch import WatchPanel, is_known
from loravit_web.ui.scripts import call, on_load
from loravit_web.ui.templates import render
from loravit_web.ui.train.confusion import MOST_CLASSES, NoSuchCell, cell_of, confusion_table
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
from loravit_web.visibility import Seen
from registry import EvaluationDetails, RegistryError, Run, Split

EMPTY = "What a training came to is shown here when it ends."
PAIRS = 50

MOST_KEPT = 20


class NoResultShown(LoraVitError):
    """Something was asked of a result before there is one."""


@dataclass(frozen=True)
class ResultPanel:
    """The components of a result.

    Attributes:
        body: everything that only exists with a result.
        run_id: of the run that is shown.
        try_it: leads to its task; whoever can pick tasks connects it.
        panel: the images behind a cell, or those that were corrected.
        again: trains on the corrected images.
        texts: title, description, tags.
    """

    head: gr.HTML
    body: gr.Column
    run_id: gr.State
    try_it: gr.Button
    split: gr.Radio
    matrix: gr.HTML
    pair: gr.Dropdown
    classes: gr.HTML
    panel: RelabelPanel
    again: gr.Button
    texts: tuple[gr.Textbox, ...]
    download: gr.DownloadButton

    @property
    def judged(self) -> list[Any]:
        """What depends on the split."""
        return [self.matrix, self.pair, self.classes, *self.corrected]

    @property
    def corrected(self) -> list[Any]:
        """The images and what is done with them."""
        return [*self.panel.outputs, self.again]

    @property
    def outputs(self) -> list[Any]:
        """All that the methods update."""
        return [self.head, self.body, self.run_id, self.split, *self.texts, self.download, *self.judged]

    def of_watched(self, seen: Seen, watched: str | None, shown: str | None, kept: Any) -> Updates:
        """Updates that show the watched run's result as soon as there is one; none where that is shown.

        Args:
            kept: corrections, as the browser keeps them.
        """
        if watched == shown:
            return {}
        hidden = gr.Column(visible=False)
        if watched is None or not is_known(seen, watched) or not seen.registry.runs.get(watched).published:
            return {} if shown is None else {self.head: EMPTY, self.body: hidden, self.run_id: None}
        try:
            return self.of_run(seen, watched, kept)
        except (LoraVitError, RegistryError) as error:  # the clock of the page goes on
            return {
                self.head: notice(error.in_public, kind="error"),
                self.body: hidden,
                self.run_id: watched,
            }

    def of_run(self, seen: Seen, run_id: str, kept: Any = None) -> Updates:
        """Updates that show a run's result, with the corrections that a browser kept of it."""
        result = result_of(seen.registry, run_id)
        adapter = seen.registry.catalog.adapter(result.version.slug)
        texts = (adapter.title, adapter.description, ", ".join(adapter.tags))
        split = result.splits[0]
        return {
            self.head: _headline(result),
            self.body: gr.Column(visible=True),
            self.run_id: run_id,
            self.split: gr.Radio([(f"{name} images", name) for name in result.splits], value=split),
            **dict(zip(self.texts, texts, strict=True)),
            self.download: gr.DownloadButton(value=bundle_file(seen, result.version)),
            **self.of_split(seen, result, split, _kept_of(seen, result.run, kept)),
        }

    def of_split(self, seen: Seen, result: Result, split: Split, changes: Kept) -> Updates:
        """Updates of ``judged``; corrections belong to the images, whichever split is looked at."""
        details = details_of(seen.registry, result, split)
        pairs = _pairs(details)
        words = (
            "Or choose from the most frequent mistakes" if pairs else "No image was taken for another class"
        )
        panel, images = self.panel, _images(seen, result.run)
        return {
            self.matrix: confusion_table(details, _caption(details, split)),
            self.pair: gr.Dropdown(choices=pairs, value=None, label=words, interactive=bool(pairs)),
            self.classes: class_table(details),
            **(panel.changed(images, changes) if changes else panel.hidden()),
            self.again: gr.Button(visible=bool(changes)),
        }

    def of_cell(
        self, seen: Seen, run_id: str, split: Split, cell: tuple[int, int], sheet: Sheet | None
    ) -> Updates:
        """Updates of ``corrected`` that show the images behind a cell.

        Raises:
            NoResultShown: if the run kept no answers by image.
            NoSuchCell: if there are no such classes.
        """
        result = result_of(seen.registry, run_id)
        if result.predictions is None:
            raise NoResultShown(
                "This run kept no answers by image: train again, then its images can be opened."
            )
        dataset = _images(seen, result.run)
        names = dataset.classes
        if max(cell) >= len(names):
            raise NoSuchCell
        behind = images_behind(result, dataset, split, *cell)
        title = f"“{names[cell[0]]}” taken for “{names[cell[1]]}”, the surest first"
        entries = [(one.item, f"{one.answer.score:.0%} sure") for one in behind]
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
        watched: the run that step 4 follows; a new training from here is followed there.
        corrections: those that were not trained on yet, by the run whose images they correct.
    """
    run_id = gr.State(None)
    head = gr.HTML(notice(EMPTY), elem_id="train-result")
    with gr.Column(visible=False, elem_id="train-result-body") as body:
        with gr.Row():
            try_it = gr.Button("Try it now", variant="primary", elem_id="train-try")
            download = gr.DownloadButton("Download", elem_id="train-download")
        split = gr.Radio(
            [],
            label="Judged by",
            info="Validation images chose the best epoch. Test images, where there are any, were asked once.",
            elem_id="train-split",
        )
        matrix = gr.HTML(js_on_load=on_load("confusion.listen"), elem_id="train-confusion")
        pair = gr.Dropdown(
            label="Or choose from the most frequent mistakes", value=None, elem_id="train-pair"
        )
        panel = build_relabel(service, prefix="train-behind")
        again = gr.Button(
            "Correct the data and train again", variant="primary", visible=False, elem_id="train-again"
        )
        with gr.Accordion("Results class by class", open=False, elem_id="train-classes"):
            classes = gr.HTML()
        with gr.Accordion("Publish: title, description and tags", open=False, elem_id="train-publish"):
            texts = (
                gr.Textbox(label="Title", max_lines=1, max_length=120, elem_id="train-title"),
                gr.Textbox(
                    label="Description",
                    info="What it tells apart, from which pictures, and what it is not made for.",
                    lines=3,
                    max_length=10_000,
                    elem_id="train-description",
                ),
                gr.Textbox(label="Tags", placeholder="flowers, garden", max_lines=1, elem_id="train-tags"),
            )
            publish = gr.Button("Save in the catalog", elem_id="train-save")
    shown = ResultPanel(
        head, body, run_id, try_it, split, matrix, pair, classes, panel, again, texts, download
    )
    _judge_by_split(service, shown)
    _open_cells(service, shown)
    _follow_up(service, shown, watched, corrections, watch)

    @told
    def save(run: str, title: str, description: str, tags: str, request: gr.Request) -> None:
        actions = actions_of(service, request)
        actions.give_texts(
            result_of(seen_by(service, request).registry, run).version.slug, title, description, tags
        )
        gr.Success("The catalog shows the new texts.", title="Saved")

    publish.click(save, [run_id, *texts], None, api_visibility="private")
    return shown


def _judge_by_split(service: Service, shown: ResultPanel) -> None:
    @told
    def judge(run: str, split: Split, sheet: Sheet | None, request: gr.Request) -> Updates:
        seen = seen_by(service, request)
        return shown.of_split(seen, result_of(seen.registry, run), split, changes_of(sheet))

    shown.split.input(
        judge,
        [shown.run_id, shown.split, shown.panel.sheet],
        shown.judged,
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

    given, outputs = [shown.run_id, shown.split, shown.panel.sheet], shown.corrected
    how: dict[str, Any] = {
        "show_progress": "minimal",
        "show_progress_on": [shown.pair],
        "api_visibility": "private",
        **IN_ORDER,
    }
    shown.matrix.select(by_cell, given, outputs, **EACH, **how)
    shown.pair.input(by_pair, [*given, shown.pair], outputs, **LAST, **how)


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
        gr.Success(
            "The corrected images are a dataset of their own; its training is queued.", title="Corrected"
        )
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
    # by then the new run is watched
    shown.again.click(None, watched, None, js=call("corrections.begin"), **QUIET)
    trained.success(None, corrections, corrections, js=call("corrections.forget"), **QUIET)


def _images(seen: Seen, run: Run) -> ImageDataset:
    return seen.datasets.load(run.dataset.fingerprint)


def _kept_of(seen: Seen, run: Run, kept: Any) -> Kept:
    """Of what a browser kept the corrections that can be made to the images of a run."""
    if not isinstance(kept, dict) or run.id not in kept:
        return {}
    try:
        return changes_kept(_images(seen, run), kept[run.id])
    except DatasetError:  # its images were deleted; the result is shown as ever
        return {}


def _headline(result: Result) -> Markup:
    first = result.version.evaluation(result.splits[0])
    text = ""
    if first is not None:
        text = f"{first.accuracy:.1%} of {first.n} {first.split} images are right{beside_probe(first)}. "
        text += next_attempt(str(result.run.config.get("preset")), first)
    return render(
        "train/result",
        title=result.run.title,
        origin=f"{result.version.ref}, from {result.run.dataset.name}",
        text=text,
        evaluation=evaluation_table(result.version),
    )


def _caption(details: EvaluationDetails, split: Split) -> str:
    classes = len(details.class_names)
    text = (
        f"Confusion on {split} images: a row for what an image is, a column for what it was taken for. "
        "Choose a cell to see its images."
    )
    if classes > MOST_CLASSES:
        text += f" The {MOST_CLASSES} of {classes} classes that are confused most."
    return text


def _pairs(details: EvaluationDetails) -> Sequence[tuple[str, str]]:
    names = details.class_names
    return [
        (
            f"{cell.n} × “{names[cell.true_idx]}” taken for “{names[cell.predicted_idx]}”",
            f"{cell.true_idx}:{cell.predicted_idx}",
        )
        for cell in mistakes(details)[:PAIRS]
    ]


def _name(run: Run) -> str:
    """The name under which a run's adapter gets its next version."""
    return run.title if slug_of(run.created_by, slugified(run.title)[0]) == run.slug else run.slug
