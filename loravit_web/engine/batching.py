"""Questions of many people at once, answered in mixed batches."""

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
"""Pictures computed at once. More are hardly faster by picture, and who comes next waits for all of them."""


class Engine(Protocol):
    """What computes a batch; see `MultiLoRAViT`."""

    @property
    def lane_count(self) -> int:
        """How many batches it can compute side by side, each with its share of the cores."""

    def forward(
        self,
        images: torch.Tensor,
        assignment: Sequence[Sequence[str]],
        *,
        seconds: MutableMapping[str, float] | None = None,
        in_one_lane: bool = False,
    ) -> list[dict[str, torch.Tensor]]:
        """Logits by key for each image."""


@dataclass(frozen=True)
class Reply:
    """Answers of tasks about one picture, by key.

    Attributes:
        logits: float32 (C,).
        seconds: of the task's own branch; of several pictures in one batch, this one's share.
    """

    logits: Mapping[str, torch.Tensor]
    seconds: Mapping[str, float]


@dataclass(eq=False)
class _Question:
    """One picture and its tasks, while somebody waits for the reply.

    Attributes:
        turn: set when there is a reply or an error, or when the one who waits is to compute.
        batch: what the one who waits is to compute, this question among it.
    """

    image: torch.Tensor
    keys: Sequence[str]
    turn: threading.Event = field(default_factory=threading.Event)
    batch: _Batch | None = None
    reply: Reply | None = None
    error: BaseException | None = None


@dataclass(frozen=True)
class _Batch:
    """Questions that are computed together, in so many lanes."""

    questions: Sequence[_Question]
    lanes: int


@dataclass(eq=False)
class _Queue:
    """Questions that nobody computes yet, and how many lanes compute."""

    waiting: deque[_Question] = field(default_factory=deque)
    busy: int = 0


Line = tuple[Engine, int]
"""Questions that fit into one batch: an engine and the side of the pictures."""


class Batcher:
    """Puts questions that wait at the same moment into batches. Safe to call from any number of threads.

    There is no thread of its own and no waiting for a batch to fill: a question that finds nothing computed
    is computed at once, with all cores. Whoever asks meanwhile waits and is answered together with others who
    wait: in a batch of each lane as soon as it is free, so that no lane waits for what another one computes.
    """

    def __init__(self, max_images: int = MAX_IMAGES) -> None:
        """
        Args:
            max_images: most pictures that are computed at once, in all lanes together.
        """
        self.max_images = max_images
        self._lock = threading.Lock()
        self._queues: dict[Line, _Queue] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing is being computed and nobody waits."""
        return not self._queues

    def ask(self, engine: Engine, image: torch.Tensor, keys: Sequence[str]) -> Reply:
        """Answer one picture.

        Args:
            image: normalised float32 (1, 3, S, S).
            keys: of the tasks.

        Raises:
            LoraVitError: what the engine says of this question; others in its batch are not touched.
        """
        line, question = (engine, image.shape[-1]), _Question(image, keys)
        with self._lock:
            self._queues.setdefault(line, _Queue()).waiting.append(question)
            self._begin(line)
        question.turn.wait()
        if question.batch is not None:
            self._compute(line, question.batch)
        if question.error is not None:
            raise question.error
        assert question.reply is not None
        return question.reply

    def _compute(self, line: Line, batch: _Batch) -> None:
        try:
            _answer(line[0], batch.questions, in_one_lane=batch.lanes < line[0].lane_count)
        finally:
            with self._lock:
                self._queues[line].busy -= batch.lanes
                self._begin(line)
            for question in batch.questions:
                question.turn.set()

    def _begin(self, line: Line) -> None:
        """Let those who waited longest compute, as far as lanes are free; to be called with the lock."""
        queue, lanes = self._queues[line], line[0].lane_count
        while queue.waiting and queue.busy < lanes:
            share, computing = self._next(len(queue.waiting), lanes - queue.busy, lanes)
            batch = _Batch([queue.waiting.popleft() for _ in range(share)], computing)
            queue.busy += computing
            batch.questions[0].batch = batch
            batch.questions[0].turn.set()
        if not queue.busy:
            del self._queues[line]

    def _next(self, waiting: int, free: int, lanes: int) -> tuple[int, int]:
        """How many of those that wait are computed next, and in how many of the free lanes."""
        if lanes == 1 or (free == lanes and waiting < lanes):
            return min(waiting, self.max_images), lanes
        return min(math.ceil(waiting / free), max(1, self.max_images // lanes)), 1


def _answer(engine: Engine, questions: Sequence[_Question], *, in_one_lane: bool) -> None:
    """Answer a batch; when it fails, each question alone, so that one is not lost with another."""
    try:
        for question, reply in zip(questions, _replies(engine, questions, in_one_lane), strict=True):
            question.reply = reply
    except BaseException as error:  # noqa: BLE001 - raised again by the one whose question it is
        if len(questions) == 1:
            questions[0].error = error
            return
        if not isinstance(error, LoraVitError | RuntimeError):
            for question in questions:
                question.error = error
            return
        for question in questions:
            _answer(engine, [question], in_one_lane=in_one_lane)


def _replies(engine: Engine, questions: Sequence[_Question], in_one_lane: bool) -> list[Reply]:
    seconds: dict[str, float] = {}
    images = torch.cat([question.image for question in questions])
    keys = [question.keys for question in questions]
    logits = engine.forward(images, keys, seconds=seconds, in_one_lane=in_one_lane)
    askers = Counter(key for question in questions for key in set(question.keys))
    return [Reply(answer, {key: seconds[key] / askers[key] for key in answer}) for answer in logits]
