"""An ended run once more, in another way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from loravit_web.errors import LoraVitError
from loravit_web.training.recipe import Recipe
from registry import NewRun, Run


class RunNotRetryable(LoraVitError):
    """A run that can't be tried again in another way."""


def retried(run: Run, batch_size: int | None, environment: Mapping[str, str]) -> NewRun:
    """A run like an ended one, with half its batch unless told otherwise.

    It names the old one under ``retry_of`` in its environment.

    Raises:
        RunNotRetryable: if the run has not ended, or its batch is one image already.
        LoraVitError: if the batch size can't be used.
    """
    if run.status in ("queued", "running"):
        raise RunNotRetryable(f"Run {run.id} is {run.status}: cancel it first, or wait for its end.")
    recipe = Recipe.from_json(run.config)
    if batch_size is None and recipe.batch_size == 1:
        raise RunNotRetryable(
            f"Run {run.id} already takes one image per step: choose a smaller image size instead."
        )
    smaller = replace(recipe, batch_size=recipe.batch_size // 2 if batch_size is None else batch_size)
    return NewRun(
        slug=run.slug,
        title=run.title,
        base_id=run.base_id,
        dataset_id=run.dataset_id,
        seed=run.seed,
        config=smaller.as_json(),
        environment={**environment, "retry_of": run.id},
    )
