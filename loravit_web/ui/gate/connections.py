"""The web server: a limit on connections, timeouts for idle ones, and a log that a flood cannot fill."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from loravit_web.ui.patches.server import ListeningServer, started_by, usual_host, usual_ports

HEAD_SECONDS = 20.0
"""Seconds until the headers of the first or next request on a connection must have arrived."""
KEEP_ALIVE_SECONDS = 5
"""Seconds until a connection that finished a request is closed if no byte of another one arrives."""
MOST, LEAST = 1000, 16
"""Upper and lower bound of the limit on concurrent connections."""
SPARE_FILES, BACKLOG = 96, 64
"""Open files kept free for databases, models and uploads, and connections that wait in the system."""
_REPEATS, _REPEAT_SECONDS = 5, 60.0
_FLOODED = ("asyncio", "uvicorn.error", "uvicorn")


def most_connections() -> int:
    """Return how many connections the process can hold beside its other open files."""
    if sys.platform == "win32":
        return MOST
    import resource

    files, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST
    return max(LEAST, min(MOST, files - SPARE_FILES - BACKLOG))


class BoundedConnection(H11Protocol):
    """A connection that is closed if there are too many, or if its request does not arrive in time."""

    most = MOST
    _silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or close it if there are too many."""
        if len(self.connections) >= self.most:
            transport.abort()
            return
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Process received bytes. Headers that arrive byte by byte have no more time than others."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_waiting()
        elif self._is_between_requests and self._silence is None:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer of a closed connection."""
        self._stop_waiting()
        if self.transport is not None:
            super().connection_lost(exc)

    @property
    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._silence = self.loop.call_later(HEAD_SECONDS, self._end_silence)

    def _stop_waiting(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _end_silence(self) -> None:
        self._silence = None
        if self._is_between_requests:
            self.transport.abort()


class Seldom(logging.Filter):
    """Passes each message a few times a minute, then reports how many were omitted.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a record to the log."""
        now, key = self._clock(), str(record.msg)[:80]
        with self._lock:
            began, count = self._counts.get(key, (now, 0))
            if now - began >= _REPEAT_SECONDS:
                if count > _REPEATS:
                    record.msg = f"{record.msg} ({count - _REPEATS} similar messages omitted)"
                began, count = now, 0
            if len(self._counts) > 100:
                self._counts.clear()
            self._counts[key] = (began, count + 1)
            return count < _REPEATS


def served_through(gate: Callable[[ASGIApp], ASGIApp]) -> AbstractContextManager[None]:
    """Return a context in which `gradio.Blocks.launch` serves through a gate and bounded connections.

    Args:
        gate: Wraps Gradio's app.
    """

    def start(
        app: ASGIApp, server_name: str | None = None, server_port: int | None = None, **_tls: Any
    ) -> tuple[str, int, str, uvicorn.Server]:
        host = (server_name or usual_host()).strip("[]")
        listener, port = _listening(host, server_port)
        connection = type("Connection", (BoundedConnection,), {"most": most_connections()})
        config = uvicorn.Config(
            app=gate(app),
            host=host,
            port=port,
            log_level="warning",
            http=connection,
            ws="none",
            proxy_headers=False,  # the gate reads them
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        server = ListeningServer(config, listener)
        seldom = Seldom()
        for name in _FLOODED:
            logger = logging.getLogger(name)
            for old in [one for one in logger.filters if isinstance(one, Seldom)]:
                logger.removeFilter(old)
            logger.addFilter(seldom)
        server.run_in_thread()
        shown = "localhost" if host == "0.0.0.0" else f"[{host}]" if ":" in host else host
        return host, port, f"http://{shown}:{port}/", server

    return started_by(start)


def _listening(host: str, port: int | None) -> tuple[socket.socket, int]:
    """Return a listening socket and its port.

    Args:
        host: Address to listen on.
        port: Port, or None for the first free one of Gradio's usual ports.

    Raises:
        OSError: If no port is free.
    """
    ports = [port] if port is not None else usual_ports()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    refusal = OSError("No port is free. Stop another app, or choose a port.")
    for number in ports:
        # asyncio sets TCP_NODELAY, without which small answers are delayed, only if the protocol is named
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, number))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            refusal = error
            continue
        listener.setblocking(False)
        return listener, listener.getsockname()[1]
    raise refusal
