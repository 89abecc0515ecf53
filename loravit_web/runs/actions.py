"""Changes of runs by a visitor. Each action checks the right that it needs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from loravit_web.access.guard import needs
from loravit_web.access.rights import Visitor
from loravit_web.runs.admission import Admission
from loravit_web.settings.environment import Settings
from registry import Registry, Run

if TYPE_CHECKING:
    from loravit_web.datasets import DatasetStore


class RunActions:
    """Changes of runs by one visitor. Stopping and resuming do not import torch.

    Args:
        registry: Registry as the visitor sees it.
        visitor: Visitor whose name is recorded with each change.
        settings: Settings with the limits of the queue.
        admission: Admission of this process, or None for a new one over the registry.
        datasets: Stored images as the visitor sees them, or None for those of the settings.
    """

    def __init__(
        self,
        registry: Registry,
        visitor: Visitor,
        settings: Settings,
        *,
        admission: Admission | None = None,
        datasets: DatasetStore | None = None,
    ) -> None:
        self.visitor = visitor
        self._registry, self._settings = registry, settings
        self._admission = admission or Admission(registry, settings)
        self._datasets = datasets

    @needs("train")
    def stop(self, run_id: str, *, keep: bool) -> Run:
        """Request a run to stop.

        Args:
            run_id: Id of the run, or its beginning.
            keep: Whether to publish the best epoch so far. Otherwise nothing is published.

        Returns:
            The run with the request.

        Raises:
            NotAllowed: If the visitor may not train, or the run belongs to another user.
            RegistryError: If there is no such run, or it has ended.
        """
        return self._registry.runs.request_stop(self._own_run(run_id).id, "keep" if keep else "cancel")

    @needs("train")
    def resume(self, run_id: str) -> Run:
        """Queue an unfinished run again. It continues from its last checkpoint if there is one.

        Args:
            run_id: Id of the run, or its beginning.

        Returns:
            The queued run.

        Raises:
            NotAllowed: If the visitor may not train, or the run belongs to another user.
            LoraVitError: If the data folder or the queue is full.
            BeyondDemo: If the visitor uses a demo and the app did not interrupt the run.
            RegistryError: If there is no such run, or it cannot be resumed.
        """
        run = self._own_run(run_id)
        self._share(run.dataset.fingerprint)
        with self._admission.resuming(self.visitor, run):
            return self._registry.runs.requeue(run.id)

    @needs("train")
    def retry(self, run_id: str, *, batch_size: int | None = None) -> Run:
        """Queue a copy of an ended run with a smaller batch.

        Args:
            run_id: Id of the ended run, or its beginning.
            batch_size: Batch size of the new run, or None for half the previous one.

        Returns:
            The queued run.

        Raises:
            NotAllowed: If the visitor may not train, or the run belongs to another user.
            RunNotRetryable: If the run has not ended, or its batch size is 1 already.
            LoraVitError: If the images are no longer stored, the batch size is invalid, or the data folder or
                the queue is full.
            RegistryError: If there is no such run.
        """
        from loravit_web.datasets import DatasetStore
        from loravit_web.runs.queueing import environment, retried
        from loravit_web.training.recipe import Recipe

        old = self._own_run(run_id)
        new = retried(old, batch_size, environment())
        datasets = self._datasets or DatasetStore.of(self._settings)
        dataset = datasets.load(old.dataset.fingerprint)
        self._admission.check_size(self.visitor, dataset, Recipe.from_json(new.config))
        self._share(old.dataset.fingerprint)
        with self._admission.queueing(self.visitor, new.slug):
            return self._registry.runs.create(new, actor=self.visitor.name)

    @needs("retire")
    def delete_run(self, run_id: str) -> Run:
        """Delete an ended run for good, with its curves, files, checkpoint and log.

        Checkpoints and logs on other machines are kept.

        Args:
            run_id: Id of the run, or its beginning.

        Returns:
            The run as it was.

        Raises:
            NotAllowed: If the visitor may not withdraw, or the run belongs to another user.
            RegistryError: If there is no such run, it has not ended, or it made versions that exist.
        """
        run = self._own_run(run_id)
        self._registry.deletions.delete_run(run.id, actor=self.visitor.name)
        shutil.rmtree(self._settings.work / run.id, ignore_errors=True)
        (self._settings.run_logs / f"{run.id}.log").unlink(missing_ok=True)
        return run

    def _share(self, fingerprint: str) -> None:
        """Store the images for other machines, if these may train the run."""
        if self._settings.executor != "local":
            from loravit_web.datasets import DatasetStore
            from loravit_web.runs.queueing import share_if_here

            share_if_here(self._registry, self._datasets or DatasetStore.of(self._settings), fingerprint)

    def _own_run(self, run_id: str) -> Run:
        run = self._registry.runs.get(run_id)
        self.visitor.must_own(run.created_by, f"The run of {run.title}")
        return run
