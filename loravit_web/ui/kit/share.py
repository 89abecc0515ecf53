"""Link, QR code and API code for the picked tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import segno
from markupsafe import Markup
from starlette.requests import Request

from loravit_web.errors import LoraVitError
from loravit_web.ui.kit.events import QUIET, UNCHECKED, Updates
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.kit.snippets import code_snippets, share_link
from loravit_web.ui.language.texts import _
from loravit_web.ui.scripts import call
from loravit_web.ui.templates import render
from loravit_web.visibility import Seen
from registry import RegistryError

_LANGUAGES: Mapping[str, str] = {
    "python": "Python",
    "shell": "curl",
    "javascript": "JavaScript",
}
_ONLY_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class SharePanel:
    """Components with the link and the code.

    Attributes:
        link: Link to the picked versions.
        code: Code in each of `_LANGUAGES`.
    """

    link: gr.Textbox
    code: tuple[gr.Textbox, ...]

    @property
    def outputs(self) -> list[Any]:
        """All components."""
        return [self.link, *self.code]

    def updates(self, seen: Seen, url: str, picked: Sequence[str], top_k: int) -> Updates:
        """Return updates with the link and the code; both are empty without picked tasks.

        Args:
            seen: What the visitor sees.
            url: URL of the app.
            picked: Picked tasks. The link names the version that each of them has now.
            top_k: Number of labels per task.
        """
        if not picked:
            return dict.fromkeys(self.outputs, "")
        code = code_snippets(url, picked, top_k)
        texts = (code[language] for language in _LANGUAGES)
        versions = [_version(seen, task) for task in picked]
        return {self.link: share_link(url, versions), **dict(zip(self.code, texts, strict=True))}


def build_code(label: str, elem_id: str) -> gr.Textbox:
    """Build a box with text to copy. Gradio's component for code would load an editor of 0.3 MB."""
    return gr.Textbox(
        label=label,
        lines=1,
        max_lines=30,
        interactive=False,
        buttons=["copy"],
        elem_id=elem_id,
        elem_classes="lv-code",
    )


def build_share(prefix: str = "use", label: str | None = None) -> SharePanel:
    """Build the panel, which is empty until a task is picked.

    Args:
        prefix: Prefix of the element IDs.
        label: Label of the link, or None for the usual one.
    """
    with gr.Accordion(_("Share or use via API"), open=False, elem_id=f"{prefix}-share"):
        link = gr.Textbox(
            label=label or _("Permalink"),
            info=_("Pinned to these exact versions."),
            interactive=False,
            buttons=["copy"],
            elem_id=f"{prefix}-link",
        )
        draw = gr.Button(_("Show QR code"), size="sm", elem_id=f"{prefix}-draw-code")
        drawn = gr.HTML(elem_id=f"{prefix}-drawn-code")
        draw.click(qr_code, link, drawn, **QUIET, **UNCHECKED)
        link.change(None, [link, drawn], drawn, js=call("qrCode.keep"), **QUIET)
        code = [build_code(name, f"{prefix}-code-{language}") for language, name in _LANGUAGES.items()]
    return SharePanel(link, tuple(code))


def qr_code(link: str) -> Markup:
    """Return the QR code of a link, for the camera of a phone, or why there is none."""
    if not link:
        return notice(_("There is no link yet. Pick a task first."))
    if urlsplit(link).hostname in _ONLY_HERE:
        return notice(
            _(
                "This address works only on this machine. Open the page by the machine's name or address in "
                "the network, and show the QR code again."
            )
        )
    code = segno.make(link, micro=False)
    return render("kit/qr_code", link=link, code=code.svg_inline(scale=4, border=4, light="#fff", title=link))


def _version(seen: Seen, task: str) -> str:
    try:
        return seen.registry.catalog.resolve(task).ref
    except (LoraVitError, RegistryError):
        return task  # the page behind the link reports why the task cannot be used


def page_url(request: gr.Request | Request) -> str:
    """Return the URL under which the visitor reaches the app, without the query."""
    headers = request.headers
    host = headers.get("x-forwarded-host") or headers.get("host") or ""
    scheme = headers.get("x-forwarded-proto") or request.url.scheme
    return f"{scheme.split(',')[0]}://{host.split(',')[0]}{headers.get('x-forwarded-prefix', '')}"
