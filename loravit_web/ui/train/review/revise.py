"""Part of step 2 that adds images to the dataset, and renames or merges its classes: its next revision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from loravit_web.datasets import ImageDataset, open_source
from loravit_web.datasets.errors import DatasetError
from loravit_web.datasets.pool.source import labeled_as, open_images
from loravit_web.datasets.sources.archives import ArchiveLimits
from loravit_web.datasets.sources.opening import Source
from loravit_web.service import Service
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import Data, Updates
from loravit_web.ui.kit.uploads import uploaded
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.language.texts import _
from loravit_web.util.text import listed

if TYPE_CHECKING:
    from loravit_web.ui.train.check import CheckPanel

FILE_TYPES = ["image", ".zip", ".tar", ".tgz", ".gz", ".csv", ".json", ".jsonl"]


class NothingToAdd(DatasetError):
    """An addition without files, or with files of different kinds."""


class NoClassChosen(DatasetError):
    """A change of names without a class."""


@dataclass(frozen=True)
class RevisePanel:
    """Components that make the next revision of the dataset.

    Attributes:
        more: Accordion with the components that add images.
        files: Images, or one zip or tar of class folders.
        label: Class of the images, or nothing for class folders.
        add: Button that adds the images.
        names: Accordion with the components that change names.
        classes: Classes to rename or to merge.
        name: New name.
        in_answers: Whether versions that were trained on this revision answer with the new name.
        rename: Button that changes the names.
    """

    more: gr.Accordion
    files: gr.File
    label: gr.Dropdown
    add: gr.Button
    names: gr.Accordion
    classes: gr.Dropdown
    name: gr.Textbox
    in_answers: gr.Checkbox
    rename: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """Components that the methods update."""
        return [self.more, self.files, self.label, self.names, self.classes, self.name, self.in_answers]

    def filled(self, dataset: ImageDataset) -> Updates:
        """Return updates for a dataset."""
        names = list(dataset.classes)
        return {
            self.more: gr.Accordion(visible=True, open=False),
            self.files: None,
            self.label: gr.Dropdown(choices=names, value=None),
            self.names: gr.Accordion(visible=True, open=False),
            self.classes: gr.Dropdown(choices=names, value=[], multiselect=True),
            self.name: "",
            self.in_answers: False,
        }

    def emptied(self) -> Updates:
        """Return updates for a page without a dataset."""
        return {self.more: gr.Accordion(visible=False), self.names: gr.Accordion(visible=False)}


def build_revise() -> RevisePanel:
    """Build the components, which are hidden until there is a dataset."""
    with gr.Accordion(_("Add images"), open=False, visible=False, elem_id="train-more") as more:
        files = gr.File(
            label=_("Images, or a zip with one folder per class"),
            file_count="multiple",
            file_types=FILE_TYPES,
            height=130,
            elem_id="train-more-files",
        )
        label = gr.Dropdown(
            label=_("Class of these images"),
            info=_("Pick or type a class. Leave it empty if class folders or a table name the classes."),
            allow_custom_value=True,
            elem_id="train-more-class",
        )
        add = gr.Button(_("Add images"), size="sm", elem_id="train-more-add")
    with gr.Accordion(
        _("Rename or merge classes"), open=False, visible=False, elem_id="train-names"
    ) as names:
        classes = gr.Dropdown(
            label=_("Classes"),
            info=_("One class is renamed. Several become one."),
            multiselect=True,
            elem_id="train-names-classes",
        )
        name = gr.Textbox(label=_("New name"), max_lines=1, max_length=80, elem_id="train-names-name")
        in_answers = gr.Checkbox(
            label=_("Also rename it in answers"),
            info=_(
                "Versions that were trained on this revision answer with the new name, without a training. "
                "Only for one class."
            ),
            elem_id="train-names-answers",
        )
        rename = gr.Button(_("Rename or merge"), size="sm", elem_id="train-names-apply")
    return RevisePanel(more, files, label, add, names, classes, name, in_answers, rename)


def connect_revise(service: Service, check: CheckPanel, start: gr.Button) -> None:
    """Add the events that make the next revision of the dataset and show it.

    Args:
        service: Service with the datasets.
        check: Components of step 2.
        start: Button that starts a training.
    """
    panel = check.revise

    def shown(revision: ImageDataset, request: gr.Request) -> Updates:
        return {**check.filled(seen_by(service, request), revision), start: gr.Button(interactive=True)}

    @told
    def extend(data: Data, request: gr.Request) -> Updates:
        files = uploaded([data[panel.files]])
        actions = actions_of(service, request, uploads=files)
        actions.visitor.must("train")  # before the files are opened
        with opened(files, str(data[panel.label] or ""), actions.archive_limits) as source:
            return shown(actions.extend(data[check.data], source), request)

    @told
    def rename(data: Data, request: gr.Request) -> Updates:
        chosen, name = list(data[panel.classes] or []), str(data[panel.name] or "")
        if not chosen:
            raise NoClassChosen(_("No class is chosen. Choose one to rename it, or several to merge them."))
        actions = actions_of(service, request)
        if len(chosen) > 1:
            return shown(actions.merge_classes(data[check.data], chosen, name), request)
        renamed = actions.rename_class(data[check.data], chosen[0], name, in_answers=data[panel.in_answers])
        if renamed.versions:
            gr.Success(
                _(
                    "{versions} now answer with “{name}”.",
                    versions=listed(renamed.versions),
                    name=name.strip(),
                ),
                title=_("Renamed"),
            )
        return shown(renamed.dataset, request)

    handlers: list[tuple[gr.Button, Callable[..., Updates], Sequence[Any]]] = [
        (panel.add, extend, [panel.files, panel.label]),
        (panel.rename, rename, [panel.classes, panel.name, panel.in_answers]),
    ]
    for button, handler, given in handlers:
        button.click(
            handler,
            {check.data, *given},
            [*check.outputs, start],
            show_progress_on=[check.found],
            concurrency_limit=2,
            concurrency_id="imports",
            api_visibility="private",
        )


@contextmanager
def opened(files: Sequence[Path], class_name: str, limits: ArchiveLimits) -> Iterator[Source]:
    """Open uploaded files: images of one class, or one archive whose folders are the classes.

    Args:
        files: The files.
        class_name: Class of all images, or an empty text.
        limits: Limits of an import.

    Raises:
        NothingToAdd: If there are no files, or several without a class.
        DatasetError: If the files cannot be used.
    """
    if not files:
        raise NothingToAdd(_("There is nothing to add. Choose images, or a zip with one folder per class."))
    if class_name.strip():
        with open_images(files, limits) as source:
            yield labeled_as(source, class_name)
        return
    if len(files) > 1:
        raise NothingToAdd(
            _("The class of the images is missing. Pick or type one, or zip the class folders.")
        )
    with open_source(files[0], limits) as source:
        yield source
