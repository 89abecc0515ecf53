"""A single thread of the app that computes with all cores.

OpenMP keeps a team of threads for each thread that ever computed with several. If all teams together have
more threads than there are cores, waiting threads release their core sooner and have to be woken at each step
(GOMP_SPINCOUNT in libgomp's manual). An app answers in many threads, whose teams would slow one another down
even when idle: by 5 to 20 % of an answer on two cores. So in an app one thread computes with all cores, and
every other thread with one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


class _AllCoresThread:
    """The thread that computes with all cores."""

    def __init__(self) -> None:
        self.count = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(1, "cores", set_thread_cores, (self.count,))
        self._thread = self._pool.submit(threading.current_thread).result()
        torch.set_num_threads(1)

    def run(self, job: Callable[[], T]) -> T:
        """Return the result of a job, after the jobs that were submitted before."""
        if threading.current_thread() is self._thread:
            return job()
        return self._pool.submit(job).result()

    def end(self) -> None:
        """Stop the thread; the calling thread computes with all cores again."""
        self._pool.shutdown()
        torch.set_num_threads(self.count)


_gathered: _AllCoresThread | None = None
_setting = threading.Lock()


def gather_cores() -> None:
    """Let `on_all_cores` compute in one thread, and every other thread of the process with one core.

    This holds for this thread and for threads that compute for the first time later.
    """
    global _gathered
    if _gathered is None:
        _gathered = _AllCoresThread()


def release_cores() -> None:
    """Undo `gather_cores`."""
    global _gathered
    if _gathered is not None:
        _gathered.end()
        _gathered = None


def on_all_cores(job: Callable[[], T]) -> T:
    """Run a short, compute-heavy job on all cores and return its result.

    Runs in the calling thread unless `gather_cores` is active. A job must not wait for anything that another
    job may hold, such as a lock around another call of this function.

    Args:
        job: The job to run.
    """
    gathered = _gathered
    return job() if gathered is None else gathered.run(job)


def on_all_cores_apart(job: Callable[[], T]) -> T:
    """Run a job of several seconds on all cores, in a thread of its own, so that no other job waits for it.

    Args:
        job: The job to run.
    """
    gathered = _gathered
    if gathered is None:
        return job()
    with ThreadPoolExecutor(1, "long-job", set_thread_cores, (gathered.count,)) as pool:
        return pool.submit(job).result()


def set_thread_cores(count: int) -> None:
    """Set the number of cores of this thread without changing the number of threads that start later."""
    with _setting:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        # Threads that compute for the first time later use the last number that any thread set.
        other = threading.Thread(target=torch.set_num_threads, args=(before,))
        other.start()
        other.join()
