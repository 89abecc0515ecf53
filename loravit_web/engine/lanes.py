"""Parallel computation of the parts of a call, each part on a share of the cores.

If all cores share every operation of a forward pass, each operation waits for the slowest core. Parts that
run on cores of their own do not wait for one another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import TypeVar

import torch

from loravit_web.util.cores import set_thread_cores

T = TypeVar("T")

MAX_LANES = 4
"""Maximum number of lanes."""
_ONE_PART_ON_ALL_CORES = 0.8
"""Speed of one part on all cores relative to one part per lane; measured at 0.8 to 0.87."""


class Lanes:
    """Threads that compute in parallel, each with its share of torch's threads.

    Any number of threads may use the same lanes. A job must not call `run`, because it would wait for a lane
    that waits for it. Context variables and torch's thread-local state, such as inference mode, must be set
    inside the job.

    Args:
        threads: Number of torch threads of all lanes together.
    """

    def __init__(self, threads: int) -> None:
        self.count = min(threads, MAX_LANES)
        started = threading.Barrier(self.count)
        self._pool = ThreadPoolExecutor(self.count, "lane", set_thread_cores, (threads // self.count,))
        list(self._pool.map(lambda _: started.wait(), range(self.count)))

    def run(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Run jobs in the lanes and wait for all of them.

        Args:
            jobs: Functions to call, each in one lane.

        Returns:
            The results in the order of the jobs.

        Raises:
            Exception: The error of the first job that failed, after all jobs have ended.
        """
        futures = [self._pool.submit(job) for job in jobs]
        wait(futures)
        return [future.result() for future in futures]


_lanes: dict[int, Lanes] = {}
_starting = threading.Lock()


def shared_lanes(device: torch.device) -> Lanes | None:
    """Return the lanes of this process, started on first use.

    Args:
        device: Device that computes.

    Returns:
        The lanes, or None on a GPU and if torch computes with a single thread.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return None
    with _starting:
        if threads not in _lanes:
            _lanes[threads] = Lanes(threads)
        return _lanes[threads]


@dataclass(frozen=True)
class Assignment:
    """Assignment of parts to lanes.

    Attributes:
        chunks: Indices of the parts of each lane; the lanes run in parallel.
        leftover: Indices of the parts that the calling thread computes afterwards, with all cores.
    """

    chunks: tuple[tuple[int, ...], ...]
    leftover: tuple[int, ...]


def assigned(work: Sequence[float], lanes: int) -> Assignment:
    """Return the fastest of several ways to assign parts to lanes.

    The parts are sorted by work, largest first, and each lane gets a contiguous range of them. A few parts at
    either end may be left to the calling thread, so that no lane idles for long.

    Args:
        work: Work of each part, in any unit.
        lanes: Number of lanes, at least 2.
    """
    order = sorted(range(len(work)), key=lambda part: -work[part])
    assignments = [Assignment((), tuple(order))]
    for first in range(lanes):
        for last in range(min(lanes, len(order) - first)):
            middle = order[first : len(order) - last]
            leftover = (*order[:first], *order[len(order) - last :])
            assignments.append(Assignment(_chunks(middle, work, lanes), leftover))
    return min(assignments, key=lambda assignment: _duration(assignment, work, lanes))


def _chunks(parts: Sequence[int], work: Sequence[float], lanes: int) -> tuple[tuple[int, ...], ...]:
    """Split parts into contiguous ranges of about equal work."""
    done = list(accumulate((work[part] for part in parts), initial=0.0))
    goals = [done[-1] * lane / lanes for lane in range(1, lanes)]
    cuts = [min(range(len(done)), key=lambda cut: abs(done[cut] - goal)) for goal in goals]
    ends = [0, *cuts, len(parts)]
    return tuple(tuple(parts[start:stop]) for start, stop in pairwise(ends) if start < stop)


def _duration(assignment: Assignment, work: Sequence[float], lanes: int) -> float:
    """Return the expected duration, in the time that a lane needs for one unit of work."""
    longest = max((sum(work[part] for part in chunk) for chunk in assignment.chunks), default=0.0)
    return longest + sum(work[part] for part in assignment.leftover) / (lanes * _ONE_PART_ON_ALL_CORES)


def spread(
    lanes: Lanes | None, work: Sequence[float], compute: Callable[[Sequence[int]], Sequence[T]]
) -> list[T]:
    """Compute the results of all parts, in parallel if there are lanes.

    Args:
        lanes: Lanes to compute in, or None to compute all parts at once in this thread.
        work: Work of each part, in any unit.
        compute: Returns the results of the parts with the given indices; called in several threads at once.

    Returns:
        The results in the order of the parts.
    """
    if lanes is None:
        return list(compute(range(len(work))))
    assignment = assigned(work, lanes.count)
    chunks = list(
        zip(
            assignment.chunks,
            lanes.run([partial(compute, chunk) for chunk in assignment.chunks]),
            strict=True,
        )
    )
    if assignment.leftover:
        chunks.append((assignment.leftover, compute(assignment.leftover)))
    results = {part: result for chunk, found in chunks for part, result in zip(chunk, found, strict=True)}
    return [results[part] for part in range(len(work))]
