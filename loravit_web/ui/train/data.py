"""Step 1 of Train: the sources of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from loravit_web.actions import Actions, Imported
from loravit_web.datasets import SAMPLES, DatasetError, Sample, csv_with_zip, files_by_class
from loravit_web.datasets.layout.plan import ClassLevel
from loravit_web.datasets.sources.csv_table.rows import chosen_columns
from loravit_web.datasets.sources.opening import name_of
from loravit_web.service import Progress, Service
from loravit_web.ui.kit.events import QUIET, Updates
from loravit_web.ui.kit.markup import line
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.language.texts import _
from loravit_web.ui.scripts import call
from loravit_web.ui.templates import render
from loravit_web.ui.train.review.pool import PoolPanel, build_pool
from loravit_web.ui.train.review.stored import build_stored

ARCHIVES = [".zip", ".tar", ".tgz", ".gz"]
"""Ends of the names of archives, where a browser takes ``.tar.gz`` for ``.gz``."""
CARDS = 12
FIRST_CARDS = 2
UNMIRRORED = {"digits"}
"""Samples for which horizontal flips would be wrong."""

Take = Callable[[Mapping[Any, Any], Actions, Progress, ClassLevel], Imported | None]
"""Imports a dataset from the values of the components and a chosen level of the class folders.

It returns None if the components are empty.
"""


class FilesMissing(DatasetError):
    """An import was requested without its files."""


@dataclass(frozen=True)
class Way:
    """One way to provide a dataset.

    Attributes:
        events: Events that start the import.
        given: Components that the import reads.
        take: Function that imports the dataset.
        mirror: Whether horizontal flips suit the data.
        empties: File boxes to clear, because their files are no longer used.
        has_levels: Whether the level of the class folders can be chosen.
    """

    events: Sequence[Any]
    given: Sequence[Any]
    take: Take
    mirror: bool = True
    empties: Sequence[Any] = ()
    has_levels: bool = False


def build_data(service: Service, presence: Presence) -> tuple[list[Way], PoolPanel]:
    """Build the components of every source, and of the images without labels.

    Args:
        service: Service with the tasks and pools.
        presence: Pages that are open.
    """
    ways: list[Way] = []
    with gr.Tabs(elem_id="train-ways"):
        with gr.Tab(_("Zip"), id="zip"):
            ways += [_zip(), *_samples()]
            gr.HTML(render("train/layout"))
        with gr.Tab(_("Class by class"), id="cards") as by_class:
            ways.append(_cards(by_class))
        with gr.Tab(_("CSV or JSON"), id="csv"):
            ways.append(_csv())
        with gr.Tab(_("Hugging Face"), id="hub"):
            ways.append(_hub())
        stored = build_stored(service)
        ways.append(Way([stored.use.click], [stored.chosen], stored.take))
        pool = build_pool(service, presence)
    (box,) = ways[0].given
    return [ways[0], *(replace(way, empties=[box]) for way in ways[1:])], pool


def build_answer() -> tuple[gr.HTML, gr.Dropdown]:
    """Build the component for the error of an import, and the choice of the class folders."""
    problem = gr.HTML(elem_id="train-problem")
    level = gr.Dropdown(
        label=_("Class folders"),
        info=_("The folders can be read in several ways. Choose those that are the classes."),
        visible=False,
        elem_id="train-level",
    )
    return problem, level


def _zip() -> Way:
    upload = gr.File(
        label=_("Zip or tar with one folder per class"),
        file_types=ARCHIVES,
        height=130,
        elem_id="train-upload",
    )

    def take(
        given: Mapping[Any, Any], actions: Actions, progress: Progress, level: ClassLevel
    ) -> Imported | None:
        path = given[upload]
        if not path:
            return None
        return actions.import_levels(path, name=name_of(Path(path)), progress=progress, classes_at=level)

    # not `change`, which is also triggered when another source clears the box
    return Way([upload.upload, upload.clear], [upload], take, has_levels=True)


def _samples() -> list[Way]:
    gr.HTML(line(_("Or try a sample dataset:"), role=""))
    ways = []
    with gr.Row():
        for name, sample in SAMPLES.items():
            button = gr.Button(_(_title_of(sample)), size="sm", min_width=150, elem_id=f"train-sample-{name}")
            ways.append(Way([button.click], [], partial(_take_sample, name), mirror=name not in UNMIRRORED))
    return ways


def _take_sample(
    name: str, _given: Mapping[Any, Any], actions: Actions, progress: Progress, _level: ClassLevel
) -> Imported:
    title = _title_of(SAMPLES[name])
    return Imported(actions.import_dataset(f"sample:{name}", name=title, progress=progress))


def _title_of(sample: Sample) -> str:
    """Return the title of a sample without its size, which the page tells beside it."""
    return sample.title.partition(" (")[0]


def _cards(tab: gr.Tab) -> Way:
    how = _("Name each class and add images: upload, paste, or use the camera.")
    gr.HTML(line(how, role=""))
    names, galleries = [], []
    for number in range(1, CARDS + 1):
        names.append(
            gr.Textbox(
                label=_("Class {number}", number=number),
                show_label=False,
                placeholder=_("Name of class {number}", number=number),
                max_lines=1,
                max_length=80,
                container=False,
                visible=number <= FIRST_CARDS,
                elem_id=f"train-class-{number}",
                elem_classes="lv-class",
            )
        )
        galleries.append(
            gr.Gallery(
                label=_("Images of class {number}", number=number),
                show_label=False,
                sources=["upload", "webcam", "clipboard"],
                file_types=["image"],
                type="filepath",
                columns=5,
                height=170,
                interactive=True,
                visible=False,
                elem_id=f"train-images-{number}",
            )
        )
    shown = gr.State(FIRST_CARDS)
    with gr.Row():
        more = gr.Button(_("Add a class"), size="sm", min_width=120, elem_id="train-add-class")
        use = gr.Button(_("Continue"), size="sm", variant="primary", elem_id="train-use-cards")

    def add(count: int) -> Updates:
        count = min(CARDS, count + 1)
        seen = dict.fromkeys([*names[:count], *galleries[:count]], gr.update(visible=True))
        return {shown: count, more: gr.Button(interactive=count < CARDS), **seen}

    def take(given: Mapping[Any, Any], actions: Actions, progress: Progress, _level: ClassLevel) -> Imported:
        cards = [
            (str(given[name] or ""), [Path(path) for path, _caption in given[gallery] or []])
            for name, gallery in zip(names, galleries, strict=True)
        ]
        source = files_by_class(cards, actions.archive_limits)
        return Imported(actions.import_opened(source, progress=progress))

    # Gradio loads the script for galleries only when one becomes visible
    tab.select(None, None, galleries[:FIRST_CARDS], js=call("data.show", FIRST_CARDS), **QUIET)
    more.click(
        add, shown, [shown, more, *names, *galleries], show_progress="hidden", api_visibility="private"
    )
    return Way([use.click], [*names, *galleries], take)


def _csv() -> Way:
    csv = gr.File(
        label=_("CSV (columns: path, label or labels, optional split), or JSON such as COCO"),
        file_types=[".csv", ".tsv", ".json", ".jsonl"],
        height=110,
        elem_id="train-csv",
    )
    archive = gr.File(
        label=_("Zip or tar with the images that it lists"),
        file_types=ARCHIVES,
        height=110,
        elem_id="train-csv-zip",
    )
    columns = gr.Textbox(
        label=_("Columns (optional)"),
        info=_("The app finds the columns. To choose others, name them, such as label=breed, split=none."),
        max_lines=1,
        max_length=200,
        elem_id="train-csv-columns",
    )
    use = gr.Button(_("Continue"), size="sm", variant="primary", elem_id="train-use-csv")

    def take(given: Mapping[Any, Any], actions: Actions, progress: Progress, _level: ClassLevel) -> Imported:
        actions.visitor.must("train")  # before the files are opened
        chosen = chosen_columns(str(given[columns] or "").split(","))
        if not given[csv] or not given[archive]:
            raise FilesMissing(_("A file is missing. Add both the table and the zip with its images."))
        limits = actions.archive_limits
        with csv_with_zip(Path(given[csv]), Path(given[archive]), limits, columns=chosen) as source:
            return Imported(actions.import_opened(source, progress=progress))

    return Way([use.click], [csv, archive, columns], take)


def _hub() -> Way:
    name = gr.Textbox(
        label=_("Dataset on the Hugging Face Hub"),
        info=_("Dataset ID (owner/name). The dataset needs an image column and a label column."),
        placeholder="owner/name",
        max_lines=1,
        elem_id="train-hub-id",
    )
    use = gr.Button(_("Load dataset"), size="sm", variant="primary", elem_id="train-use-hub")

    def take(given: Mapping[Any, Any], actions: Actions, progress: Progress, _level: ClassLevel) -> Imported:
        return Imported(actions.import_from_hub(str(given[name] or ""), progress=progress))

    return Way([use.click], [name], take)
