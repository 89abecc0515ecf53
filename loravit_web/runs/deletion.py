"""Deletion of a run, to be confirmed before it is made."""

from __future__ import annotations

from dataclasses import dataclass

from loravit_web.runs.next_steps import title_and_owner
from registry import Registry

_MOST_RUNS = 500
"""Maximum number of runs among which later attempts are looked for."""


@dataclass(frozen=True)
class RunDeletion:
    """A requested deletion with its current consequences.

    Attributes:
        run_id: Id of the run.
        consequences: Consequences, one sentence each.
        confirm: Label of the button that confirms the deletion.
        note: Additional information.
    """

    run_id: str
    consequences: tuple[str, ...]
    confirm: str = "Delete run for good"
    note: str = ""


def deletion_of(registry: Registry, run_id: str) -> RunDeletion:
    """Return what the deletion of a run would do now.

    Args:
        registry: Registry as the visitor sees it.
        run_id: Id of the run.

    Raises:
        RegistryError: If there is no such run, it has not ended, or it made versions that exist.
    """
    run = registry.deletions.deletable_run(run_id)
    sentences = [f"The run of {title_and_owner(run)} is deleted with its curves, files and log."]
    if run.status != "completed":
        sentences.append("It can no longer be resumed.")
    others = registry.runs.list(slug=run.slug, limit=_MOST_RUNS)
    retried = [one.id[:8] for one in others if one.environment.get("retry_of") == run.id]
    sentences += [f"Run {run_id} is a retry of it, and is kept." for run_id in retried]
    return RunDeletion(run.id, (*sentences, "Its training images are kept.", "This cannot be undone."))
