"""Table and figures of ``python -m benchmarks tasks``.

Two ways are compared on the same test images after training on the same images with the same seeds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch

from benchmarks.learning.task_rows import Row, rows_of
from benchmarks.support.report import Figure, at_least, at_most, spread
from loravit_web.training.evaluation import calibration_error

FIRST_ANSWERS_SIZE = 300
_FIRST_ANSWERS_SECONDS = 20
_CALIBRATION = 0.05
_NOISE = 2
"""Standard errors below which a difference is noise."""
_DRAWS = 20


@dataclass(frozen=True)
class Goal:
    """What a way has to be, beside the one it took the place of.

    Attributes:
        predecessor: Name of the way that it took the place of.
        points: Lead in points of accuracy, mean of the tasks, at least.
        time: Time as a multiple of the predecessor's, at most; None without a target.
    """

    predecessor: str
    points: float
    time: float | None = None


GOALS: Mapping[str, Goal] = MappingProxyType(
    {
        "Instant": Goal("probe before", 5),
        "Draft": Goal("Draft before", 5, 0.8),
        "Quick": Goal("Quick before", 4, 0.7),
    }
)
"""The presets of today."""


@dataclass(frozen=True)
class Difference:
    """Difference of two accuracies.

    Attributes:
        points: Difference in points.
        error: Its standard error in points.
    """

    points: float
    error: float

    @property
    def is_worse(self) -> bool:
        """Whether it is negative beyond noise."""
        return self.points < -_NOISE * self.error

    def __str__(self) -> str:
        return f"{self.points:+.1f} ± {self.error:.1f}"


def difference(first: Sequence[Row], second: Sequence[Row]) -> Difference:
    """Return how much better one way is on a task than another.

    The standard error has two parts: from the choice of the test images, of which each is answered once per
    row, and from the seeds, which choose the training images. With one seed only the first part is known.

    Args:
        first: Rows of one way.
        second: Rows of the other way, of the same sizes and seeds in the same order.
    """
    points = 100 * np.array([_correct(a) - _correct(b) for a, b in zip(first, second, strict=True)])
    by_seed = [points[[row.seed == seed for row in first]].mean() for seed in sorted({r.seed for r in first})]
    by_images, by_seeds = _standard_error(points.mean(axis=0)), _standard_error(np.array(by_seed))
    return Difference(float(points.mean()), math.hypot(by_images, by_seeds))


def differences(rows: Sequence[Row], way: str, predecessor: str) -> dict[str, Difference]:
    """Return how much better a way is than its predecessor, by task, from the cells that both have."""
    pairs = _pairs(rows, way, predecessor)
    tasks = dict.fromkeys(first.task for first, _second in pairs)
    return {
        task: difference(*zip(*[pair for pair in pairs if pair[0].task == task], strict=True))
        for task in tasks
    }


def mean_difference(by_task: Mapping[str, Difference]) -> Difference:
    """Return the mean of the tasks' differences. Its error is for these tasks, not for others."""
    values = by_task.values()
    return Difference(
        statistics.fmean(value.points for value in values),
        sum(value.error**2 for value in values) ** 0.5 / len(by_task),
    )


def table(rows: Sequence[Row]) -> str:
    """Return the results as a Markdown table: a column for each way, a row for each task and each figure."""
    tasks, with_one_label = list(dict.fromkeys(row.task for row in rows)), _with_one_label(rows)
    ways = list(dict.fromkeys(row.way for row in rows))
    lines = [["", *ways], ["---"] * (len(ways) + 1)]
    for task in tasks:
        lines.append([task, *(_accuracy(list(rows_of(rows, way, task).values())) for way in ways)])
    if with_one_label:  # tasks that all ways have
        lines += [[name, *(text(with_one_label, way) for way in ways)] for name, text in _SUMMARIES.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figures(rows: Sequence[Row]) -> list[Figure]:
    """Return what the presets of today have to reach, for those that were measured."""
    ways = {row.way for row in rows}
    measured = [way for way in GOALS if way in ways]
    result = []
    for way in measured:
        if GOALS[way].predecessor in ways:
            result += _beside_predecessor(rows, way, GOALS[way])
    for way in measured:
        own = [row for row in rows if row.way == way]
        below = [row for row in own if row.is_below_probe]
        note = ", ".join(f"{row.task} {row.size} seed {row.seed}" for row in below)
        name = f"{way}: published below its own probe, of {len(own)}"
        result.append(at_most(name, len(below), 0, note=note))
        result += _first_answers(own, way)
        if answered := _with_one_label(own):
            result.append(_calibration(answered, way))
    return result


def _beside_predecessor(rows: Sequence[Row], way: str, goal: Goal) -> list[Figure]:
    pairs = _pairs(rows, way, goal.predecessor)
    if not pairs:
        return []
    by_task = differences(rows, way, goal.predecessor)
    mean, between = mean_difference(by_task), f"{way} over {goal.predecessor}"
    worse = [f"{task} {value}" for task, value in by_task.items() if value.is_worse]
    ratios = [first.seconds / second.seconds for first, second in pairs]
    name, ratio = f"time of {way} / {goal.predecessor}", statistics.median(ratios)
    return [
        at_least(f"{between}: points", mean.points, goal.points, note=str(mean)),
        at_most(f"{between}: tasks worse by {_NOISE} errors", len(worse), 0, note=", ".join(worse)),
        Figure(name, f"{ratio:.2f}x", note=spread(ratios, "x"))
        if goal.time is None
        else at_most(name, ratio, goal.time, "x", spread(ratios, "x")),
    ]


def _first_answers(rows: Sequence[Row], way: str) -> list[Figure]:
    seconds = [
        row.first_answers for row in rows if row.size == FIRST_ANSWERS_SIZE and row.first_answers is not None
    ]
    if not seconds:
        return []
    name = f"{way}: seconds to first answers, {FIRST_ANSWERS_SIZE} images, slowest"
    return [at_most(name, max(seconds), _FIRST_ANSWERS_SECONDS, " s", spread(seconds, " s"))]


def _calibration(rows: Sequence[Row], way: str) -> Figure:
    reference = statistics.fmean(_calibrated_error(answers) for answers in _by_task(rows))
    note = f"{reference:.3f} if calibrated perfectly"
    return at_most(f"{way}: calibration error", _mean_calibration(rows), _CALIBRATION, note=note)


def _mean_calibration(rows: Sequence[Row]) -> float:
    """Return the mean of the tasks' calibration errors, each of all answers of a task."""
    return statistics.fmean(
        calibration_error(scores[:, None], (~correct).long())
        for correct, scores in map(_answers, _by_task(rows))
    )


def _calibrated_error(rows: Sequence[Row]) -> float:
    """Return the calibration error that a perfectly calibrated head would have with these scores.

    It is above 0, because a bin has few answers.
    """
    _correct_answers, scores = _answers(rows)
    generator = torch.Generator().manual_seed(0)
    return statistics.fmean(
        calibration_error(scores[:, None], (torch.rand(len(scores), generator=generator) >= scores).long())
        for _draw in range(_DRAWS)
    )


def _with_one_label(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of tasks with one label per image, which have an answer to each test image."""
    return [row for row in rows if row.map is None]


def _by_task(rows: Sequence[Row]) -> list[list[Row]]:
    return [[row for row in rows if row.task == task] for task in dict.fromkeys(row.task for row in rows)]


def _answers(rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return whether each answer is correct, bool (N,), and its score, float (N,)."""
    correct = torch.cat([torch.from_numpy(_correct(row)) for row in rows])
    return correct.bool(), torch.tensor([score for row in rows for score in row.scores])


def _pairs(rows: Sequence[Row], way: str, predecessor: str) -> list[tuple[Row, Row]]:
    """Return the rows of both ways, of the cells that both have."""
    found = {row.key: row for row in rows}
    pairs = [(row, found.get(row.key._replace(way=predecessor))) for row in rows if row.way == way]
    return [(first, second) for first, second in pairs if second is not None]


def _correct(row: Row) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([float(answer) for answer in row.correct])


def _standard_error(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0


def _accuracy(rows: Sequence[Row]) -> str:
    """Return the mean accuracy, and its standard deviation over the seeds if there are several."""
    if not rows:
        return "–"
    by_seed = [
        statistics.fmean(row.accuracy for row in rows if row.seed == seed)
        for seed in sorted({row.seed for row in rows})
    ]
    mean = f"{statistics.fmean(row.accuracy for row in rows):.3f}"
    return f"{mean} ± {statistics.stdev(by_seed):.3f}" if len(by_seed) > 1 else mean


def _task_mean(value: Callable[[Row], float], digits: int) -> Callable[[Sequence[Row], str], str]:
    """Return a summary: the mean of the tasks' means of a value."""

    def text(rows: Sequence[Row], way: str) -> str:
        tasks = _by_task([row for row in rows if row.way == way])
        return f"{statistics.fmean(statistics.fmean(map(value, task)) for task in tasks):,.{digits}f}"

    return text


def _over_predecessor(text: Callable[[Sequence[Row], str, str], str]) -> Callable[[Sequence[Row], str], str]:
    """Return a summary that only ways with a measured predecessor have."""

    def summary(rows: Sequence[Row], way: str) -> str:
        goal = GOALS.get(way)
        if goal is None or not _pairs(rows, way, goal.predecessor):
            return "–"
        return text(rows, way, goal.predecessor)

    return summary


def _lead(rows: Sequence[Row], way: str, predecessor: str) -> str:
    return str(mean_difference(differences(rows, way, predecessor)))


def _worst(rows: Sequence[Row], way: str, predecessor: str) -> str:
    by_task = differences(rows, way, predecessor)
    task = min(by_task, key=lambda name: by_task[name].points)
    return f"{task} {by_task[task]}"


def _ratio(rows: Sequence[Row], way: str, predecessor: str) -> str:
    ratios = [first.seconds / second.seconds for first, second in _pairs(rows, way, predecessor)]
    return f"{statistics.median(ratios):.2f}x"


def _below_probe(rows: Sequence[Row], way: str) -> str:
    own = [row for row in rows if row.way == way]
    return f"{sum(row.is_below_probe for row in own)} of {len(own)}" if _has_probe(way) else "–"


def _has_probe(way: str) -> bool:
    return way in GOALS or way in {goal.predecessor for goal in GOALS.values() if goal.time is not None}


_SUMMARIES: Mapping[str, Callable[[Sequence[Row], str], str]] = MappingProxyType(
    {
        "**mean**": _task_mean(lambda row: row.accuracy, 3),
        "lead over its predecessor, points": _over_predecessor(_lead),
        "its worst task": _over_predecessor(_worst),
        "seconds": _task_mean(lambda row: row.seconds, 1),
        "time / its predecessor's": _over_predecessor(_ratio),
        "kilobytes": _task_mean(lambda row: row.bytes / 1000, 0),
        "calibration error": lambda rows, way: (
            f"{_mean_calibration([row for row in rows if row.way == way]):.3f}"
        ),
        "below its own probe": _below_probe,
    }
)
