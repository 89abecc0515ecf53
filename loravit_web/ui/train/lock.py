"""Lock of *Start training* while a run with the same data, name and settings waits or trains."""

from __future__ import annotations

from typing import Any

from loravit_web.errors import LoraVitError
from loravit_web.runs.queueing import unfinished_twin
from loravit_web.ui.language.texts import _
from loravit_web.ui.train.fields import recipe_of
from loravit_web.visibility import Seen
from registry import Run


class AlreadyTraining(LoraVitError):
    """A training was started while a run with the same data, name and settings waits or trains."""


def unfinished_run(
    seen: Seen,
    fingerprint: str | None,
    name: str,
    preset: str,
    mirror: bool,
    values: Any,
    base: str | None,
) -> Run | None:
    """Return the run that these settings would start again, or None, also if a setting is wrong.

    Args:
        seen: What the visitor sees.
        fingerprint: Fingerprint of the dataset, or None.
        name: Title of the task.
        preset: Key of the preset.
        mirror: Whether to augment with horizontal flips.
        values: Values of the advanced settings, in the order of `ALL_FIELDS`.
        base: Base to train on; None for the configured one.
    """
    if fingerprint is None:
        return None
    try:
        recipe, trained_on = recipe_of(preset, mirror, values), base or seen.settings.base
        return unfinished_twin(seen.registry, trained_on, fingerprint, name, recipe, owner=seen.visitor.name)
    except LoraVitError:  # the cost says what is wrong
        return None


def already_text(run: Run) -> str:
    """Return why such a training cannot be started now."""
    if run.status == "running":
        return _(
            "This training is running already, with the same data, name and settings. See it in Watch, or "
            "change one of them."
        )
    return _(
        "This training waits in the queue already, with the same data, name and settings. See it in Watch, "
        "or change one of them."
    )
