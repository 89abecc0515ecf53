"""Part of step 1 with the stored datasets: one is opened, downloaded as a zip, or deleted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import gradio as gr

from loravit_web.actions import Actions, Imported
from loravit_web.datasets import ImageDataset
from loravit_web.datasets.export.forms import Form
from loravit_web.datasets.export.writing import export
from loravit_web.datasets.layout.plan import ClassLevel
from loravit_web.datasets.stored.finding import number_of
from loravit_web.errors import LoraVitError
from loravit_web.runs.deletion import DatasetDeletion, dataset_deletion_of
from loravit_web.service import Progress, Service
from loravit_web.ui.kit.confirm import ConfirmPanel, build_confirm
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import QUEUED, QUIET, Updates
from loravit_web.ui.kit.served import folder_of
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.language.texts import _, gettext_noop, ngettext, numeral
from loravit_web.util.labels import several
from loravit_web.visibility import Seen

FORM_TITLES: Mapping[Form, str] = {
    "folders": gettext_noop("Class folders"),
    "csv": "CSV",
    "imagefolder": "ImageFolder (Hugging Face)",
    "coco": "COCO",
}
_UNSAFE = re.compile(r"[^\w.-]+")


class NoDatasetChosen(LoraVitError):
    """An action on a stored dataset without a choice."""


@dataclass(frozen=True)
class DeletionQuestion:
    """The deletion of a dataset, as a question; see `ConfirmPanel`.

    Attributes:
        fingerprint: Fingerprint of the dataset.
        consequences: Consequences, one sentence each.
        confirm: Label of the button that confirms it.
        note: Additional information, here none.
    """

    fingerprint: str
    consequences: tuple[str, ...]
    confirm: str
    note: str = ""


@dataclass(frozen=True)
class StoredPanel:
    """Components of the stored datasets.

    Attributes:
        tab: Tab with the others.
        chosen: Fingerprint of the chosen dataset.
        use: Button that opens it in *Check*; the caller connects it.
        form: Format of a download.
        prepare: Button that writes the zip.
        download: Button that downloads it.
        delete: Button that asks for the deletion.
        confirm: Confirmation of the deletion.
    """

    tab: gr.Tab
    chosen: gr.Dropdown
    use: gr.Button
    form: gr.Dropdown
    prepare: gr.Button
    download: gr.DownloadButton
    delete: gr.Button
    confirm: ConfirmPanel

    def take(
        self, given: Mapping[Any, Any], actions: Actions, _progress: Progress, _level: ClassLevel
    ) -> Imported:
        """Open the chosen dataset.

        Raises:
            NoDatasetChosen: If none is chosen.
            DatasetError: If it is not stored any more.
        """
        return Imported(actions.import_dataset(f"dataset:{_required(given[self.chosen])}"))


def build_stored(service: Service) -> StoredPanel:
    """Build the tab and the events that stay inside it.

    Args:
        service: Service with the datasets.
    """
    with gr.Tab(_("Stored data"), id="stored") as tab:
        chosen = gr.Dropdown(
            label=_("Dataset"),
            info=_("Imported before, with its revisions, the newest one first."),
            choices=[],
            elem_id="train-stored",
        )
        use = gr.Button(_("Open"), variant="primary", min_width=100, elem_id="train-stored-open")
        with gr.Row(equal_height=False):
            form = gr.Dropdown(
                [(_(title), name) for name, title in FORM_TITLES.items()],
                value="folders",
                label=_("Format"),
                min_width=160,
                elem_id="train-stored-form",
            )
            prepare = gr.Button(
                _("Prepare a download"), size="sm", min_width=140, elem_id="train-stored-prepare"
            )
            download = gr.DownloadButton(
                _("Download"),
                visible=False,
                variant="primary",
                min_width=140,
                elem_id="train-stored-download",
            )
            delete = gr.Button(_("Delete"), size="sm", min_width=100, elem_id="train-stored-delete")
        confirm = build_confirm("train-stored")
    panel = StoredPanel(tab, chosen, use, form, prepare, download, delete, confirm)
    _connect(service, panel)
    return panel


def _connect(service: Service, panel: StoredPanel) -> None:
    def hide() -> gr.DownloadButton:
        return gr.DownloadButton(visible=False)

    def offer(chosen: str | None, request: gr.Request) -> Updates:
        datasets = choices(seen_by(service, request))
        known = {fingerprint for _title, fingerprint in datasets}
        kept = chosen if chosen in known else None
        return {panel.chosen: gr.Dropdown(choices=datasets, value=kept), panel.download: hide()}

    @told
    def prepare(chosen: str | None, form: str, request: gr.Request) -> Updates:
        path = written(seen_by(service, request), _required(chosen), form)
        megabytes = path.stat().st_size / 1e6
        return {
            panel.download: gr.DownloadButton(
                _("Download ({megabytes} MB)", megabytes=numeral(megabytes, ".1f")), value=path, visible=True
            )
        }

    @told
    def ask(chosen: str | None, request: gr.Request) -> Updates:
        seen = seen_by(service, request)
        deletion = dataset_deletion_of(seen.registry, seen.datasets, seen.visitor, _required(chosen))
        return panel.confirm.asking(question_of(deletion))

    @told
    def delete(pending: DeletionQuestion | None, request: gr.Request) -> Updates:
        if pending is None:  # a second click before the reply to the first one
            return panel.confirm.closed()
        deleted = actions_of(service, request).delete_dataset(pending.fingerprint)
        gr.Success(
            ngettext(
                "{n} image file of “{name}” deleted.",
                "{n} image files of “{name}” deleted.",
                deleted.images,
                name=deleted.name,
            ),
            title=_("Deleted"),
        )
        return {**panel.confirm.closed(), **offer(None, request)}

    shown = [panel.chosen, panel.download]
    panel.tab.select(offer, panel.chosen, shown, **QUIET)
    panel.chosen.input(hide, None, panel.download, **QUIET)
    panel.form.input(hide, None, panel.download, **QUIET)
    panel.prepare.click(
        prepare,
        [panel.chosen, panel.form],
        panel.download,
        show_progress_on=[panel.prepare],
        concurrency_limit=1,
        concurrency_id="exports",
        api_visibility="private",
    )
    panel.delete.click(ask, panel.chosen, list(panel.confirm.outputs), **QUEUED)
    panel.confirm.yes.click(delete, panel.confirm.pending, [*panel.confirm.outputs, *shown], **QUEUED)
    panel.confirm.no.click(panel.confirm.closed, None, list(panel.confirm.outputs), **QUIET)


def choices(seen: Seen) -> list[tuple[str, str]]:
    """Return title and fingerprint of the stored datasets, by title, the newest revision first."""
    datasets = sorted(seen.datasets.datasets(), key=lambda one: (one.name.casefold(), -number_of(one)))
    return [(_choice_text(dataset), dataset.fingerprint) for dataset in datasets]


def question_of(deletion: DatasetDeletion) -> DeletionQuestion:
    """Return the deletion of a dataset as a question."""
    if deletion.images:
        first = ngettext(
            "{n} image file of “{name}” will be deleted for good.",
            "{n} image files of “{name}” will be deleted for good.",
            deletion.images,
            name=deletion.name,
        )
    else:
        first = _("Your import of “{name}” will be deleted.", name=deletion.name)
    return DeletionQuestion(deletion.fingerprint, (first, *deletion.kept), _("Delete the images"))


def written(seen: Seen, fingerprint: str, form: str) -> Path:
    """Write a dataset as a zip that Gradio may serve, and return its path.

    Args:
        seen: What the visitor sees.
        fingerprint: Fingerprint of the dataset.
        form: Format of the zip.

    Raises:
        NotAllowed: If the visitor may not train.
        DatasetError: If it is not stored any more, or the format cannot hold its labels.
        OSError: If the zip cannot be written.
    """
    seen.visitor.must("train")
    dataset = seen.datasets.load(fingerprint)
    chosen: Form = cast(Form, form) if form in FORM_TITLES else "folders"
    if several(dataset.labels) and chosen == "folders":
        chosen = "csv"
    folder = folder_of(dataset) / "exports" / fingerprint[:32]
    folder.mkdir(parents=True, exist_ok=True)
    name = _UNSAFE.sub("-", dataset.title).strip("-.") or "dataset"
    target = folder / f"{name}-{chosen}.zip"
    export(seen.datasets, dataset, target, chosen)
    return target


def _choice_text(dataset: ImageDataset) -> str:
    images = ngettext("{n} image", "{n} images", len(dataset.items))
    return f"{dataset.title} · {images}, {ngettext('{n} class', '{n} classes', len(dataset.classes))}"


def _required(chosen: str | None) -> str:
    if not chosen:
        raise NoDatasetChosen(_("No dataset is chosen. Choose one first."))
    return str(chosen)
