"""SIGTERM and Ctrl-C end a worker in time, whatever it is doing."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GRACE_SECONDS = 7.0
"""Less than the ten seconds after which containers and the app kill the process."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_on_signals(
    terminate: threading.Event, last_resort: Callable[[], None], *, grace: float = GRACE_SECONDS
) -> Iterator[None]:
    """Set ``terminate`` at the first signal while the context is active.

    If the context is not left within ``grace`` seconds, or at the second signal, another thread calls
    ``last_resort``. A Python signal handler would wait for a long call of the main thread, but the system
    writes the signal's number into a socket at once.

    Args:
        terminate: Event to set.
        last_resort: Ends the process.
        grace: Seconds between the signal and ``last_resort``.
    """
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    watch = threading.Thread(
        target=_watch, args=(reading, terminate, last_resort, grace), name="signals", daemon=True
    )
    watch.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        writing.close()
        watch.join()
        reading.close()


def _watch(
    reading: socket.socket, terminate: threading.Event, last_resort: Callable[[], None], grace: float
) -> None:
    if not _received_signal(reading):
        return
    terminate.set()
    reading.settimeout(grace)
    try:
        expired = _received_signal(reading)
    except TimeoutError:
        expired = True
    if expired:
        last_resort()


def _received_signal(reading: socket.socket) -> bool:
    """Wait for a signal; return False if the context was left instead."""
    while received := reading.recv(1):
        if received[0] in _SIGNALS:
            return True
    return False
