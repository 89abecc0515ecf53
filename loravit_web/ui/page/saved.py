"""One quiet line about how well the registry is saved, or a notice that a restart loses it."""

from __future__ import annotations

import gradio as gr

from loravit_web.saver import saved_sentence
from loravit_web.service import Service
from loravit_web.ui.kit.markup import line, notice
from loravit_web.ui.page.pulse import SELDOM
from registry import utc_now

LOST = (
    "What is trained or imported here is lost when this Space restarts, so download what you want to keep. "
    "Its owner can mount a storage bucket at /data or set LORAVIT_SNAPSHOT_URL."
)


def add_saved(demo: gr.Blocks, service: Service) -> None:
    """Add the line to the page, where there is anything to say."""
    if service.saver is None:
        if service.settings.restart_loses:
            gr.HTML(notice(LOST, kind="warning"), elem_id="saved")
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
    """The line as it is now."""
    if service.saver is None:
        return ""
    saved = service.saver.saved
    sentence = saved_sentence(saved, utc_now())
    if saved.failing_since is not None:
        return notice(sentence, kind="warning")
    return line(sentence)
