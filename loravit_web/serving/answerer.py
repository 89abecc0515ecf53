"""The one interface that computes answers, and its implementation in this process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import torch
from PIL import Image

from loravit_web.adapters import Adapter
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.engine import EnginePool, MultiLoRAViT
from loravit_web.engine.batching import Batcher, Reply
from loravit_web.engine.reply_cache import ReplyCache
from loravit_web.errors import LoraVitError
from loravit_web.serving.answers import TaskAnswer
from loravit_web.serving.image_cache import PreparedImages
from loravit_web.serving.outage import AWAY
from loravit_web.serving.replies import answer_of, no_answer
from loravit_web.serving.stored import Answering
from registry import RegistryError, Version

PRELOADED = 16
"""Number of versions that are loaded before they are requested.

Reading and checking one takes a forward pass.
"""


class TaskUnavailable(LoraVitError):
    """A task that exists but cannot be used here."""


class Answerer(Protocol):
    """Computes answers of versions, in this process or on replicas. Thread-safe.

    Versions are those that the caller may use: an answerer does not check rights and counts nothing.
    """

    def classify(self, image: Image.Image, versions: Sequence[Answering], top_k: int) -> list[TaskAnswer]:
        """Return the answers of versions for an image, in their order; errors are part of the answers.

        Args:
            image: Upright RGB image of any size.
            versions: Versions; duplicates are computed once.
            top_k: Maximum number of labels per version, at least 1.
        """

    def heatmap(self, image: Image.Image, version: Answering, label: str) -> torch.Tensor:
        """Return which patches contribute to a class; see `engine.heatmap.heatmap`.

        Raises:
            LoraVitError: If the version is unavailable or has no such class.
            RegistryError: If its files are damaged.
        """

    def prepare(self, image: Image.Image, version: Answering) -> bool:
        """Compute the answer of a version in memory in advance; return False if a request is waiting."""


@dataclass(frozen=True)
class _Request:
    """A version with its place in the request and the adapter that computes it."""

    place: int
    version: Answering
    adapter: Adapter

    def answer(self, reply: Reply, top_k: int) -> TaskAnswer:
        return answer_of(self.version.ref, self.version, self.adapter, reply, top_k)


@dataclass
class _Refused:
    """Versions that cannot be used.

    Attributes:
        reasons: Reason by ref.
        retryable: Refs that are refused because of a stored file, and are retried on request.
    """

    reasons: dict[str, str] = field(default_factory=dict)
    retryable: set[str] = field(default_factory=set)


class LocalAnswerer:
    """Computes answers with the engines of this process; see `Answerer`.

    Args:
        engines: Engines by base.
    """

    def __init__(self, engines: EnginePool) -> None:
        self.engines = engines
        self._replies = ReplyCache(Batcher())
        self._prepared = PreparedImages()
        self._refused = _Refused()

    def classify(self, image: Image.Image, versions: Sequence[Answering], top_k: int) -> list[TaskAnswer]:
        """Return the answers of versions; see `Answerer.classify`."""
        answers: dict[int, TaskAnswer] = {}
        groups: dict[tuple[MultiLoRAViT, Preprocessing], list[_Request]] = defaultdict(list)
        for place, version in enumerate(versions):
            try:
                engine, adapter = self._ready(version)
                groups[engine, adapter.preprocessing].append(_Request(place, version, adapter))
            except (LoraVitError, RegistryError) as error:
                answers[place] = no_answer(version.ref, error)
        for (engine, preprocessing), requests in groups.items():
            prepared = self._prepared.tensor(image, preprocessing)
            answers |= self._answers(engine, prepared, requests, top_k)
        return [answers[place] for place in range(len(versions))]

    def heatmap(self, image: Image.Image, version: Answering, label: str) -> torch.Tensor:
        """Return which patches contribute to a class; see `Answerer.heatmap`."""
        engine, adapter = self._ready(version)
        classes = version.shown_classes or adapter.class_names
        if label not in classes:
            raise TaskUnavailable(f"{version.ref} has no class “{label}”. Choose one of its classes.")
        prepared = self._prepared.tensor(image, adapter.preprocessing)
        return engine.heatmap(version.ref, prepared, classes.index(label))

    def prepare(self, image: Image.Image, version: Answering) -> bool:
        """Compute an answer in advance; see `Answerer.prepare`. Nothing is loaded."""
        if not self._replies.idle:
            return False
        engine = self.engines.resident(version.base.weights_sha256)
        if engine is not None and version.ref in engine:
            prepared = self._prepared.tensor(image, engine.adapter(version.ref).preprocessing)
            self._replies.infer(engine, prepared, [version.ref])
        return True

    def availability(self, ref: str, base: str, weights_sha256: str) -> tuple[str, str | None]:
        """Return status and reason of a version, without loading its base of that name and hash."""
        reason = self._refused.reasons.get(ref)
        if self.engines.resident(weights_sha256) is None:
            reason = reason or self.engines.known_refusal(base, weights_sha256)
            return ("unavailable", reason) if reason else ("on demand", None)
        return ("unavailable", reason) if reason else ("ready", None)

    def forget(self) -> None:
        """Remove every adapter and answer, because a name may stand for another version now."""
        self.engines.remove_adapters()
        self._replies.clear()
        self._refused.reasons.clear()

    def keep(self, refs: Collection[str]) -> None:
        """Forget why versions other than these cannot be used."""
        reasons = self._refused.reasons
        self._refused.reasons = {ref: reason for ref, reason in reasons.items() if ref in refs}

    def preload(self, versions: Iterable[Version], is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Load the `PRELOADED` newest versions of loaded bases while the budget lasts, until stopped."""
        newest = sorted(versions, key=lambda version: version.id, reverse=True)
        resident = [(version, self.engines.resident(version.base.weights_sha256)) for version in newest]
        loaded = [(version, engine) for version, engine in resident if engine is not None]
        for version, engine in loaded[:PRELOADED]:
            known = version.ref in engine or version.ref in self._refused.reasons
            if not known and not engine.full and not is_stopped():
                with suppress(*AWAY):  # it is loaded on request
                    self._load(version, engine)

    def _answers(
        self, engine: MultiLoRAViT, image: torch.Tensor, requests: Sequence[_Request], top_k: int
    ) -> dict[int, TaskAnswer]:
        """Return answers by place, computed together, or each alone if one of them fails."""
        try:
            reply = self._replies.infer(engine, image, [request.version.ref for request in requests])
        except (LoraVitError, RegistryError) as error:
            if len(requests) > 1:
                alone = [self._answers(engine, image, [request], top_k) for request in requests]
                return {place: answer for answers in alone for place, answer in answers.items()}
            return {requests[0].place: no_answer(requests[0].version.ref, error)}
        return {request.place: request.answer(reply, top_k) for request in requests}

    def _ready(self, version: Answering) -> tuple[MultiLoRAViT, Adapter]:
        """Return the engine that holds a version, and its adapter.

        Raises:
            LoraVitError: If the version cannot be used.
            RegistryError: If its files are damaged.
        """
        engine = self.engines.get(version.base.name, version.base.weights_sha256)
        reason = self._refused.reasons.get(version.ref)
        if version.ref not in engine and (reason is None or version.ref in self._refused.retryable):
            reason = self._load(version, engine)
        if reason is not None:
            raise TaskUnavailable(reason)
        return engine, engine.ensure(version.ref)

    def _load(self, version: Answering, engine: MultiLoRAViT) -> str | None:
        """Load a version; return the reason if it cannot be used, or None. Raises what is `AWAY`."""
        try:
            engine.ensure(version.ref)
        except AWAY:
            raise
        except (LoraVitError, RegistryError) as error:
            self._refused.reasons[version.ref] = error.in_public
            if isinstance(error, RegistryError):
                self._refused.retryable.add(version.ref)
            return error.in_public
        self._refused.reasons.pop(version.ref, None)
        return None
