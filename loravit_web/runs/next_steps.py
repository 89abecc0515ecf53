"""Next steps of a run: which ones are possible, and which one is best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loravit_web.access.rights import LOCAL, NotAllowed, Visitor
from loravit_web.training.progress import EPOCH
from loravit_web.training.recipe import Recipe
from registry import ErrorKind, Registry, Run

Step = Literal["keep", "cancel", "resume", "retry", "result"]

ADVICE: dict[ErrorKind, str] = {
    "diverged": "A resumed run would diverge again. Start a new run with a lower learning rate.",
    "memory": "Retry with half the batch size, which takes about half the memory, or use smaller images.",
    "disk": "Free some disk space, then resume the run. It continues from its last epoch.",
    "data": "Import the images again, then resume the run, or start a new one.",
    "base": "Make the base available again, then resume the run. LORAVIT_BASE sets the preloaded base.",
    "stopped": "Nothing is wrong with the run. Resume it to continue from its last epoch.",
    "lost": "Resume the run to continue from its last epoch. If it is lost again, halve the batch size.",
    "other": "See the log below. Resume the run, or retry with half the batch size if it ran out of memory.",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Place of a run in the queue.

    Attributes:
        position: Position in the queue, 1 for the next run.
        ahead: Title and owner of the run that trains now, or None.
    """

    position: int
    ahead: str | None


def steps_of(run: Run) -> frozenset[Step]:
    """Return the steps that are possible in the current state of a run."""
    if run.status == "completed":
        return frozenset({"result"} if run.published is not None else ())
    if run.status == "queued":
        return frozenset({"cancel"})
    if run.status == "running":
        is_training = (run.stage or "").startswith(EPOCH)
        return frozenset(() if run.stop_request else {"cancel", "keep"} if is_training else {"cancel"})
    if run.status == "cancelled":
        return frozenset({"resume"})
    return frozenset({"resume", "retry"} if _batch(run) > 1 else {"resume"})


def best_step(run: Run) -> Step | None:
    """Return the recommended step, or None."""
    steps = steps_of(run)
    if run.error_kind == "memory" and "retry" in steps:
        return "retry"
    if run.error_kind == "diverged":
        return None
    return next((step for step in ("result", "resume", "keep") if step in steps), None)


def advice(run: Run) -> str | None:
    """Return what to do about a failed or interrupted run, or None for other runs."""
    if run.status not in ("failed", "interrupted"):
        return None
    return ADVICE[run.error_kind or "other"]


def half_batch(run: Run) -> int:
    """Return half the batch size of a run, at least 1."""
    return max(1, _batch(run) // 2)


def _batch(run: Run) -> int:
    size = run.config.get("batch_size", Recipe().batch_size)
    return size if isinstance(size, int) else Recipe().batch_size


def title_and_owner(run: Run) -> str:
    """Return the quoted title of a run, with its owner unless the app runs in local mode."""
    title = f"“{run.title}”"
    return title if run.created_by == LOCAL.name else f"{title} by {run.created_by}"


def refusal_of(visitor: Visitor, run: Run) -> str | None:
    """Return why a visitor may not change a run, or None."""
    try:
        visitor.must("train")
        visitor.must_own(run.created_by, f"The run of {run.title}")
    except NotAllowed as error:
        return error.in_public
    return None


def place_of(registry: Registry, run: Run) -> Place | None:
    """Return the place of a queued run, or None for other runs."""
    position = registry.runs.queue_position(run.id) if run.status == "queued" else None
    if position is None:
        return None
    trained = registry.runs.list(status=["running"], limit=1)
    return Place(position, title_and_owner(trained[0]) if trained else None)
