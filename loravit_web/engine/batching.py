"""Batching of concurrent requests: requests that wait at the same time share mixed batches."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from loravit_web.errors import LoraVitError

MAX_IMAGES = 16
"""Maximum number of images per batch.

Larger batches hardly reduce the time per image, and delay later requests.
"""


class Engine(Protocol):
    """Interface of an engine that computes batches; see `MultiLoRAViT`."""

    @property
    def lane_count(self) -> int:
        """Number of batches that the engine can compute in parallel, each with its share of the cores."""

    def forward(
        self,
        images: torch.Tensor,
        assignment: Sequence[Sequence[str]],
        *,
        seconds: MutableMapping[str, float] | None = None,
        novelty: Sequence[MutableMapping[str, float]] | None = None,
        in_one_lane: bool = False,
    ) -> list[dict[str, torch.Tensor]]:
        """Return float32 logits (C,) by task key for each image; see `MultiLoRAViT.forward`."""


@dataclass(frozen=True)
class Reply:
    """Logits of one image for each requested task.

    Attributes:
        logits: Float32 logits (C,) by task key.
        seconds: Compute time of each task's branch in seconds, by task key. In a shared batch, this image's
            share of it.
        novelty: How unlike a task's training images the image is, above 1 for an unlike one, by task key.
            Tasks that cannot tell are left out.
    """

    logits: Mapping[str, torch.Tensor]
    seconds: Mapping[str, float]
    novelty: Mapping[str, float]


@dataclass(eq=False)
class _Request:
    """Request for one image and its tasks, until its caller returns.

    Attributes:
        turn: Set when the request has a reply or an error, or when its caller has to compute `batch`.
        batch: Batch that the caller of this request computes; it contains the request itself.
    """

    image: torch.Tensor
    keys: Sequence[str]
    turn: threading.Event = field(default_factory=threading.Event)
    batch: _Batch | None = None
    reply: Reply | None = None
    error: BaseException | None = None


@dataclass(frozen=True)
class _Batch:
    """Requests that are computed together, and the number of lanes that compute them."""

    requests: Sequence[_Request]
    lanes: int


@dataclass(eq=False)
class _Queue:
    """Requests that wait for a free lane, and the number of busy lanes."""

    waiting: deque[_Request] = field(default_factory=deque)
    busy: int = 0


BatchKey = tuple[Engine, int]
"""Requests with the same key can share a batch: the engine, and the side of the images in pixels."""


class Batcher:
    """Batcher of requests that wait at the same time. Thread-safe.

    The batcher has no thread of its own and never waits for a batch to fill. If nothing is being computed, a
    request starts at once on all cores. Requests that arrive meanwhile wait. As soon as a lane is free, it
    takes the next batch of them, so no lane waits for another.

    Args:
        max_images: Maximum number of images that are computed at the same time in all lanes together.
    """

    def __init__(self, max_images: int = MAX_IMAGES) -> None:
        self.max_images = max_images
        self._lock = threading.Lock()
        self._queues: dict[BatchKey, _Queue] = {}

    @property
    def idle(self) -> bool:
        """Whether no request is being computed or waiting."""
        return not self._queues

    def infer(self, engine: Engine, image: torch.Tensor, keys: Sequence[str]) -> Reply:
        """Compute the logits of one image.

        Args:
            engine: Engine that computes the tasks.
            image: Normalized float32 image (1, 3, S, S).
            keys: Keys of the tasks.

        Returns:
            Logits and compute time for each task.

        Raises:
            LoraVitError: If the engine rejects this request. Other requests in the batch are not affected.
        """
        batch_key, request = (engine, image.shape[-1]), _Request(image, keys)
        with self._lock:
            self._queues.setdefault(batch_key, _Queue()).waiting.append(request)
            self._begin(batch_key)
        request.turn.wait()
        if request.batch is not None:
            self._compute(batch_key, request.batch)
        if request.error is not None:
            raise request.error
        assert request.reply is not None
        return request.reply

    def _compute(self, batch_key: BatchKey, batch: _Batch) -> None:
        try:
            _compute_batch(batch_key[0], batch.requests, in_one_lane=batch.lanes < batch_key[0].lane_count)
        finally:
            with self._lock:
                self._queues[batch_key].busy -= batch.lanes
                self._begin(batch_key)
            for request in batch.requests:
                request.turn.set()

    def _begin(self, batch_key: BatchKey) -> None:
        """Start as many batches as there are free lanes, oldest requests first. The caller holds the lock."""
        queue, lanes = self._queues[batch_key], batch_key[0].lane_count
        while queue.waiting and queue.busy < lanes:
            size, used = self._next(len(queue.waiting), lanes - queue.busy, lanes)
            batch = _Batch([queue.waiting.popleft() for _ in range(size)], used)
            queue.busy += used
            batch.requests[0].batch = batch
            batch.requests[0].turn.set()
        if not queue.busy:
            del self._queues[batch_key]

    def _next(self, waiting: int, free: int, lanes: int) -> tuple[int, int]:
        """Return the size of the next batch and the number of lanes that compute it."""
        if lanes == 1 or (free == lanes and waiting < lanes):
            return min(waiting, self.max_images), lanes
        return min(math.ceil(waiting / free), max(1, self.max_images // lanes)), 1


def _compute_batch(engine: Engine, requests: Sequence[_Request], *, in_one_lane: bool) -> None:
    """Compute a batch. If it fails, compute each request alone so that one cannot fail another."""
    try:
        for request, reply in zip(requests, _replies(engine, requests, in_one_lane), strict=True):
            request.reply = reply
    except BaseException as error:  # noqa: BLE001 - raised again in the caller of the request
        if len(requests) == 1:
            requests[0].error = error
            return
        if not isinstance(error, LoraVitError | RuntimeError):
            for request in requests:
                request.error = error
            return
        for request in requests:
            _compute_batch(engine, [request], in_one_lane=in_one_lane)


def _replies(engine: Engine, requests: Sequence[_Request], in_one_lane: bool) -> list[Reply]:
    seconds: dict[str, float] = {}
    images = torch.cat([request.image for request in requests])
    keys = [request.keys for request in requests]
    novelty: list[dict[str, float]] = [{} for _ in requests]
    logits = engine.forward(images, keys, seconds=seconds, novelty=novelty, in_one_lane=in_one_lane)
    users = Counter(key for request in requests for key in set(request.keys))
    return [
        Reply(answer, {key: seconds[key] / users[key] for key in answer}, unlike)
        for answer, unlike in zip(logits, novelty, strict=True)
    ]
