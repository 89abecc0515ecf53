"""SIGTERM and Ctrl-C end a worker in time, whatever it is doing."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GRACE_SECONDS = 7.0
"""Less than the ten seconds after which containers and the app itself kill."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_on_signals(
    terminate: threading.Event, last_resort: Callable[[], None], *, grace: float = GRACE_SECONDS
) -> Iterator[None]:
    """In this context the first signal sets ``terminate``.

    Where the context isn't left within ``grace`` seconds from then, or at the second signal, another thread
    calls ``last_resort``: a handler of Python would wait for a long call of the main thread to end, but the
    system writes a signal's number into a socket at once.
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
    if not _signalled(reading):
        return
    terminate.set()
    reading.settimeout(grace)
    try:
        again = _signalled(reading)
    except TimeoutError:
        again = True
    if again:
        last_resort()


def _signalled(reading: socket.socket) -> bool:
    """Wait for one of the signals; False when the context was left instead."""
    while received := reading.recv(1):
        if received[0] in _SIGNALS:
            return True
    return False
