"""Adapters as the registry stores them: published versions, and first answers of runs that are training.

A first answer is the probe of a run. Its task is ``run:ID``. The catalog does not list it, and it exists only
while the run is training.
"""

from __future__ import annotations

from dataclasses import dataclass

from loravit_web.adapters import Adapter
from loravit_web.adapters.files.first_answer import ADAPTER_FILE, read_first_adapter
from loravit_web.adapters.files.format import from_files
from loravit_web.backbones import Base
from loravit_web.engine.residency import LoadAdapter
from loravit_web.errors import LoraVitError
from registry import AS_TRAINED, Registry, Run, Thresholds, Version
from registry import Base as BaseRecord

PREFIX = "run:"
"""Prefix of the tasks of first answers. No name of an adapter has a colon."""


class NoFirstAnswer(LoraVitError):
    """A run without a first answer: it has not computed one yet, or it has ended."""


@dataclass(frozen=True)
class RunningTask:
    """A run that is training and can already answer.

    Attributes:
        ref: Its task, ``run:ID``.
        title: Title for people.
        base: Base that the run trains on.
        id: None, because requests are only counted for versions.
        thresholds: As trained, because only those of versions can be changed.
        shown_classes: None, because only classes of versions have titles.
    """

    ref: str
    title: str
    base: BaseRecord
    id: None = None
    thresholds: Thresholds = AS_TRAINED
    shown_classes: tuple[str, ...] = ()


Answering = Version | RunningTask
"""Something that answers requests."""


def task_of_run(run_id: str) -> str:
    """Return the task of a run's first answer."""
    return f"{PREFIX}{run_id}"


def names_run(task: str) -> bool:
    """Return whether a task is the first answer of a run."""
    return task.startswith(PREFIX)


def resolved(registry: Registry, task: str) -> Answering:
    """Return the version or the running task that a task names.

    Args:
        registry: Registry as the visitor sees it.
        task: ``slug``, ``slug@N``, ``slug@alias`` or ``run:ID``.

    Raises:
        RegistryError: If there is no such version or run.
        NoFirstAnswer: If the run has no first answer.
    """
    return running_task(registry, task) if names_run(task) else registry.catalog.resolve(task)


def running_task(registry: Registry, task: str) -> RunningTask:
    """Return the running task of a task ``run:ID``; see `resolved`."""
    run = _run(registry, task)
    if run.status != "running":
        instead = f"Select {run.published} instead." if run.published else "Open the run in the tab Runs."
        raise NoFirstAnswer(
            f"“{run.title}” has no first answer any more, because its run is {run.status}. {instead}"
        )
    if ADAPTER_FILE not in registry.run_files.names(run.id):
        raise NoFirstAnswer(f"“{run.title}” has no first answer yet. Wait until its images are read.")
    return RunningTask(task_of_run(run.id), _title(run), run.base)


def title_of_run(registry: Registry, task: str) -> str:
    """Return the title of the task ``run:ID``, with the status of a run that has ended.

    Args:
        registry: Registry as the visitor sees it.
        task: The task.

    Raises:
        UnknownRun: If there is no such run.
    """
    run = _run(registry, task)
    return _title(run) if run.status == "running" else f"{run.title} · {run.status}"


def _title(run: Run) -> str:
    return f"{run.title} (first answer, still training)"


def _run(registry: Registry, task: str) -> Run:
    return registry.runs.get(task.removeprefix(PREFIX))


def stored_adapters(registry: Registry, base: Base) -> LoadAdapter:
    """Return a function that reads and checks the adapters of a base by their ref.

    Args:
        registry: Registry with the versions and runs.
        base: Base in float32.
    """

    def load(ref: str) -> Adapter:
        if names_run(ref):
            return read_first_adapter(registry.run_files.read(ref.removeprefix(PREFIX), ADAPTER_FILE), base)
        return from_files(registry.catalog.read_files(registry.catalog.resolve(ref)), base)

    return load
