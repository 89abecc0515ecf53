"""Answers from the catalog: published versions on the preloaded base, kept in step with the registry."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from loravit_web.adapters import Adapter
from loravit_web.adapters.format import from_files
from loravit_web.backbones import Base
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.engine import EnginePool, MultiLoRAViT
from loravit_web.engine.residency import LoadAdapter
from loravit_web.errors import LoraVitError
from registry import Registry, RegistryError, Version

MAX_TASKS = 32


class TooManyTasks(LoraVitError):
    """More tasks at once than one answer can hold."""


class TaskUnavailable(LoraVitError):
    """A task that exists but can't answer here."""


@dataclass(frozen=True)
class TaskInfo:
    """A task that can be picked.

    Attributes:
        task: the exact version, such as ``cifar10-objects@2``.
        slug: the adapter; as a task it means the newest version.
        status: ``ready``; ``on demand`` when its base is loaded once it is asked for, which takes a while;
            or ``unavailable`` with the ``reason``.
    """

    task: str
    slug: str
    title: str
    version: int
    classes: tuple[str, ...]
    base: str
    status: str
    reason: str | None


@dataclass(frozen=True)
class Label:
    """A class and its probability, 0 to 1."""

    label: str
    score: float


@dataclass(frozen=True)
class TaskAnswer:
    """What one task says to one image; either labels, best first, or an error.

    Attributes:
        task: the exact version that answered, or what was asked for when none did.
        milliseconds: of its own branch, the shared trunk apart.
    """

    task: str
    title: str
    labels: tuple[Label, ...]
    error: str | None
    milliseconds: float


@dataclass(frozen=True)
class Answer:
    """What the picked tasks say to one image.

    Attributes:
        milliseconds: from the decoded picture to all labels.
    """

    results: tuple[TaskAnswer, ...]
    milliseconds: float

    def as_json(self) -> dict[str, Any]:
        """The document that the HTTP interface gives."""
        return {
            "results": [
                {
                    "task": result.task,
                    "labels": [{"label": one.label, "score": one.score} for one in result.labels],
                    "error": result.error,
                }
                for result in self.results
            ],
            "milliseconds": self.milliseconds,
        }


def stored_adapters(registry: Registry, base: Base) -> LoadAdapter:
    """Reads the versions that were published for a base, by their ref, and checks each.

    Args:
        base: in float32.
    """

    def load(ref: str) -> Adapter:
        return from_files(registry.catalog.read_files(registry.catalog.resolve(ref)), base)

    return load


class Predictor:
    """All tasks of a catalog. Safe to call from any number of threads."""

    def __init__(
        self, registry: Registry, engines: EnginePool, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.engines = engines
        self._registry, self._clock = registry, clock
        self._lock = threading.Lock()
        self._revision = -1
        self._current: dict[str, Version] = {}
        self._refused: dict[str, str] = {}
        self._mendable: set[str] = set()  # refused for a stored file: looked at again when asked for

    def tasks(self) -> list[TaskInfo]:
        """Every adapter at its newest version, by title; those that can't run say why."""
        self.refresh()
        infos = []
        for version in sorted(self._current.values(), key=lambda v: (v.title.casefold(), v.slug)):
            status, reason = self._standing(version)
            infos.append(
                TaskInfo(
                    task=version.ref,
                    slug=version.slug,
                    title=version.title,
                    version=version.version,
                    classes=version.class_names,
                    base=version.base.name,
                    status=status,
                    reason=reason,
                )
            )
        return infos

    def refresh(self, *, load: bool = True) -> None:
        """Follow the catalog: cheap when nothing changed, else load what is new.

        Args:
            load: bring every current version whose base is in memory there too, as far as there is room,
                instead of when it is first asked for.
        """
        revision = self._registry.revision()
        if revision == self._revision:
            return
        with self._lock:
            if revision == self._revision:
                return
            current = {version.slug: version for version in self._registry.catalog.current()}
            if self._registry.restored_since(self._revision):
                self.engines.forget_adapters()
                self._refused.clear()
            refs = {version.ref for version in current.values()}
            self._refused = {ref: reason for ref, reason in self._refused.items() if ref in refs}
            if load:
                for version in current.values():
                    engine = self.engines.resident(version.base.weights_sha256)
                    if engine is None or version.ref in self._refused:
                        continue
                    if engine.full:
                        break
                    self._load(version, engine)
            self._current, self._revision = current, revision

    def classify(self, image: Image.Image, tasks: Sequence[str], *, top_k: int = 5) -> Answer:
        """Ask tasks about a picture.

        Args:
            image: RGB, upright, any size.
            tasks: ``slug`` for the newest version or ``slug@N``; doubles are asked once.
            top_k: most labels per task.

        Raises:
            TooManyTasks: if more than `MAX_TASKS` are picked. A task that can't answer does not raise:
                it has its sentence in ``error`` and the others still answer.
        """
        started = self._clock()
        wanted = list(dict.fromkeys(tasks))
        if len(wanted) > MAX_TASKS:
            raise TooManyTasks(f"{len(wanted)} tasks are picked: pick at most {MAX_TASKS} at once.")
        self.refresh()
        answers: dict[str, TaskAnswer] = {}
        together: dict[tuple[MultiLoRAViT, Preprocessing], list[tuple[str, Version]]] = defaultdict(list)
        for task in wanted:
            try:
                version, engine = self._ready(task)
                together[engine, engine.ensure(version.ref).preprocessing].append((task, version))
            except (LoraVitError, RegistryError) as error:
                answers[task] = TaskAnswer(task, task, (), str(error), 0.0)
        for (engine, preprocessing), asked in together.items():
            answers |= _ask(engine, preprocessing([image]), asked, max(1, top_k))
        return Answer(tuple(answers[task] for task in wanted), (self._clock() - started) * 1000)

    def _ready(self, task: str) -> tuple[Version, MultiLoRAViT]:
        """The version that a task means, and the engine that holds it.

        Raises:
            LoraVitError, RegistryError: with the reason why it can't answer.
        """
        version = self._current.get(task) or self._registry.catalog.resolve(task)
        engine = self.engines.get(version.base.name, version.base.weights_sha256)
        reason = self._refused.get(version.ref)
        if version.ref not in engine and (reason is None or version.ref in self._mendable):
            reason = self._load(version, engine)
        if reason is not None:
            raise TaskUnavailable(reason)
        return version, engine

    def _standing(self, version: Version) -> tuple[str, str | None]:
        """Status and reason of a task."""
        reason = self._refused.get(version.ref)
        if self.engines.resident(version.base.weights_sha256) is None:
            reason = reason or self.engines.failure(version.base.name)
            return ("unavailable", reason) if reason else ("on demand", None)
        return ("unavailable", reason) if reason else ("ready", None)

    def _load(self, version: Version, engine: MultiLoRAViT) -> str | None:
        """Bring a version into memory; returns the reason when it can't be used."""
        try:
            engine.ensure(version.ref)
        except (LoraVitError, RegistryError) as error:
            self._refused[version.ref] = str(error)
            if isinstance(error, RegistryError):
                self._mendable.add(version.ref)
            return str(error)
        self._refused.pop(version.ref, None)
        return None


def _ask(
    engine: MultiLoRAViT, pixels: torch.Tensor, asked: Sequence[tuple[str, Version]], top_k: int
) -> dict[str, TaskAnswer]:
    seconds: dict[str, float] = {}
    (logits,) = engine.forward(pixels, [[version.ref for _, version in asked]], seconds=seconds)
    return {
        task: TaskAnswer(
            version.ref,
            version.title,
            _labels(engine, version, logits[version.ref], top_k),
            None,
            seconds[version.ref] * 1000,
        )
        for task, version in asked
    }


def _labels(engine: MultiLoRAViT, version: Version, logits: torch.Tensor, top_k: int) -> tuple[Label, ...]:
    scores = engine.adapter(version.ref).scores(logits)
    best = scores.topk(min(top_k, len(scores)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return tuple(Label(version.class_names[index], score) for index, score in pairs)
