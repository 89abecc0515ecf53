"""In an app one thread computes with all cores, and every other one with its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import torch

from loravit_web.util.cores import beside_the_others, gather_cores, on_all_cores, release_cores

T = TypeVar("T")
CORES = 3


@pytest.fixture(autouse=True)
def cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(CORES)
    yield
    release_cores()
    torch.set_num_threads(before)


def elsewhere(job: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(job).result()


def test_as_long_as_no_cores_are_gathered_whoever_asks_computes() -> None:
    assert on_all_cores(threading.current_thread) is threading.current_thread()
    assert beside_the_others(threading.current_thread) is threading.current_thread()
    assert elsewhere(torch.get_num_threads) == CORES


def test_all_is_computed_in_one_thread_with_all_cores_whoever_asks() -> None:
    gather_cores()
    computing = on_all_cores(threading.current_thread)
    assert computing is not threading.current_thread()
    assert elsewhere(lambda: on_all_cores(threading.current_thread)) is computing
    assert on_all_cores(torch.get_num_threads) == CORES


def test_every_other_thread_computes_with_one_core() -> None:
    gather_cores()
    assert torch.get_num_threads() == elsewhere(torch.get_num_threads) == 1


def test_what_a_job_asks_for_in_turn_is_not_waited_for_in_vain() -> None:
    gather_cores()
    assert on_all_cores(lambda: on_all_cores(lambda: 7)) == 7


def test_an_error_reaches_who_asked_and_the_next_job_is_done() -> None:
    gather_cores()
    with pytest.raises(ZeroDivisionError):
        on_all_cores(lambda: 1 // 0)
    assert on_all_cores(lambda: 7) == 7


def test_what_takes_long_has_all_cores_while_others_are_answered() -> None:
    gather_cores()
    assert beside_the_others(lambda: elsewhere(lambda: on_all_cores(lambda: 7))) == 7
    assert beside_the_others(torch.get_num_threads) == CORES
    assert elsewhere(torch.get_num_threads) == 1


def test_cores_that_are_released_are_as_before() -> None:
    gather_cores()
    gather_cores()
    release_cores()
    assert torch.get_num_threads() == elsewhere(torch.get_num_threads) == CORES
    assert on_all_cores(threading.current_thread) is threading.current_thread()
