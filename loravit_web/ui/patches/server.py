"""The web server under Gradio. A function of the app starts it, so that it runs behind the gate."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
import uvicorn
from gradio import http_server

Start = Callable[..., tuple[str, int, str, uvicorn.Server]]
"""Starts a server for Gradio's app, a host and a port, and returns host, port, URL and server."""
STARTING_SECONDS = 10.0
"""Maximum seconds until the server has started."""
UNCHECKED_PAGE: dict[str, Any] = {"_frontend": False}
"""Argument of `gradio.Blocks.launch` that skips its request for the page.

On a busy machine, the answer takes longer than Gradio's 3 s, and Gradio then refuses to start.
"""


class ListeningServer(http_server.Server):
    """Gradio's server on a socket that already listens.

    Args:
        config: Configuration of the server.
        listener: Listening socket.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self._listener = listener

    def run_in_thread(self) -> None:
        """Start the server in a thread, and return once it runs.

        Raises:
            OSError: If the server does not run within `STARTING_SECONDS`.
        """
        self.thread = threading.Thread(target=self.run, args=([self._listener],), daemon=True)
        self.thread.start()
        deadline = time.monotonic() + STARTING_SECONDS
        while not self.started:
            if time.monotonic() > deadline or not self.thread.is_alive():
                raise OSError("The server did not start. The log has details.")
            time.sleep(1e-3)


@contextmanager
def started_by(start: Start) -> Iterator[None]:
    """Return a context in which `gradio.Blocks.launch` starts its server with a function of the app."""
    original = http_server.start_server
    http_server.start_server = start  # type: ignore[assignment]
    try:
        yield
    finally:
        http_server.start_server = original


def usual_host() -> str:
    """Return the address on which Gradio listens by default."""
    return http_server.LOCALHOST_NAME


def usual_ports() -> range:
    """Return the ports from which Gradio picks the first free one."""
    first = http_server.INITIAL_PORT_VALUE
    return range(first, first + http_server.TRY_NUM_PORTS)


def is_starting(demo: gr.Blocks) -> bool:
    """Return whether Gradio has yet to start the app."""
    return not demo.app.startup_events_triggered


def path_prefix(demo: gr.Blocks) -> str:
    """Return the path under which an app is mounted, or an empty string for the root."""
    prefix = (demo.root_path or "").rstrip("/")
    return prefix if prefix.startswith("/") else ""
