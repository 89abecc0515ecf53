"""Export of a version for use without this app, as a zip to download."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from loravit_web import __version__
from loravit_web.export.summary import Format
from loravit_web.runtime.layout import Precision
from loravit_web.service import Service
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.served import served_root
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.language.texts import _, gettext_noop
from loravit_web.ui.scripts import call
from loravit_web.visibility import Seen
from registry import Version

_FORMATS: Mapping[str, Format] = {
    gettext_noop("Web page"): "web",
    gettext_noop("Python without torch"): "onnx",
    "transformers.js": "onnx-merged",
}
_PRECISIONS: Mapping[str, Precision] = {gettext_noop("16 bits"): "fp16", gettext_noop("32 bits"): "fp32"}
_EXPORTING = threading.Lock()
"""One export at a time, because each needs the memory of a base and all cores."""


@dataclass(frozen=True)
class ExportPanel:
    """Components that export a version.

    Attributes:
        form: Format of the export.
        precision: How the weights of the base are stored.
        write: Writes the zip.
        file: Zip to download, hidden.
    """

    form: gr.Dropdown
    precision: gr.Dropdown
    write: gr.Button
    file: gr.DownloadButton


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
    write = gr.Button(_("Export as zip"), elem_id="catalog-export-write")
    return ExportPanel(form, precision, write, gr.DownloadButton(visible=False))


def connect_export(service: Service, ref: gr.State, panel: ExportPanel) -> None:
    """Connect the button.

    Args:
        service: Service behind the page.
        ref: Version that is shown.
        panel: Components of the export.
    """

    @told
    def write(ref: str, form: Format, precision: Precision, request: gr.Request) -> str:
        return str(export_file(seen_by(service, request), ref, form, precision))

    written = panel.write.click(
        write,
        [ref, panel.form, panel.precision],
        panel.file,
        api_visibility="private",
        show_progress="minimal",
        show_progress_on=[panel.form],
    )
    written.success(
        None, panel.file, None, js=call("card.saveFile"), api_visibility="private", preprocess=False
    )


def export_file(seen: Seen, ref: str, form: Format, precision: Precision) -> Path:
    """Write an export as a zip that Gradio may serve, unless it is there already, and return its path."""
    version = seen.registry.catalog.resolve(ref)
    name = f"{version.slug}-v{version.version}-{form}.zip"
    path = served_root(version.owner) / "exports" / _key(version, form, precision) / name
    with _EXPORTING:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            seen.export_zip(ref, path, form, precision)
    return path


def _key(version: Version, form: Format, precision: Precision) -> str:
    """Return a text that changes with everything that an export depends on."""
    parts = (version.weights_sha256, version.title, str(version.thresholds), form, precision, __version__)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
