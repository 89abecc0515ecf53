"""What a visitor can change in the runs. Each action checks the right that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loravit_web.access.guard import needs
from loravit_web.access.rights import Visitor
from loravit_web.runs.admission import Admission
from loravit_web.settings.environment import Settings
from registry import Registry, Run

if TYPE_CHECKING:
    from loravit_web.datasets import DatasetStore


class RunActions:
    """Changes of runs by one visitor. Stopping and resuming load no torch."""

    def __init__(
        self,
        registry: Registry,
        visitor: Visitor,
        settings: Settings,
        *,
        admission: Admission | None = None,
        datasets: DatasetStore | None = None,
    ) -> None:
        """Act for a visitor.

        Args:
            registry: As the visitor sees it.
            visitor: Whose name is recorded with each change.
            settings: With the limits of the queue.
            admission: The one of this process. By default a new one over the registry.
            datasets: The stored images as the visitor sees them. By default those that the settings name.
        """
        self.visitor = visitor
        self._registry, self._settings = registry, settings
        self._admission = admission or Admission(registry, settings)
        self._datasets = datasets

    @needs("train")
    def stop(self, run_id: str, *, keep: bool) -> Run:
        """Ask a run to end.

        Args:
            run_id: Its id, or the beginning of it.
            keep: Publish the best state so far. Otherwise nothing is published.

        Raises:
            RegistryError: If there is no such run, or it has ended.
        """
        return self._registry.runs.request_stop(self._own_run(run_id).id, "keep" if keep else "cancel")

    @needs("train")
    def resume(self, run_id: str) -> Run:
        """Queue an ended, unfinished run again; it goes on from its last checkpoint where it has one.

        Args:
            run_id: Its id, or the beginning of it.

        Raises:
            LoraVitError: If the data folder or the queue is full.
            BeyondDemo: In a demo, unless the app itself interrupted the run.
            RegistryError: If there is no such run, or it cannot be resumed.
        """
        run = self._own_run(run_id)
        with self._admission.resuming(self.visitor, run):
            return self._registry.runs.requeue(run.id)

    @needs("train")
    def retry(self, run_id: str, *, batch_size: int | None = None) -> Run:
        """Queue a new run like an ended one, with half its batch unless told otherwise.

        Args:
            run_id: The id of the ended run, or the beginning of it.
            batch_size: Images per step.

        Raises:
            RunNotRetryable: If the run has not ended, or its batch is one image already.
            LoraVitError: If its images are no longer stored, the batch size cannot be used, or the data
                folder or the queue is full.
        """
        from loravit_web.datasets import DatasetStore
        from loravit_web.runs.queueing import environment
        from loravit_web.runs.retry import retried
        from loravit_web.training.recipe import Recipe

        old = self._own_run(run_id)
        new = retried(old, batch_size, environment())
        datasets = self._datasets or DatasetStore.of(self._settings)
        dataset = datasets.load(old.dataset.fingerprint)
        self._admission.check_size(self.visitor, dataset, Recipe.from_json(new.config))
        with self._admission.queueing(self.visitor, new.slug):
            return self._registry.runs.create(new, actor=self.visitor.name)

    def _own_run(self, run_id: str) -> Run:
        run = self._registry.runs.get(run_id)
        self.visitor.must_own(run.created_by, f"The run of {run.title}")
        return run
