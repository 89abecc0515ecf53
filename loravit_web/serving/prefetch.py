"""Answers that are one click away, computed while nobody waits for another one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from PIL import Image

from loravit_web.errors import LoraVitError

PAUSE = 0.2
"""Seconds of rest before the first: who picks several tasks in a row should not wait for others."""
MOST = 9
"""Tasks for one picture."""

Prepare = Callable[[Image.Image, str], bool]
"""Computes an answer; False where somebody waits for another one. See `Predictor.prepare`."""


class Ahead:
    """Prepares the answers that were wanted last. Safe to call from any number of threads.

    One task is computed at a time, as who asks meanwhile waits for it. What is left is dropped as soon as
    somebody asks, or wants others.
    """

    def __init__(self, prepare: Prepare, *, pause: float = PAUSE) -> None:
        self._prepare, self._pause = prepare, pause
        self._lock, self._computing = threading.Lock(), threading.Lock()
        self._dropped = threading.Event()

    def want(self, picture: Callable[[], Image.Image], tasks: Sequence[str]) -> None:
        """Prepare some answers if there is time; returns at once.

        Args:
            picture: opens it: RGB, upright, any size.
            tasks: slugs or exact versions, of which the first `MOST` are computed.
        """
        with self._lock:
            self._dropped.set()
            self._dropped = threading.Event()
            work = (self._dropped, picture, tasks[:MOST])
            threading.Thread(target=self._work, args=work, name="ahead", daemon=True).start()

    def stop(self) -> None:
        """Drop what is wanted; returns when nothing is being computed."""
        with self._lock:
            self._dropped.set()
        with self._computing:
            pass

    def _work(
        self, dropped: threading.Event, picture: Callable[[], Image.Image], tasks: Sequence[str]
    ) -> None:
        if dropped.wait(self._pause):
            return
        with self._computing:
            try:
                image = picture()
                for task in tasks:
                    if dropped.is_set() or not self._prepare(image, task):
                        return
            except LoraVitError:
                return  # who asks is told the reason
