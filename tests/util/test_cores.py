"""In an app one thread computes with all cores, and every other thread with one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import torch

from loravit_web.util.cores import gather_cores, on_all_cores, on_all_cores_apart, release_cores

T = TypeVar("T")
CORES = 3


@pytest.fixture(autouse=True)
def cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(CORES)
    yield
    release_cores()
    torch.set_num_threads(before)


def in_another_thread(job: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(job).result()


def test_without_gathered_cores_the_calling_thread_computes() -> None:
    assert on_all_cores(threading.current_thread) is threading.current_thread()
    assert on_all_cores_apart(threading.current_thread) is threading.current_thread()
    assert in_another_thread(torch.get_num_threads) == CORES


def test_with_gathered_cores_one_thread_computes_all_jobs() -> None:
    gather_cores()
    computing = on_all_cores(threading.current_thread)
    assert computing is not threading.current_thread()
    assert in_another_thread(lambda: on_all_cores(threading.current_thread)) is computing
    assert on_all_cores(torch.get_num_threads) == CORES


def test_every_other_thread_computes_with_one_core() -> None:
    gather_cores()
    assert torch.get_num_threads() == in_another_thread(torch.get_num_threads) == 1


def test_a_nested_job_does_not_deadlock() -> None:
    gather_cores()
    assert on_all_cores(lambda: on_all_cores(lambda: 7)) == 7


def test_an_error_reaches_the_caller_and_the_next_job_runs() -> None:
    gather_cores()
    with pytest.raises(ZeroDivisionError):
        on_all_cores(lambda: 1 // 0)
    assert on_all_cores(lambda: 7) == 7


def test_a_long_job_has_all_cores_while_other_jobs_run() -> None:
    gather_cores()
    assert on_all_cores_apart(lambda: in_another_thread(lambda: on_all_cores(lambda: 7))) == 7
    assert on_all_cores_apart(torch.get_num_threads) == CORES
    assert in_another_thread(torch.get_num_threads) == 1


def test_releasing_the_cores_restores_the_thread_count() -> None:
    gather_cores()
    gather_cores()
    release_cores()
    assert torch.get_num_threads() == in_another_thread(torch.get_num_threads) == CORES
    assert on_all_cores(threading.current_thread) is threading.current_thread()
