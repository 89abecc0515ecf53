"""Question which version people get, where a new version did not replace the one before."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from loravit_web.catalog.earlier import compare, lower_text, meant_by_name
from loravit_web.runs.results import result_of
from loravit_web.service import Service
from loravit_web.ui.kit.errors import told_at
from loravit_web.ui.kit.events import QUIET, Updates
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.language.texts import _
from loravit_web.visibility import Seen
from registry import DEFAULT_ALIAS, Version


@dataclass(frozen=True)
class DefaultPanel:
    """Components of the question.

    Attributes:
        text: Which version people get and why, or what was decided.
        buttons: Row with the answers; hidden if there is no question.
        keep: Keeps the version before.
        use: Lets people get the new version.
    """

    text: gr.HTML
    buttons: gr.Row
    keep: gr.Button
    use: gr.Button

    @property
    def outputs(self) -> list[gr.HTML | gr.Row | gr.Button]:
        """Components that the methods update."""
        return [self.text, self.buttons, self.keep, self.use]

    def asked(self, seen: Seen, version: Version) -> Updates:
        """Return updates that ask, if people get an earlier version, or that hide the question.

        Args:
            seen: What the visitor sees.
            version: Version whose result is shown.
        """
        meant = meant_by_name(seen.registry, version.slug)
        if meant is None or meant.version >= version.version or version.withdrawn_at is not None:
            return {self.text: "", self.buttons: gr.Row(visible=False)}
        compared = compare(seen.registry, version, meant)
        sentences = [
            _(
                "Until you decide, the task “{title}” is answered by version {number}.",
                title=version.title,
                number=meant.version,
            )
        ]
        if compared is not None and compared.is_worse:
            sentences.insert(0, _("It is {lower}.", lower=lower_text(compared)))
        title = _("People do not get version {number} yet.", number=version.version)
        return {
            self.text: notice(" ".join(sentences), kind="warning", title=title),
            self.buttons: gr.Row(visible=True),
            self.keep: gr.Button(_("Keep version {number} as what people get", number=meant.version)),
            self.use: gr.Button(_("Use version {number}", number=version.version)),
        }

    def decided(self, number: int) -> Updates:
        """Return updates that tell which version people get."""
        return {
            self.text: notice(_("People get version {number}.", number=number), kind="success"),
            self.buttons: gr.Row(visible=False),
        }


def build_default(service: Service, run_id: gr.State) -> DefaultPanel:
    """Build the question and its events.

    Args:
        service: Service with the catalog.
        run_id: ID of the run whose result is shown.
    """
    text = gr.HTML(elem_id="train-default")
    with gr.Row(visible=False, elem_id="train-default-answers") as buttons:
        keep = gr.Button(_("Keep the version before"), elem_id="train-default-keep", min_width=200)
        use = gr.Button(_("Use this version"), elem_id="train-default-use", min_width=140)
    panel = DefaultPanel(text, buttons, keep, use)

    def decide(run: str, request: gr.Request, *, new: bool) -> Updates:
        version = result_of(seen_by(service, request).registry, run).version
        actions = actions_of(service, request)
        chosen = version.ref if new else version.slug
        return panel.decided(actions.promote(chosen, DEFAULT_ALIAS).version)

    @told_at(text)
    def keep_before(run: str, request: gr.Request) -> Updates:
        return decide(run, request, new=False)

    @told_at(text)
    def use_new(run: str, request: gr.Request) -> Updates:
        return decide(run, request, new=True)

    keep.click(keep_before, run_id, panel.outputs, **QUIET)
    use.click(use_new, run_id, panel.outputs, **QUIET)
    return panel
