"""Prefetching: answers that are one click away are computed while no request waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from PIL import Image

from loravit_web.errors import LoraVitError

PAUSE = 0.2
"""Seconds before the first computation, so that several clicks in a row do not wait for it."""
MAX_PREFETCHED = 9
"""Maximum number of tasks per image."""

Prepare = Callable[[Image.Image, str], bool]
"""Computes an answer; returns False if a request is waiting. See `Predictor.prepare`."""


class Prefetcher:
    """Computes the most recently requested answers in advance. Thread-safe.

    One task is computed at a time, because requests have to wait for it. The rest is dropped as soon as a
    request waits or other tasks are prefetched.

    Args:
        prepare: Computes an answer.
        pause: Seconds before the first computation.
    """

    def __init__(self, prepare: Prepare, *, pause: float = PAUSE) -> None:
        self._prepare, self._pause = prepare, pause
        self._lock, self._computing = threading.Lock(), threading.Lock()
        self._dropped = threading.Event()

    def prefetch(self, open_image: Callable[[], Image.Image], tasks: Sequence[str]) -> None:
        """Compute some answers in the background if there is time; returns at once.

        Args:
            open_image: Opens the image as upright RGB.
            tasks: Slugs or exact versions; the first `MAX_PREFETCHED` are computed.
        """
        with self._lock:
            self._dropped.set()
            self._dropped = threading.Event()
            work = (self._dropped, open_image, tasks[:MAX_PREFETCHED])
            threading.Thread(target=self._work, args=work, name="prefetch", daemon=True).start()

    def stop(self) -> None:
        """Drop the remaining tasks; returns when nothing is being computed."""
        with self._lock:
            self._dropped.set()
        with self._computing:
            pass

    def _work(
        self, dropped: threading.Event, open_image: Callable[[], Image.Image], tasks: Sequence[str]
    ) -> None:
        if dropped.wait(self._pause):
            return
        with self._computing:
            try:
                image = open_image()
                for task in tasks:
                    if dropped.is_set() or not self._prepare(image, task):
                        return
            except LoraVitError:
                return  # a request for the task reports the reason
