"""Questions that scripts of the page ask, past Gradio's queue, and that are answered with HTML."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import gradio as gr
from gradio.events import api

from loravit_web.errors import LoraVitError
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.kit.waiting import QueueFull, Waiting
from registry import RegistryError


def add_question(waiting: Waiting, route: str, answered: Callable[[gr.Request, str], str]) -> None:
    """Add a route that answers a question of the page; an error becomes a notice.

    Args:
        waiting: Runs the requests, together with those of the HTTP interface.
        route: Name of the route.
        answered: Returns HTML for a request and the text of its question. Runs in a thread.
    """

    def answered_now(text: str, request: gr.Request) -> str:
        try:
            return answered(request, text)
        except (LoraVitError, RegistryError) as error:
            return notice(error.in_public, kind="error")

    async def answer(
        text: str,
        request: gr.Request = None,  # type: ignore[assignment] # Gradio fills it in, the page never does
    ) -> str:
        try:
            return await waiting.run(partial(answered_now, text, request))
        except QueueFull as error:
            return notice(error.in_public, kind="error")

    # without the queue, because requests that wait are answered as one batch
    api(answer, api_name=route, queue=False, api_visibility="private")
