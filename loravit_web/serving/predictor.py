"""Predictions of the catalog's tasks on the preloaded base, kept up to date with the registry."""

from __future__ import annotations

import copy
import heapq
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from PIL import Image

from loravit_web.engine import EnginePool
from loravit_web.errors import LoraVitError
from loravit_web.serving.answerer import Answerer, LocalAnswerer, TaskUnavailable
from loravit_web.serving.answers import Answer, TaskAnswer, TaskInfo
from loravit_web.serving.catalog_state import CatalogState
from loravit_web.serving.outage import Outage
from loravit_web.serving.replies import no_answer
from loravit_web.serving.stored import Answering, resolved
from registry import AdapterQuery, Registry, RegistryError, Version

MAX_TASKS = 32
"""Maximum number of tasks per request."""
ALL_CLASSES = 1 << 30
"""More labels than any version has."""
OFFERED = 100
"""Number of tasks that are shown to choose from; others are found by searching."""


class TooManyTasks(LoraVitError):
    """More tasks in a request than allowed."""


CountAnswer = Callable[[int, float | None], None]
"""Called with the row id of a version and the milliseconds of its answer, or None after an error."""


class Predictor:
    """All tasks of a catalog, or those that a visitor sees. Thread-safe.

    Args:
        registry: Registry with the catalog.
        engines: Engines by base of this process, which tell what is available.
        answerer: Computes the answers, or None for the engines of this process.
        count: Counts requests; see `CountAnswer`.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        registry: Registry,
        engines: EnginePool,
        *,
        answerer: Answerer | None = None,
        count: CountAnswer = lambda _version_id, _milliseconds: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.engines = engines
        self._registry, self._count, self._clock = registry, count, clock
        self._whole = registry
        self._sees: Callable[[str], bool] = _sees_all
        self._local = LocalAnswerer(engines)
        self._answerer: Answerer = self._local if answerer is None else answerer
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
    def answerer(self) -> Answerer:
        """Computes the answers, without looking at the registry for changes."""
        return self._answerer

    @property
    def _current(self) -> dict[str, Version]:
        """The version that the name of each adapter means, of those that the visitor sees."""
        current = self._known.current
        if self._sees is _sees_all:
            return current
        return {slug: version for slug, version in current.items() if self._sees(version.owner)}

    def _meant(self, task: str) -> Version | None:
        """Return the current version that a slug, or the version's own ref, means for the visitor."""
        version = self._known.current.get(task.partition("@")[0])
        is_meant = version is not None and task in (version.slug, version.ref)
        return version if version is not None and is_meant and self._sees(version.owner) else None

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
                self._local.forget()
            self._local.keep({version.ref for version in current.values()})
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
        versions: dict[str, Answering] = {}
        for task in wanted:
            try:
                versions[task] = self._found(task)
            except (LoraVitError, RegistryError) as error:
                answers[task] = no_answer(task, error)
        if versions:
            computed = self._answerer.classify(image, [*versions.values()], max(1, top_k))
            for (task, version), answer in zip(versions.items(), computed, strict=True):
                self._record(version, None if answer.error else answer.milliseconds)
                answers[task] = answer if answer.error is None else replace(answer, task=task, title=task)
        return Answer(tuple(answers[task] for task in wanted), (self._clock() - started) * 1000)

    def prepare(self, image: Image.Image, task: str) -> bool:
        """Compute an answer in advance, so that `classify` finds it in the cache. It is not counted.

        Only versions in memory are computed; nothing is loaded.

        Args:
            image: Upright RGB image of any size.
            task: Slug of the task.

        Returns:
            False without computing anything if a request is waiting, otherwise True.
        """
        version = self._meant(task)
        return version is None or self._answerer.prepare(image, version)

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
        self.refresh()
        return self._answerer.heatmap(image, self._found(task), label)

    def ranked(self, image: Image.Image, task: str) -> TaskAnswer:
        """Return the answer with all classes, not counted as a request; args and errors as of `heatmap`."""
        self.refresh()
        (answer,) = self._answerer.classify(image, [self._found(task)], ALL_CLASSES)
        if answer.error is not None:
            raise TaskUnavailable(answer.error)
        return answer

    def _found(self, task: str) -> Answering:
        """Return what a task means for the visitor; errors as of `stored.resolved`."""
        return self._meant(task) or resolved(self._registry, task)

    def _record(self, version: Answering, milliseconds: float | None) -> None:
        if version.id is not None:
            self._count(version.id, milliseconds)

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
        """Return status and reason of a version in this process; see `LocalAnswerer.availability`."""
        return self._local.availability(ref, base, weights_sha256)

    def preload(self, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Load the newest versions in this process until stopped; see `LocalAnswerer.preload`."""
        self._local.preload(self._known.current.values(), is_stopped)


def _sees_all(_owner: str) -> bool:
    """Return True: a user who sees everything."""
    return True


def _by_title(versions: Iterable[Version]) -> list[Version]:
    return sorted(versions, key=lambda version: (version.title.casefold(), version.slug))
