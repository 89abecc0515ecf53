"""Runs of a sweep: those that fall behind stop early, and only the best one publishes.

The runs of a sweep have no coordinator. Each one compares itself with the others at the same fractions of
their epochs, as asynchronous successive halving does (Li et al., 2020), and with what they published. So
any worker on any machine can train any of them, and a run that is lost holds up no other one.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from loravit_web.training.evaluation import Evaluation
from loravit_web.training.progress import TrainingStopped
from loravit_web.training.recipe import Recipe
from registry import DEFAULT_ALIAS, DatabaseNotReadable, Registry, Run, Version
from registry import Evaluation as Measured

RUNGS = (0.25, 0.5)
"""Fractions of the epochs of a run after which it is compared."""
Score = tuple[float, float]
"""Validation accuracy, or mean average precision for several labels, and among equal ones the lower loss."""
_LOG = logging.getLogger(__name__)


def rungs(epochs: int) -> tuple[int, ...]:
    """Return the epochs after which a run with a number of epochs is compared."""
    return tuple(sorted({math.ceil(fraction * epochs) for fraction in RUNGS} - {epochs}))


def stays(own: Score, others: Sequence[Score], keep: float) -> bool:
    """Return whether a run is among the best at its rung.

    Args:
        own: Score of the run.
        others: Scores of the other runs that have reached the rung.
        keep: Fraction of the runs that continue, rounded up.
    """
    better = sum(other > own for other in others)
    return better < math.ceil(keep * (len(others) + 1))


class Contest:
    """A run among the others of its sweep.

    Args:
        registry: Registry with the runs.
        run: Run that this process trains.
        images: Number of its training images, which is the same for all.
    """

    def __init__(self, registry: Registry, run: Run, images: int) -> None:
        assert run.group is not None
        self._registry, self._run, self._group, self._images = registry, run, run.group, images
        self._keep = float(run.environment.get("sweep", {}).get("keep", 1.0))

    def check(self, epoch: int) -> None:
        """Stop the training after an epoch in which it fell behind.

        A database that does not answer stops nothing.

        Raises:
            TrainingStopped: If it is not among the best.
        """
        own = self._rungs(self._run.config)
        if epoch not in own:
            return
        try:
            reached = self._reached(own.index(epoch))
        except DatabaseNotReadable as error:
            _LOG.warning("Run %s is not compared after epoch %d: %s", self._run.id, epoch, error)
            return
        score = reached.pop(self._run.id, None)
        if score is None or stays(score, [*reached.values()], self._keep):
            return
        raise TrainingStopped(
            f"Stopped after epoch {epoch}: with a validation accuracy of {score[0]:.1%} it is not among the "
            f"best {self._keep:.0%} of the {len(reached) + 1} runs of this sweep that came so far."
        )

    def leader(self) -> Version | None:
        """Return the best version that the sweep published, or None."""
        members = self._registry.runs.list(group=self._group, limit=1000)
        versions = [
            self._registry.catalog.version(run.published) for run in members if run.published is not None
        ]
        return max(versions, key=lambda version: _score(version.evaluation("validation")), default=None)

    def better(self, evaluation: Evaluation) -> Version | None:
        """Return the version of the sweep that is at least as good as this one, if there is one."""
        leader = self.leader()
        if leader is None or _score(evaluation) > _score(leader.evaluation("validation")):
            return None
        return leader

    def lead(self, version: Version) -> None:
        """Let the name mean the best version of the sweep if two runs published at the same time."""
        leader = self.leader()
        if leader is not None and leader.ref != version.ref and leader.slug == version.slug:
            self._registry.aliases.promote(
                leader.ref, DEFAULT_ALIAS, actor=self._run.created_by, lease=self._run.lease
            )

    def _rungs(self, config: Any) -> tuple[int, ...]:
        return rungs(Recipe.from_json(config).schedule(self._images)[0])

    def _reached(self, rung: int) -> dict[str, Score]:
        """Return the best score until a rung by the id of each run that has reached it."""
        found = {}
        for run in self._registry.runs.list(group=self._group, limit=1000):
            epochs = self._rungs(run.config)
            series = self._registry.runs.metrics(run.id, ["val_accuracy", "val_map", "val_loss"])
            points = series.get("val_map") or series.get("val_accuracy") or []
            losses = {point.step: point.value for point in series.get("val_loss", [])}
            if rung < len(epochs) and points and points[-1].step >= epochs[rung]:
                scores = [(p.value, -losses.get(p.step, math.inf)) for p in points if p.step <= epochs[rung]]
                found[run.id] = max(scores)
        return found


def not_published(better: Version, evaluation: Evaluation) -> str:
    """Return why a run published nothing."""
    accuracy, _loss = _score(better.evaluation("validation"))
    return (
        f"Not published: the validation accuracy is {evaluation.quality:.1%}, and {better.ref} of the same "
        f"sweep has {accuracy:.1%}."
    )


def _score(measured: Evaluation | Measured | None) -> Score:
    if measured is None:
        return -math.inf, -math.inf
    precision = measured.mean_average_precision
    return (measured.accuracy if precision is None else precision), -measured.loss
