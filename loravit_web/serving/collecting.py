"""Keeping of images of requests whose answer is unsure or unlike, where an admin switched that on for a task.

A copy is kept without the file's name and metadata, at most `SIDE` pixels a side. Who asked is not recorded.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import BoundedSemaphore

from PIL import Image

from loravit_web.datasets.pool.store import PoolStore
from loravit_web.errors import LoraVitError
from loravit_web.serving.answers import TaskAnswer

SIDE = 1024
"""Maximum length of the longer side of a copy in pixels."""
QUALITY = 95
MOST_WAITING = 8
"""Number of images that wait to be written; more are not kept."""
_LOG = logging.getLogger(__name__)


class Collector:
    """Keeps images in the background, so that no answer waits for it. Thread-safe.

    Args:
        pools: Pools on disk.
        is_allowed: Whether anything is kept at all; a demo keeps nothing.
    """

    def __init__(self, pools: PoolStore, *, is_allowed: bool) -> None:
        self._pools, self._is_allowed = pools, is_allowed
        self._room = BoundedSemaphore(MOST_WAITING)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="collecting")

    def tasks(self, answers: Iterable[TaskAnswer]) -> list[str]:
        """Return the slugs, among the tasks that answered, whose images are kept if an answer is doubted."""
        slugs = [slug_of(answer) for answer in answers if answer.labels_per_image == "one"]
        return [slug for slug in slugs if self._is_allowed and slug and self._pools.is_collecting(slug)]

    def offer(self, image: Image.Image, answers: Iterable[TaskAnswer]) -> None:
        """Keep an image in the pool of each task that doubts its answer; returns at once.

        Args:
            image: Upright RGB image, which is not changed.
            answers: Answers of the tasks.
        """
        doubted = [answer for answer in answers if answer.unsure or answer.unlike]
        for slug in self.tasks(doubted):
            if self._room.acquire(blocking=False):
                self._writer.submit(self._keep, slug, image)

    def close(self) -> None:
        """Write the images that wait, and stop."""
        self._writer.shutdown(wait=True)

    def _keep(self, slug: str, image: Image.Image) -> None:
        try:
            content = copy_of(image)
            self._pools.keep(slug, content, hashlib.sha256(content).hexdigest(), ".jpg")
        except (LoraVitError, OSError):  # an answer was given already; the log tells the operator
            _LOG.exception("An image for the pool of %s could not be kept.", slug)
        finally:
            self._room.release()


def copy_of(image: Image.Image) -> bytes:
    """Return a copy of an image as a JPEG without metadata."""
    small = image.copy()
    small.info.clear()
    small.thumbnail((SIDE, SIDE))
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def slug_of(answer: TaskAnswer) -> str:
    """Return the slug of the task that answered, or nothing for a first answer of a run."""
    slug, at, _number = answer.task.partition("@")
    return slug if at else ""
