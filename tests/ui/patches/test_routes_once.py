"""A page gets the routes of its server when it is launched, and not before."""

from __future__ import annotations

import gradio as gr
import pytest
from gradio import blocks, routes

from loravit_web.ui.patches.routes_once import routes_at_launch


def test_a_page_is_built_without_a_server() -> None:
    with routes_at_launch():
        with gr.Blocks() as page:
            gr.Textbox()
        page.queue(max_size=3)
    assert page.app is None
    assert page._queue.max_size == 3
    assert sorted(component["type"] for component in page.config["components"]) == ["form", "textbox"]


def test_pages_have_servers_again_after_the_context() -> None:
    with pytest.raises(ZeroDivisionError), routes_at_launch():
        1 / 0  # noqa: B018
    assert vars(blocks)["App"] is routes.App
    with gr.Blocks() as page:
        gr.Textbox()
    assert isinstance(page.app, routes.App)
