"""What can be done with a run, and what should be: by its true state alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loravit_web.access.rights import LOCAL, NotAllowed, Visitor
from loravit_web.training.progress import EPOCH
from loravit_web.training.recipe import Recipe
from registry import ErrorKind, Registry, Run

Step = Literal["keep", "cancel", "resume", "retry", "result"]

ADVICE: dict[ErrorKind, str] = {
    "diverged": "Resuming meets the same numbers again: train with a smaller learning rate instead.",
    "memory": "Half the batch takes about half the memory: retry with it, or choose a smaller image size.",
    "disk": "Free some space, then resume: the run goes on from its last epoch.",
    "data": "Import the images again, then resume, or start a new training with them.",
    "base": "Make the base available again, then resume; LORAVIT_BASE names the preloaded one.",
    "stopped": "Nothing is wrong with the run: resume it, and it goes on from its last epoch.",
    "lost": "Resume it: it goes on from its last epoch. Lost again? Half the batch takes less memory.",
    "other": "The log below may say more. Resume it, or retry with half the batch if memory was short.",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a queued run stands.

    Attributes:
        position: 1 for the next.
        ahead: what trains now, and whose it is.
    """

    position: int
    ahead: str | None


def steps_of(run: Run) -> frozenset[Step]:
    """What can be done with a run now."""
    if run.status == "completed":
        return frozenset({"result"} if run.published is not None else ())
    if run.status == "queued":
        return frozenset({"cancel"})
    if run.status == "running":
        learns = (run.stage or "").startswith(EPOCH)
        return frozenset(() if run.stop_request else {"cancel", "keep"} if learns else {"cancel"})
    if run.status == "cancelled":
        return frozenset({"resume"})
    return frozenset({"resume", "retry"} if _batch(run) > 1 else {"resume"})


def best_step(run: Run) -> Step | None:
    """What most people should do next, if anything."""
    steps = steps_of(run)
    if run.error_kind == "memory" and "retry" in steps:
        return "retry"
    if run.error_kind == "diverged":
        return None
    return next((step for step in ("result", "resume", "keep") if step in steps), None)


def advice(run: Run) -> str | None:
    """What to do about a run that ended without being completed; None when nothing went wrong."""
    if run.status not in ("failed", "interrupted"):
        return None
    return ADVICE[run.error_kind or "other"]


def half_batch(run: Run) -> int:
    """The batch size of a retry."""
    return max(1, _batch(run) // 2)


def _batch(run: Run) -> int:
    size = run.config.get("batch_size", Recipe().batch_size)
    return size if isinstance(size, int) else Recipe().batch_size


def owned(run: Run) -> str:
    """A run by its title, and whose it is where people have names."""
    title = f"“{run.title}”"
    return title if run.created_by == LOCAL.name else f"{title} of {run.created_by}"


def refusal_of(visitor: Visitor, run: Run) -> str | None:
    """Why a visitor may not change a run, in one sentence; None when they may."""
    try:
        visitor.must("train")
        visitor.must_own(run.created_by, f"The run of {run.title}")
    except NotAllowed as error:
        return error.in_public
    return None


def place_of(registry: Registry, run: Run) -> Place | None:
    """Where a queued run stands; None for any other."""
    position = registry.runs.queue_position(run.id) if run.status == "queued" else None
    if position is None:
        return None
    trained = registry.runs.list(status=["running"], limit=1)
    return Place(position, owned(trained[0]) if trained else None)
