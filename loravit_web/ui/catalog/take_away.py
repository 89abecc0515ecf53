"""Export of versions for use without this app, as a zip to download."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from loravit_web import __version__
from loravit_web.export.summary import Format
from loravit_web.runtime.layout import Precision
from loravit_web.service import Service
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.served import served_root
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.language.texts import _, gettext_noop, numeral
from loravit_web.ui.scripts import call
from loravit_web.visibility import Seen
from registry import AdapterQuery, Version

_FORMATS: Mapping[str, Format] = {
    gettext_noop("Web page"): "web",
    gettext_noop("Python without torch"): "onnx",
    "transformers.js": "onnx-merged",
}
_ONE_TASK: Format = "onnx-merged"
"""Format that holds one task."""
_PRECISIONS: Mapping[str, Precision] = {gettext_noop("16 bits"): "fp16", gettext_noop("32 bits"): "fp32"}
_OFFERED = 200
"""Maximum number of tasks that the menu lists; others are typed."""
_EXPORTING = threading.Lock()
"""One export at a time, because each needs the memory of a base and all cores."""


@dataclass(frozen=True)
class ExportPanel:
    """Components that export a version, and other tasks with it.

    Attributes:
        others: Other tasks in the same export, hidden for a format that holds one task.
        form: Format of the export.
        precision: How the weights of the base are stored.
        write: Writes the zip.
        file: Zip to download, hidden.
    """

    others: gr.Dropdown
    form: gr.Dropdown
    precision: gr.Dropdown
    write: gr.Button
    file: gr.DownloadButton

    def opened(self, seen: Seen, version: Version) -> dict[Any, Any]:
        """Return updates that offer the other tasks, with none chosen."""
        choices, total = other_tasks(seen, version)
        return {self.others: gr.Dropdown(choices, value=[], info=_others_info(total), multiselect=True)}


def build_export() -> ExportPanel:
    """Build the components, without events."""
    with gr.Row(elem_id="catalog-export"):
        form = gr.Dropdown(
            [(_(title), form) for title, form in _FORMATS.items()],
            value="web",
            label=_("Export for"),
            info=_("Use this version without the app, on any static host or machine."),
            elem_id="catalog-export-form",
        )
        precision = gr.Dropdown(
            [(_(title), precision) for title, precision in _PRECISIONS.items()],
            value="fp16",
            label=_("Weights of the base"),
            info=_("16 bits take half of the space, 32 bits are exact."),
            elem_id="catalog-export-precision",
        )
    others = gr.Dropdown(
        [],
        value=[],
        multiselect=True,
        allow_custom_value=True,
        label=_("Also export"),
        info=_others_info(0),
        elem_id="catalog-export-others",
    )
    write = gr.Button(_("Export as zip"), elem_id="catalog-export-write")
    return ExportPanel(others, form, precision, write, gr.DownloadButton(visible=False))


def connect_export(service: Service, ref: gr.State, panel: ExportPanel) -> None:
    """Connect the button.

    Args:
        service: Service behind the page.
        ref: Version that is shown.
        panel: Components of the export.
    """

    @told
    def write(ref: str, others: list[str], form: Format, precision: Precision, request: gr.Request) -> str:
        refs = [ref] if form == _ONE_TASK else [ref, *(others or ())]
        return str(export_file(seen_by(service, request), refs, form, precision))

    def hold(form: Format) -> gr.Dropdown:
        return gr.Dropdown(visible=form != _ONE_TASK)

    panel.form.input(hold, panel.form, panel.others, queue=False, api_visibility="private")
    written = panel.write.click(
        write,
        [ref, panel.others, panel.form, panel.precision],
        panel.file,
        api_visibility="private",
        show_progress="minimal",
        show_progress_on=[panel.form],
    )
    written.success(
        None, panel.file, None, js=call("card.saveFile"), api_visibility="private", preprocess=False
    )


def other_tasks(seen: Seen, version: Version) -> tuple[list[tuple[str, str]], int]:
    """Return other tasks on a version's base that the visitor sees, and how many tasks the base has in all.

    The tasks are titles and versions, sorted by title, and at most `_OFFERED`.
    """
    query = AdapterQuery(base=version.base.weights_sha256, limit=_OFFERED)
    found = seen.registry.search.adapters(query)
    choices = [
        (entry.title, f"{entry.slug}@{entry.newest.version}")
        for entry in found.entries
        if entry.newest is not None and entry.slug != version.slug
    ]
    return choices, found.total


def _others_info(total: int) -> str:
    """Return the help text of the other tasks.

    Args:
        total: Number of tasks on the base.
    """
    text = _("Other tasks on the same base. They share its weights, and answer side by side.")
    if total <= _OFFERED:
        return text
    more = _(
        "The first {listed} of {total} are listed. To add another task, type its name, such as flowers or "
        "flowers@2, and press Enter.",
        listed=numeral(_OFFERED),
        total=numeral(total),
    )
    return f"{text} {more}"


def export_file(seen: Seen, refs: Sequence[str], form: Format, precision: Precision) -> Path:
    """Write an export as a zip that Gradio may serve, unless it is there already, and return its path.

    Args:
        seen: What the visitor sees of the app.
        refs: Versions to export or names that mean them, at least one; the first one names the file.
        form: Format of the export.
        precision: Precision in which the weights of the base are stored.
    """
    resolved = [seen.registry.catalog.resolve(ref.strip()) for ref in refs]
    versions = list({version.ref: version for version in resolved}.values())
    first = versions[0]
    more = f"-and-{len(versions) - 1}-more" if len(versions) > 1 else ""
    name = f"{first.slug}-v{first.version}{more}-{form}.zip"
    path = served_root(first.owner) / "exports" / _key(versions, form, precision) / name
    with _EXPORTING:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            seen.export_zip([version.ref for version in versions], path, form, precision)
    return path


def _key(versions: Sequence[Version], form: Format, precision: Precision) -> str:
    """Return a text that changes with everything that an export depends on."""
    of_versions = [
        part for one in versions for part in (one.ref, one.weights_sha256, one.title, str(one.thresholds))
    ]
    parts = (*of_versions, form, precision, __version__)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
