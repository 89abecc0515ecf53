"""Questions of many people at once, answered in mixed batches."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from loravit_web.errors import LoraVitError

MAX_IMAGES = 16
"""Pictures of one batch. More are hardly faster by picture, and whoever comes next waits for all of them."""


class Engine(Protocol):
    """What computes a batch; see `MultiLoRAViT.forward`."""

    def forward(
        self,
        images: torch.Tensor,
        assignment: Sequence[Sequence[str]],
        *,
        seconds: MutableMapping[str, float] | None = None,
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
    """

    image: torch.Tensor
    keys: Sequence[str]
    turn: threading.Event = field(default_factory=threading.Event)
    reply: Reply | None = None
    error: BaseException | None = None

    @property
    def answered(self) -> bool:
        return self.reply is not None or self.error is not None


Line = tuple[Engine, int]
"""Questions that fit into one batch: an engine and the side of the pictures."""


class Batcher:
    """Puts questions that wait at the same moment into one batch. Safe to call from any number of threads.

    There is no thread of its own and no waiting for a batch to fill: who finds nobody computing computes at
    once, and whoever asks meanwhile waits and is answered together with all others who wait.
    """

    def __init__(self, max_images: int = MAX_IMAGES) -> None:
        self.max_images = max_images
        self._lock = threading.Lock()
        self._waiting: dict[Line, deque[_Question]] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing is being computed and nobody waits."""
        return not self._waiting

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
            computes = line not in self._waiting
            self._waiting.setdefault(line, deque()).append(question)
        if not computes:
            question.turn.wait()
        while not question.answered:
            self._compute(line)
        if question.error is not None:
            raise question.error
        assert question.reply is not None
        return question.reply

    def _compute(self, line: Line) -> None:
        """Answer those who waited longest, then let the next one compute."""
        with self._lock:
            waiting = self._waiting[line]
            batch = [waiting.popleft() for _ in range(min(self.max_images, len(waiting)))]
        try:
            _answer(line[0], batch)
        finally:
            with self._lock:
                following = waiting[0] if waiting else None
                if following is None:
                    del self._waiting[line]
            for question in batch:
                question.turn.set()
            if following is not None:
                following.turn.set()


def _answer(engine: Engine, batch: Sequence[_Question]) -> None:
    """Answer a batch; when it fails, each question alone, so that one is not lost with another."""
    try:
        for question, reply in zip(batch, _replies(engine, batch), strict=True):
            question.reply = reply
    except BaseException as error:  # noqa: BLE001 - raised again by the one whose question it is
        if len(batch) == 1:
            batch[0].error = error
            return
        if not isinstance(error, LoraVitError | RuntimeError):
            for question in batch:
                question.error = error
            return
        for question in batch:
            _answer(engine, [question])


def _replies(engine: Engine, batch: Sequence[_Question]) -> list[Reply]:
    seconds: dict[str, float] = {}
    images = torch.cat([question.image for question in batch])
    logits = engine.forward(images, [question.keys for question in batch], seconds=seconds)
    askers = Counter(key for question in batch for key in set(question.keys))
    return [Reply(answer, {key: seconds[key] / askers[key] for key in answer}) for answer in logits]
