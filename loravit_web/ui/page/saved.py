"""Line about the last snapshot of the registry, or a warning that a restart loses the registry."""

from __future__ import annotations

import gradio as gr

from loravit_web.saver import saved_sentence
from loravit_web.service import Service
from loravit_web.ui.kit.markup import line, notice
from loravit_web.ui.language.texts import _, gettext_noop
from loravit_web.ui.page.pulse import SELDOM
from registry import utc_now

LOST = gettext_noop(
    "All trainings and imports are lost when this Space restarts. Download what you want to keep. To prevent "
    "the loss, the owner can mount a storage bucket at /data or set LORAVIT_SNAPSHOT_URL."
)


def add_saved(demo: gr.Blocks, service: Service) -> None:
    """Add the line to the page if the app writes snapshots or loses data at a restart."""
    if service.saver is None:
        if service.settings.restart_loses:
            gr.HTML(notice(_(LOST), kind="warning"), elem_id="saved")
        return
    line = gr.HTML(saved_line(service), elem_id="saved")
    look = gr.Button(visible="hidden", elem_id=SELDOM)
    for trigger in (demo.load, look.click):
        trigger(
            lambda: saved_line(service),
            None,
            line,
            show_progress="hidden",
            queue=False,
            api_visibility="private",
        )


def saved_line(service: Service) -> str:
    """Return the current line."""
    if service.saver is None:
        return ""
    saved = service.saver.saved
    sentence = saved_sentence(saved, utc_now())
    if saved.failing_since is not None:
        return notice(sentence, kind="warning")
    return line(sentence)
