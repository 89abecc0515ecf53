"""Predictions of the catalog's tasks on the preloaded base, kept up to date with the registry."""

from __future__ import annotations

import copy
import heapq
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from PIL import Image

from loravit_web.adapters import Adapter
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.engine import EnginePool, MultiLoRAViT
from loravit_web.engine.batching import Batcher, Reply
from loravit_web.engine.reply_cache import ReplyCache
from loravit_web.errors import LoraVitError
from loravit_web.serving.answers import Answer, TaskAnswer, TaskInfo
from loravit_web.serving.catalog_state import CatalogState
from loravit_web.serving.image_cache import PreparedImages
from loravit_web.serving.outage import AWAY, Outage
from loravit_web.serving.replies import answer_of, no_answer
from loravit_web.serving.stored import Answering, resolved
from registry import AdapterQuery, Registry, RegistryError, Version

MAX_TASKS = 32
"""Maximum number of tasks per request."""
OFFERED = 100
"""Number of tasks that are shown to choose from; others are found by searching."""
PRELOADED = 16
"""Number of versions that are loaded before they are requested.

Reading and checking one takes a forward pass.
"""


class TooManyTasks(LoraVitError):
    """More tasks in a request than allowed."""


class TaskUnavailable(LoraVitError):
    """A task that exists but cannot be used here."""


@dataclass(frozen=True)
class _Request:
    """A requested task with the version and adapter that compute it."""

    task: str
    version: Answering
    adapter: Adapter

    def answer(self, reply: Reply, top_k: int) -> TaskAnswer:
        return answer_of(self.task, self.version, self.adapter, reply, top_k)


CountAnswer = Callable[[int, float | None], None]
"""Called with the row id of a version and the milliseconds of its answer, or None after an error."""


class Predictor:
    """All tasks of a catalog, or those that a visitor sees. Thread-safe.

    Args:
        registry: Registry with the catalog.
        engines: Engines by base.
        count: Counts requests; see `CountAnswer`.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        registry: Registry,
        engines: EnginePool,
        *,
        count: CountAnswer = lambda _version_id, _milliseconds: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.engines = engines
        self._registry, self._count, self._clock = registry, count, clock
        self._whole = registry
        self._sees: Callable[[str], bool] = _sees_all
        self._replies = ReplyCache(Batcher())
        self._prepared = PreparedImages()
        self._lock = threading.Lock()
        self._known = CatalogState()
        self._outage = Outage(clock)

    def seen_by(self, registry: Registry, sees: Callable[[str], bool]) -> Predictor:
        """Return a predictor with only the tasks that a visitor sees; everything else is shared.

        Args:
            registry: Registry as the visitor sees it.
            sees: Returns whether the visitor sees what belongs to an owner.
        """
        seen = copy.copy(self)
        seen._registry, seen._sees = registry, sees
        return seen

    def hides(self, task: str) -> bool:
        """Return whether a task exists but is hidden from the visitor."""
        return task in self._known.current and self._meant(task) is None

    @property
    def _current(self) -> dict[str, Version]:
        """The version that the name of each adapter means, of those that the visitor sees."""
        current = self._known.current
        if self._sees is _sees_all:
            return current
        return {slug: version for slug, version in current.items() if self._sees(version.owner)}

    def _meant(self, task: str) -> Version | None:
        version = self._known.current.get(task)
        return version if version is not None and self._sees(version.owner) else None

    def tasks(self) -> list[TaskInfo]:
        """Return every adapter at its current version, sorted by title; unavailable ones have a reason."""
        self.refresh()
        return [self._info(version) for version in _by_title(self._current.values())]

    def offered(self, first: Iterable[str] = (), *, text: str = "", most: int = OFFERED) -> list[TaskInfo]:
        """Return some tasks to choose from, because there may be too many to show all.

        Args:
            first: Tasks to include first, in this order.
            text: Words that all occur in the other tasks; without words, the newest tasks.
            most: Maximum number of tasks.
        """
        self.refresh()
        current = self._current
        if text.strip():
            found = self._registry.search.adapters(AdapterQuery(text=text, sort="newest", limit=most))
            others = [entry.slug for entry in found.entries]
        elif len(current) <= most:
            others = [version.slug for version in _by_title(current.values())]
        else:
            others = self.newest(most)
        wanted = dict.fromkeys([*(task.partition("@")[0] for task in first), *others])
        return [self._info(current[slug]) for slug in [slug for slug in wanted if slug in current][:most]]

    def newest(self, most: int) -> list[str]:
        """Return the slugs of the most recently published versions, newest first."""
        self.refresh()
        current = self._current
        return heapq.nlargest(most, current, key=lambda slug: current[slug].id)

    def loaded(self) -> list[str]:
        """Return the slugs of the tasks whose version is in memory, newest first."""
        self.refresh()
        versions = sorted(self._current.values(), key=lambda version: version.id, reverse=True)
        engines = [(version, self.engines.resident(version.base.weights_sha256)) for version in versions]
        return [version.slug for version, engine in engines if engine is not None and version.ref in engine]

    def named(self, task: str) -> str:
        """Return the slug of a task if it stands for the same version, otherwise the task itself."""
        self.refresh()
        slug = task.partition("@")[0]
        version = self._meant(slug)
        return slug if version is not None and version.ref == task else task

    def trained_on(self, ref: str) -> str | None:
        """Return the fingerprint of the data that a version was trained on here, or None."""
        version = self._meant(ref.partition("@")[0])
        try:
            version = version if version and version.ref == ref else self._registry.catalog.resolve(ref)
        except RegistryError:  # a first answer, or withdrawn meanwhile
            return None
        return version.dataset_fingerprint if version.run_id is not None else None

    @property
    def empty(self) -> bool:
        """Whether there is no task."""
        self.refresh()
        return not self._current

    def refresh(self, *, load: bool = True) -> None:
        """Follow the changes of the catalog, and `preload` if asked to; cheap if nothing changed.

        Errors are those of `Outage.bridge`.
        """
        self._outage.bridge(lambda: self._follow(load), is_known=self._known.revision >= 0)

    def _follow(self, load: bool) -> None:
        known, revision = self._known, self._whole.revision()
        if revision == known.revision:
            return
        with self._lock:
            if revision == known.revision:
                return
            restored = self._whole.restored_since(known.revision)
            changes = self._whole.catalog.changes_since(0 if restored else max(known.revision, 0))
            current = changes.applied_to(known.current)
            if restored:
                self.engines.remove_adapters()
                self._replies.clear()
                known.refused.clear()
            refs = {version.ref for version in current.values()}
            known.refused = {ref: reason for ref, reason in known.refused.items() if ref in refs}
            known.current = current
            if load:
                self.preload()
            known.revision = changes.revision

    def classify(self, image: Image.Image, tasks: Sequence[str], *, top_k: int = 5) -> Answer:
        """Return the answers of tasks for an image.

        An unavailable task does not raise an error: it has an ``error``, and the other tasks answer.

        Args:
            image: Upright RGB image of any size.
            tasks: ``slug`` for its current version, ``slug@N``, ``slug@alias``, or ``run:ID`` for a first
                answer. Duplicates are computed once.
            top_k: Maximum number of labels per task.

        Raises:
            TooManyTasks: If there are more than `MAX_TASKS` tasks.
        """
        started = self._clock()
        wanted = list(dict.fromkeys(tasks))
        if len(wanted) > MAX_TASKS:
            raise TooManyTasks(f"{len(wanted)} tasks are chosen. Choose at most {MAX_TASKS}.")
        self.refresh()
        answers: dict[str, TaskAnswer] = {}
        groups: dict[tuple[MultiLoRAViT, Preprocessing], list[_Request]] = defaultdict(list)
        for task in wanted:
            try:
                version = self._meant(task) or resolved(self._registry, task)
                engine, adapter = self._counted(version)
                groups[engine, adapter.preprocessing].append(_Request(task, version, adapter))
            except (LoraVitError, RegistryError) as error:
                answers[task] = no_answer(task, error)
        for (engine, preprocessing), requests in groups.items():
            prepared = self._prepared.tensor(image, preprocessing)
            answers |= self._answers(engine, prepared, requests, max(1, top_k))
        return Answer(tuple(answers[task] for task in wanted), (self._clock() - started) * 1000)

    def _answers(
        self, engine: MultiLoRAViT, image: torch.Tensor, requests: Sequence[_Request], top_k: int
    ) -> dict[str, TaskAnswer]:
        """Return answers by task, computed together, or each alone if one of them fails."""
        try:
            reply = self._replies.infer(engine, image, [request.version.ref for request in requests])
        except (LoraVitError, RegistryError) as error:
            if len(requests) > 1:
                alone = [self._answers(engine, image, [request], top_k) for request in requests]
                return {task: answer for answers in alone for task, answer in answers.items()}
            self._record(requests[0].version, None)
            return {requests[0].task: no_answer(requests[0].task, error)}
        answers = {request.task: request.answer(reply, top_k) for request in requests}
        for request in requests:
            answer = answers[request.task]
            self._record(request.version, None if answer.error else answer.milliseconds)
        return answers

    def prepare(self, image: Image.Image, task: str) -> bool:
        """Compute an answer in advance, so that `classify` finds it in the cache. It is not counted.

        Only versions in memory are computed; nothing is loaded.

        Args:
            image: Upright RGB image of any size.
            task: Slug of the task.

        Returns:
            False without computing anything if a request is waiting, otherwise True.
        """
        if not self._replies.idle:
            return False
        version = self._meant(task)
        engine = self.engines.resident(version.base.weights_sha256) if version is not None else None
        if version is not None and engine is not None and version.ref in engine:
            prepared = self._prepared.tensor(image, engine.adapter(version.ref).preprocessing)
            self._replies.infer(engine, prepared, [version.ref])
        return True

    def heatmap(self, image: Image.Image, task: str, label: str) -> torch.Tensor:
        """Return which patches contribute to a class; see `engine.heatmap.heatmap`.

        Args:
            image: Upright RGB image of any size.
            task: Task as in `classify`.
            label: Name of the class.

        Raises:
            LoraVitError: If the task is unavailable or has no such class.
            RegistryError: If the task does not exist or its files are damaged.
        """
        engine, request, prepared = self._requested(image, task)
        ref, classes = request.version.ref, request.version.shown_classes or request.adapter.class_names
        if label not in classes:
            raise TaskUnavailable(f"{ref} has no class “{label}”. Choose one of its classes.")
        return engine.heatmap(ref, prepared, classes.index(label))

    def ranked(self, image: Image.Image, task: str) -> TaskAnswer:
        """Return the answer with all classes, not counted as a request; args and errors as of `heatmap`."""
        engine, request, prepared = self._requested(image, task)
        reply = self._replies.infer(engine, prepared, [request.version.ref])
        return answer_of(
            request.task, request.version, request.adapter, reply, len(request.adapter.class_names)
        )

    def _requested(self, image: Image.Image, task: str) -> tuple[MultiLoRAViT, _Request, torch.Tensor]:
        self.refresh()
        version = self._meant(task) or resolved(self._registry, task)
        engine, adapter = self._ready(version)
        return engine, _Request(task, version, adapter), self._prepared.tensor(image, adapter.preprocessing)

    def _record(self, version: Answering, milliseconds: float | None) -> None:
        if version.id is not None:
            self._count(version.id, milliseconds)

    def _counted(self, version: Answering) -> tuple[MultiLoRAViT, Adapter]:
        """Return the engine and the adapter as `_ready`; an unavailable version is counted as requested."""
        try:
            return self._ready(version)
        except (LoraVitError, RegistryError):
            self._record(version, None)
            raise

    def _ready(self, version: Answering) -> tuple[MultiLoRAViT, Adapter]:
        """Return the engine that holds a version, and its adapter.

        Raises:
            LoraVitError: If the version cannot be used.
            RegistryError: If its files are damaged.
        """
        engine = self.engines.get(version.base.name, version.base.weights_sha256)
        reason = self._known.refused.get(version.ref)
        if version.ref not in engine and (reason is None or version.ref in self._known.retryable):
            reason = self._load(version, engine)
        if reason is not None:
            raise TaskUnavailable(reason)
        return engine, engine.ensure(version.ref)

    def _info(self, version: Version) -> TaskInfo:
        status, reason = self.availability(version.ref, version.base.name, version.base.weights_sha256)
        return TaskInfo(
            task=version.ref,
            slug=version.slug,
            title=version.title,
            version=version.version,
            classes=version.shown_classes,
            base=version.base.name,
            status=status,
            reason=reason,
            labels=version.config.get("labels", "one"),
        )

    def availability(self, ref: str, base: str, weights_sha256: str) -> tuple[str, str | None]:
        """Return status and reason of a version, without loading its base of that name and hash."""
        reason = self._known.refused.get(ref)
        if self.engines.resident(weights_sha256) is None:
            reason = reason or self.engines.known_refusal(base, weights_sha256)
            return ("unavailable", reason) if reason else ("on demand", None)
        return ("unavailable", reason) if reason else ("ready", None)

    def preload(self, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Load the `PRELOADED` newest versions of loaded bases while the budget lasts, until stopped."""
        newest = sorted(self._known.current.values(), key=lambda version: version.id, reverse=True)
        resident = [(version, self.engines.resident(version.base.weights_sha256)) for version in newest]
        loaded = [(version, engine) for version, engine in resident if engine is not None]
        for version, engine in loaded[:PRELOADED]:
            known = version.ref in engine or version.ref in self._known.refused
            if not known and not engine.full and not is_stopped():
                with suppress(*AWAY):  # it is loaded on request
                    self._load(version, engine)

    def _load(self, version: Answering, engine: MultiLoRAViT) -> str | None:
        """Load a version; return the reason if it cannot be used, or None. Raises what is `AWAY`."""
        try:
            engine.ensure(version.ref)
        except AWAY:
            raise
        except (LoraVitError, RegistryError) as error:
            self._known.refused[version.ref] = error.in_public
            if isinstance(error, RegistryError):
                self._known.retryable.add(version.ref)
            return error.in_public
        self._known.refused.pop(version.ref, None)
        return None


def _sees_all(_owner: str) -> bool:
    """Return True: a user who sees everything."""
    return True


def _by_title(versions: Iterable[Version]) -> list[Version]:
    return sorted(versions, key=lambda version: (version.title.casefold(), version.slug))
