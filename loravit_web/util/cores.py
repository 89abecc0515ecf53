"""The one thread of an app that computes with all cores.

OpenMP keeps a team of threads for each thread that ever computed with several. While all teams together have
more threads than there are cores, those that wait give their core up sooner and have to be woken at each
step (GOMP_SPINCOUNT in libgomp's manual). An app answers in many threads, whose teams would slow each other
down even while all but one are idle: by a twentieth to a fifth of an answer, on two cores. So in an app one
thread computes with all cores, and every other one with its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


class _Gathered:
    """The thread, while there is one."""

    def __init__(self) -> None:
        self.count = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(1, "cores", compute_with, (self.count,))
        self._thread = self._pool.submit(threading.current_thread).result()
        torch.set_num_threads(1)

    def run(self, job: Callable[[], T]) -> T:
        """What the job returns, after those that wait before it."""
        if threading.current_thread() is self._thread:
            return job()
        return self._pool.submit(job).result()

    def end(self) -> None:
        """End the thread; whoever calls computes with all cores again."""
        self._pool.shutdown()
        torch.set_num_threads(self.count)


_gathered: _Gathered | None = None
_setting = threading.Lock()


def gather_cores() -> None:
    """From now on `on_all_cores` computes in one thread, and every other thread of the process with one core.

    That holds for this thread and those that compute for the first time later.
    """
    global _gathered
    if _gathered is None:
        _gathered = _Gathered()


def release_cores() -> None:
    """Take `gather_cores` back."""
    global _gathered
    if _gathered is not None:
        _gathered.end()
        _gathered = None


def on_all_cores(job: Callable[[], T]) -> T:
    """What a short job returns that computes much; where no cores are gathered, the caller does it.

    A job must not wait for anything that other jobs may hold, such as a lock around another call of this.
    """
    gathered = _gathered
    return job() if gathered is None else gathered.run(job)


def beside_the_others(job: Callable[[], T]) -> T:
    """The same for a job that takes seconds: in a thread that ends with it, so that no other one waits."""
    gathered = _gathered
    if gathered is None:
        return job()
    with ThreadPoolExecutor(1, "beside", compute_with, (gathered.count,)) as pool:
        return pool.submit(job).result()


def compute_with(count: int) -> None:
    """Let this thread compute with so many cores, and leave it at the present number for later threads."""
    with _setting:
        before = torch.get_num_threads()  # who asks for the first time later gets the number of then
        torch.set_num_threads(count)
        # what a thread sets is also what those begin with that compute for the first time later
        other = threading.Thread(target=torch.set_num_threads, args=(before,))
        other.start()
        other.join()
