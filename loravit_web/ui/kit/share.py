"""The picked tasks as a link and as code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loravit_web.errors import LoraVitError
from loravit_web.ui.kit.events import Updates
from loravit_web.ui.kit.snippets import code_snippets, share_link
from loravit_web.visibility import Seen
from registry import RegistryError

_LANGUAGES: Mapping[str, str] = {
    "python": "Python",
    "shell": "curl",
    "javascript": "JavaScript",
}


@dataclass(frozen=True)
class SharePanel:
    """The picked tasks as a link, and as code in each of `_LANGUAGES`."""

    link: gr.Textbox
    code: tuple[gr.Textbox, ...]

    @property
    def outputs(self) -> list[Any]:
        """All components."""
        return [self.link, *self.code]

    def updates(self, seen: Seen, url: str, picked: Sequence[str], top_k: int) -> Updates:
        """Link and code for the picked tasks, each at the version that it means now; empty without any."""
        if not picked:
            return dict.fromkeys(self.outputs, "")
        code = code_snippets(url, picked, top_k)
        texts = (code[language] for language in _LANGUAGES)
        versions = [_version(seen, task) for task in picked]
        return {self.link: share_link(url, versions), **dict(zip(self.code, texts, strict=True))}


def build_code(label: str, elem_id: str) -> gr.Textbox:
    """Text to copy; Gradio's component for code brings an editor of 0.3 MB into every page."""
    return gr.Textbox(
        label=label,
        lines=1,
        max_lines=30,
        interactive=False,
        buttons=["copy"],
        elem_id=elem_id,
        elem_classes="lv-code",
    )


def build_share(prefix: str = "use", label: str = "Link to these versions") -> SharePanel:
    """Build the panel, empty until a task is picked; ``prefix`` begins the ids of its elements."""
    with gr.Accordion("Share this choice, or ask from code", open=False, elem_id=f"{prefix}-share"):
        link = gr.Textbox(
            label=label,
            info="It always means the same: a version never changes.",
            interactive=False,
            buttons=["copy"],
            elem_id=f"{prefix}-link",
        )
        code = [build_code(name, f"{prefix}-code-{language}") for language, name in _LANGUAGES.items()]
    return SharePanel(link, tuple(code))


def _version(seen: Seen, task: str) -> str:
    try:
        return seen.registry.catalog.resolve(task).ref
    except (LoraVitError, RegistryError):
        return task  # whoever opens the link is told why it can't answer


def page_url(request: gr.Request) -> str:
    """Where the reader sees the app, without the query."""
    headers = request.headers
    host = headers.get("x-forwarded-host") or headers.get("host") or ""
    scheme = headers.get("x-forwarded-proto") or request.url.scheme
    return f"{scheme.split(',')[0]}://{host.split(',')[0]}{headers.get('x-forwarded-prefix', '')}"
