"""Retries of ended runs with a smaller batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from loravit_web.errors import LoraVitError
from loravit_web.training.recipe import Recipe
from registry import NewRun, Run


class RunNotRetryable(LoraVitError):
    """A run that cannot be retried with a smaller batch."""


def retried(run: Run, batch_size: int | None, environment: Mapping[str, str]) -> NewRun:
    """Return a copy of an ended run with a smaller batch.

    The environment of the copy contains the id of the ended run under ``retry_of``.

    Args:
        run: The ended run.
        batch_size: Batch size of the copy, or None for half the previous one.
        environment: Versions of the software that will train it.

    Raises:
        RunNotRetryable: If the run has not ended, or its batch size is 1 already.
        LoraVitError: If the batch size is invalid.
    """
    if run.status in ("queued", "running"):
        raise RunNotRetryable(f"Run {run.id} is {run.status}. Cancel it, or wait until it has ended.")
    recipe = Recipe.from_json(run.config)
    if batch_size is None and recipe.batch_size == 1:
        raise RunNotRetryable(
            f"The batch size of run {run.id} is 1 already. Choose a smaller image size instead."
        )
    smaller = replace(recipe, batch_size=recipe.batch_size // 2 if batch_size is None else batch_size)
    return NewRun(
        slug=run.slug,
        title=run.title,
        base_id=run.base_id,
        dataset_id=run.dataset_id,
        dataset_name=run.dataset.name,
        dataset_revision=run.dataset_revision,
        seed=run.seed,
        config=smaller.as_json(),
        environment={**environment, "retry_of": run.id},
    )
