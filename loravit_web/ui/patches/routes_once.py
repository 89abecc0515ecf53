"""A page without the routes of a server, until the app is launched.

Gradio makes a server with all its routes, and describes the page for it, four times: when a page begins,
when it is complete, when its queue is set, and when it is launched. Only the last server is used. A Gradio
that needs an earlier one fails at the start.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from gradio import blocks


class _NoServer:
    """Takes the place of Gradio's class of servers."""

    @staticmethod
    def create_app(_page: gr.Blocks, *_how: Any, **_named: Any) -> None:
        """Make no server."""


@contextmanager
def routes_at_launch() -> Iterator[None]:
    """Return a context in which pages are built and queues are set without making a server."""
    module: Any = blocks  # mypy takes its class of servers for a type that cannot be replaced
    original = module.App
    module.App = _NoServer
    try:
        yield
    finally:
        module.App = original
