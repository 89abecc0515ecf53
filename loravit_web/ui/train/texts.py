"""Title, description and tags of the adapter that a training published."""

from __future__ import annotations

import gradio as gr

from loravit_web.runs.results import result_of
from loravit_web.service import Service
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.language.texts import _


def build_texts(service: Service, run_id: gr.State) -> tuple[gr.Textbox, ...]:
    """Build the fields and the button that saves them; return the fields.

    Args:
        service: Service with the catalog.
        run_id: ID of the run whose result is shown.
    """
    with gr.Accordion(_("Edit title, description and tags"), open=False, elem_id="train-publish"):
        texts = (
            gr.Textbox(label=_("Title"), max_lines=1, max_length=120, elem_id="train-title"),
            gr.Textbox(
                label=_("Description"),
                info=_("What it classifies, in which images, and what it is not meant for."),
                lines=3,
                max_length=10_000,
                elem_id="train-description",
            ),
            gr.Textbox(label=_("Tags"), placeholder=_("flowers, garden"), max_lines=1, elem_id="train-tags"),
        )
        publish = gr.Button(_("Save to the catalog"), elem_id="train-save")

    @told
    def save(run: str, title: str, description: str, tags: str, request: gr.Request) -> None:
        actions = actions_of(service, request)
        actions.replace_texts(
            result_of(seen_by(service, request).registry, run).version.slug, title, description, tags
        )
        gr.Success(_("The catalog shows the new title, description and tags."), title=_("Saved"))

    publish.click(save, [run_id, *texts], None, api_visibility="private")
    return texts
