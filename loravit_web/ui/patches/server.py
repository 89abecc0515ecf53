"""The server under Gradio: another function starts it, so that it can stand behind the gate."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gradio as gr
import uvicorn
from gradio import http_server

Start = Callable[..., tuple[str, int, str, uvicorn.Server]]
"""From Gradio's app, a host and a port to the host, the port, the URL and the running server."""
STARTING_SECONDS = 10.0


class ListeningServer(http_server.Server):
    """Gradio's server over a socket that listens already."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self._listener = listener

    def run_in_thread(self) -> None:
        """Serve in a thread of its own; returns once it does.

        Raises:
            OSError: if it does not within `STARTING_SECONDS`.
        """
        self.thread = threading.Thread(target=self.run, args=([self._listener],), daemon=True)
        self.thread.start()
        deadline = time.monotonic() + STARTING_SECONDS
        while not self.started:
            if time.monotonic() > deadline or not self.thread.is_alive():
                raise OSError("The server did not start.")
            time.sleep(1e-3)


@contextmanager
def started_by(start: Start) -> Iterator[None]:
    """Within, `gradio.Blocks.launch` starts its server by calling a function of the app's own."""
    original = http_server.start_server
    http_server.start_server = start  # type: ignore[assignment]
    try:
        yield
    finally:
        http_server.start_server = original


def usual_host() -> str:
    """Return the address on which Gradio listens unless told otherwise."""
    return http_server.LOCALHOST_NAME


def usual_ports() -> range:
    """Return the ports of which Gradio takes the first free one."""
    first = http_server.INITIAL_PORT_VALUE
    return range(first, first + http_server.TRY_NUM_PORTS)


def is_starting(demo: gr.Blocks) -> bool:
    """Whether Gradio still has to tell the app to begin."""
    return not demo.app.startup_events_triggered


def path_prefix(demo: gr.Blocks) -> str:
    """Return the path under which an app that is being launched is mounted; nothing where it has the root."""
    prefix = (demo.root_path or "").rstrip("/")
    return prefix if prefix.startswith("/") else ""
