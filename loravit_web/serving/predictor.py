"""Answers from the catalog: published versions on the preloaded base, kept in step with the registry."""

from __future__ import annotations

import copy
import heapq
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from PIL import Image

from loravit_web.adapters import Adapter
from loravit_web.adapters.adapter import NonFiniteLogits
from loravit_web.adapters.files.format import from_files
from loravit_web.backbones import Base
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.engine import EnginePool, MultiLoRAViT
from loravit_web.engine.batching import Batcher, Reply
from loravit_web.engine.reply_cache import ReplyCache
from loravit_web.engine.residency import LoadAdapter
from loravit_web.errors import LoraVitError
from loravit_web.serving.answers import Answer, Label, TaskAnswer, TaskInfo
from loravit_web.serving.decoded import PreparedPictures
from registry import AdapterQuery, Registry, RegistryError, Version

MAX_TASKS = 32
OFFERED = 100
"""So many tasks are shown to choose from; all others are found by searching."""
PRELOADED = 16
"""Versions that are brought into memory before anybody asks: reading and checking one takes a forward."""


class TooManyTasks(LoraVitError):
    """More tasks at once than one answer can hold."""


class TaskUnavailable(LoraVitError):
    """A task that exists but can't answer here."""


@dataclass(frozen=True)
class _Asked:
    """A task as it was asked for, and the version that answers."""

    task: str
    version: Version
    adapter: Adapter


@dataclass
class _Following:
    """What is known of the catalog, of everything in it, at a revision.

    Attributes:
        current: the newest version by slug.
        refused: reasons by ref.
        mendable: refs that are refused for a stored file: looked at again when asked for.
    """

    revision: int = -1
    current: dict[str, Version] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    mendable: set[str] = field(default_factory=set)


def stored_adapters(registry: Registry, base: Base) -> LoadAdapter:
    """Reads the versions that were published for a base, by their ref, and checks each.

    Args:
        base: in float32.
    """

    def load(ref: str) -> Adapter:
        return from_files(registry.catalog.read_files(registry.catalog.resolve(ref)), base)

    return load


CountAnswer = Callable[[int, float | None], None]
"""Told the row id of a version that was asked, and the milliseconds of its answer, None without one."""


class Predictor:
    """All tasks of a catalog, or those that one visitor sees. Safe to call from any number of threads."""

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
        self._sees: Callable[[str], bool] = _everybody
        self._replies = ReplyCache(Batcher())
        self._prepared = PreparedPictures()
        self._lock = threading.Lock()
        self._known = _Following()

    def seen_by(self, registry: Registry, sees: Callable[[str], bool]) -> Predictor:
        """Return the same with those tasks alone that a visitor sees; all the rest is shared.

        Args:
            registry: as they see it.
            sees: whether they see what belongs to an owner.
        """
        seen = copy.copy(self)
        seen._registry, seen._sees = registry, sees
        return seen

    def hides(self, task: str) -> bool:
        """Whether there is such a task, at its newest version, and not for the visitor."""
        return task in self._known.current and self._newest(task) is None

    @property
    def _current(self) -> dict[str, Version]:
        """The newest version of each adapter that the visitor sees."""
        current = self._known.current
        if self._sees is _everybody:
            return current
        return {slug: version for slug, version in current.items() if self._sees(version.owner)}

    def _newest(self, task: str) -> Version | None:
        version = self._known.current.get(task)
        return version if version is not None and self._sees(version.owner) else None

    def tasks(self) -> list[TaskInfo]:
        """Every adapter at its newest version, by title; those that can't run say why."""
        self.refresh()
        return [self._info(version) for version in _by_title(self._current.values())]

    def offered(self, first: Iterable[str] = (), *, text: str = "", most: int = OFFERED) -> list[TaskInfo]:
        """Some tasks to choose from, where there may be too many to show all.

        Args:
            first: tasks that are to be among them, in this order.
            text: words that all occur in the others; the newest others without any.
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
        """The slugs whose versions were published last, newest first."""
        self.refresh()
        current = self._current
        return heapq.nlargest(most, current, key=lambda slug: current[slug].id)

    def named(self, task: str) -> str:
        """A task as it is picked: its slug, where an exact version is what the slug means now."""
        self.refresh()
        slug = task.partition("@")[0]
        version = self._newest(slug)
        return slug if version is not None and version.ref == task else task

    @property
    def empty(self) -> bool:
        """Whether there is no task at all."""
        self.refresh()
        return not self._current

    def refresh(self, *, load: bool = True) -> None:
        """Follow the catalog: cheap when nothing changed, else load what is new.

        Args:
            load: bring the `PRELOADED` newest of the current versions whose base is in memory there too,
                as far as there is room; all others come when they are first asked for.
        """
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
            if load:
                self._preload(current.values())
            known.current, known.revision = current, changes.revision

    def classify(self, image: Image.Image, tasks: Sequence[str], *, top_k: int = 5) -> Answer:
        """Ask tasks about a picture.

        Args:
            image: RGB, upright, any size.
            tasks: ``slug`` for the newest version, ``slug@N`` or ``slug@alias``; doubles are asked once.
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
        together: dict[tuple[MultiLoRAViT, Preprocessing], list[_Asked]] = defaultdict(list)
        for task in wanted:
            try:
                version = self._newest(task) or self._registry.catalog.resolve(task)
                engine, adapter = self._counted(version)
                together[engine, adapter.preprocessing].append(_Asked(task, version, adapter))
            except (LoraVitError, RegistryError) as error:
                answers[task] = _no_answer(task, error)
        for (engine, preprocessing), asked in together.items():
            prepared = self._prepared.of(image, preprocessing)
            answers |= self._answers(engine, prepared, asked, max(1, top_k))
        return Answer(tuple(answers[task] for task in wanted), (self._clock() - started) * 1000)

    def _answers(
        self, engine: MultiLoRAViT, image: torch.Tensor, asked: Sequence[_Asked], top_k: int
    ) -> dict[str, TaskAnswer]:
        """Answers by task, computed together; each alone when one of them fails."""
        try:
            reply = self._replies.infer(engine, image, [one.version.ref for one in asked])
        except (LoraVitError, RegistryError) as error:
            if len(asked) > 1:
                alone = [self._answers(engine, image, [one], top_k) for one in asked]
                return {task: answer for answers in alone for task, answer in answers.items()}
            self._count(asked[0].version.id, None)
            return {asked[0].task: _no_answer(asked[0].task, error)}
        answers = {one.task: _answer(one, reply, top_k) for one in asked}
        for one in asked:
            answer = answers[one.task]
            self._count(one.version.id, None if answer.error else answer.milliseconds)
        return answers

    def prepare(self, image: Image.Image, task: str) -> bool:
        """Compute an answer before it is asked for, so that `classify` has it; it is not counted as one.

        Nothing is loaded for it: a version that is not in memory is passed over.

        Args:
            image: RGB, upright, any size.
            task: a slug.

        Returns:
            False, with nothing computed, where somebody waits for an answer.
        """
        if not self._replies.idle:
            return False
        version = self._newest(task)
        engine = self.engines.resident(version.base.weights_sha256) if version is not None else None
        if version is not None and engine is not None and version.ref in engine:
            prepared = self._prepared.of(image, engine.adapter(version.ref).preprocessing)
            self._replies.infer(engine, prepared, [version.ref])
        return True

    def heatmap(self, image: Image.Image, task: str, label: str) -> torch.Tensor:
        """Where a task looked; see `engine.heatmap.heatmap`.

        Raises:
            LoraVitError, RegistryError: if the task can't answer, or has no such class.
        """
        self.refresh()
        version = self._newest(task) or self._registry.catalog.resolve(task)
        engine, adapter = self._ready(version)
        if label not in version.class_names:
            raise TaskUnavailable(f"{version.ref} has no class “{label}”.")
        prepared = self._prepared.of(image, adapter.preprocessing)
        return engine.heatmap(version.ref, prepared, version.class_names.index(label))

    def _counted(self, version: Version) -> tuple[MultiLoRAViT, Adapter]:
        """See `_ready`; a version that can't answer is counted as asked."""
        try:
            return self._ready(version)
        except (LoraVitError, RegistryError):
            self._count(version.id, None)
            raise

    def _ready(self, version: Version) -> tuple[MultiLoRAViT, Adapter]:
        """The engine that holds a version, and its adapter.

        Raises:
            LoraVitError, RegistryError: with the reason why it can't answer.
        """
        engine = self.engines.get(version.base.name, version.base.weights_sha256)
        reason = self._known.refused.get(version.ref)
        if version.ref not in engine and (reason is None or version.ref in self._known.mendable):
            reason = self._load(version, engine)
        if reason is not None:
            raise TaskUnavailable(reason)
        return engine, engine.ensure(version.ref)

    def _info(self, version: Version) -> TaskInfo:
        status, reason = self.standing(version.ref, version.base.name, version.base.weights_sha256)
        return TaskInfo(
            task=version.ref,
            slug=version.slug,
            title=version.title,
            version=version.version,
            classes=version.class_names,
            base=version.base.name,
            status=status,
            reason=reason,
        )

    def standing(self, ref: str, base: str, weights_sha256: str) -> tuple[str, str | None]:
        """Status and reason of a version, as far as they are known without loading anything.

        Args:
            base: the name of its base, whose weights have this SHA-256.
        """
        reason = self._known.refused.get(ref)
        if self.engines.resident(weights_sha256) is None:
            reason = reason or self.engines.known_refusal(base, weights_sha256)
            return ("unavailable", reason) if reason else ("on demand", None)
        return ("unavailable", reason) if reason else ("ready", None)

    def _preload(self, versions: Iterable[Version]) -> None:
        newest = sorted(versions, key=lambda version: version.id, reverse=True)
        homes = [(version, self.engines.resident(version.base.weights_sha256)) for version in newest]
        at_home = [(version, engine) for version, engine in homes if engine is not None]
        for version, engine in at_home[:PRELOADED]:
            if not engine.full and version.ref not in engine and version.ref not in self._known.refused:
                self._load(version, engine)

    def _load(self, version: Version, engine: MultiLoRAViT) -> str | None:
        """Bring a version into memory; returns the reason when it can't be used."""
        try:
            engine.ensure(version.ref)
        except (LoraVitError, RegistryError) as error:
            self._known.refused[version.ref] = error.in_public
            if isinstance(error, RegistryError):
                self._known.mendable.add(version.ref)
            return error.in_public
        self._known.refused.pop(version.ref, None)
        return None


def _everybody(_owner: str) -> bool:
    """Whether somebody who sees everything sees a thing."""
    return True


def _by_title(versions: Iterable[Version]) -> list[Version]:
    return sorted(versions, key=lambda version: (version.title.casefold(), version.slug))


def _answer(asked: _Asked, reply: Reply, top_k: int) -> TaskAnswer:
    version = asked.version
    try:
        scores = asked.adapter.scores(reply.logits[version.ref])
    except NonFiniteLogits as error:
        return _no_answer(asked.task, error)
    best = scores.topk(min(top_k, len(scores)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    labels = tuple(Label(version.class_names[index], score) for index, score in pairs)
    return TaskAnswer(version.ref, version.title, labels, None, reply.seconds[version.ref] * 1000)


def _no_answer(task: str, error: LoraVitError | RegistryError) -> TaskAnswer:
    return TaskAnswer(task, task, (), error.in_public, 0.0)
