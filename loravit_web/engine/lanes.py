"""Parts of a call side by side, each on a core of its own, instead of one after the other on all cores.

Every step of a forward that is cut over the cores waits for the slowest of them; parts that each keep to
their core do not wait for one another.
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

from loravit_web.util.cores import compute_with

T = TypeVar("T")

MAX_LANES = 4
_ONE_PART_ON_ALL_CORES = 0.8
"""How fast all cores compute one part, against as many parts as there are lanes; measured: 0.8 to 0.87."""


class Lanes:
    """Threads that compute side by side, each with its share of torch's threads.

    Safe to call from any number of threads, which share the lanes. A job must not call `run` itself: it
    would wait for lanes that wait for it. What torch keeps by thread, such as inference mode, and context
    variables, a job sets for itself.
    """

    def __init__(self, threads: int) -> None:
        """
        Args:
            threads: that torch may compute with in all lanes together.
        """
        self.count = min(threads, MAX_LANES)
        started = threading.Barrier(self.count)
        self._pool = ThreadPoolExecutor(self.count, "lane", compute_with, (threads // self.count,))
        list(self._pool.map(lambda _: started.wait(), range(self.count)))

    def run(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """What the jobs return, in order; when all have ended, the error of the first that failed."""
        futures = [self._pool.submit(job) for job in jobs]
        wait(futures)
        return [future.result() for future in futures]


_lanes: dict[int, Lanes] = {}
_starting = threading.Lock()


def shared_lanes(device: torch.device) -> Lanes | None:
    """The lanes of this process; None on a GPU, and where torch computes with one thread."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return None
    with _starting:
        if threads not in _lanes:
            _lanes[threads] = Lanes(threads)
        return _lanes[threads]


@dataclass(frozen=True)
class Split:
    """Who computes which parts.

    Attributes:
        chunks: by lane, side by side.
        alone: afterwards in the thread of the caller, with all its cores.
    """

    chunks: tuple[tuple[int, ...], ...]
    alone: tuple[int, ...]


def split(work: Sequence[float], lanes: int) -> Split:
    """The fastest of some ways to share parts out.

    The parts are put in order, most work first, and those of equal work as they come; each lane gets
    neighbours. A few at either end may be left to the caller, so that no lane idles for long.

    Args:
        work: of each part, in any unit.
        lanes: at least 2.
    """
    order = sorted(range(len(work)), key=lambda part: -work[part])
    ways = [Split((), tuple(order))]
    for first in range(lanes):
        for last in range(min(lanes, len(order) - first)):
            middle = order[first : len(order) - last]
            alone = (*order[:first], *order[len(order) - last :])
            ways.append(Split(_chunks(middle, work, lanes), alone))
    return min(ways, key=lambda way: _duration(way, work, lanes))


def _chunks(parts: Sequence[int], work: Sequence[float], lanes: int) -> tuple[tuple[int, ...], ...]:
    """Neighbours of about equal work."""
    done = list(accumulate((work[part] for part in parts), initial=0.0))
    goals = [done[-1] * lane / lanes for lane in range(1, lanes)]
    cuts = [min(range(len(done)), key=lambda cut: abs(done[cut] - goal)) for goal in goals]
    ends = [0, *cuts, len(parts)]
    return tuple(tuple(parts[start:stop]) for start, stop in pairwise(ends) if start < stop)


def _duration(way: Split, work: Sequence[float], lanes: int) -> float:
    """Expected time, in the time that a lane takes for one unit of work."""
    longest = max((sum(work[part] for part in chunk) for chunk in way.chunks), default=0.0)
    return longest + sum(work[part] for part in way.alone) / (lanes * _ONE_PART_ON_ALL_CORES)


def spread(
    lanes: Lanes | None, work: Sequence[float], compute: Callable[[Sequence[int]], Sequence[T]]
) -> list[T]:
    """What ``compute`` gives for each part, in the order of the parts.

    Args:
        lanes: None to compute all parts at once in this thread.
        work: of each part, in any unit.
        compute: gives the results of some of the parts, by index; called in several threads at once.
    """
    if lanes is None:
        return list(compute(range(len(work))))
    way = split(work, lanes.count)
    chunks = list(zip(way.chunks, lanes.run([partial(compute, chunk) for chunk in way.chunks]), strict=True))
    if way.alone:
        chunks.append((way.alone, compute(way.alone)))
    results = {part: result for chunk, found in chunks for part, result in zip(chunk, found, strict=True)}
    return [results[part] for part in range(len(work))]
