"""Each part is computed exactly once, no lane idles for long, and torch's thread count is restored."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loravit_web.engine.lanes import MAX_LANES, Lanes, assigned, shared_lanes, spread

LANES = Lanes(3)
WORKS = st.lists(st.one_of(st.integers(1, 12).map(float), st.floats(0, 100)), max_size=40)


@given(work=WORKS, lanes=st.integers(2, 4))
def test_every_part_is_assigned_to_one_lane_or_to_the_caller(work: list[float], lanes: int) -> None:
    assignment = assigned(work, lanes)
    assert sorted([*assignment.leftover, *(part for chunk in assignment.chunks for part in chunk)]) == list(
        range(len(work))
    )
    assert len(assignment.chunks) <= lanes
    assert all(assignment.chunks)


@given(work=WORKS, lanes=st.integers(2, 4))
def test_no_lane_exceeds_its_share_by_more_than_one_part(work: list[float], lanes: int) -> None:
    assignment = assigned(work, lanes)
    shared = [part for chunk in assignment.chunks for part in chunk]
    for chunk in assignment.chunks:
        share = sum(work[part] for part in shared) / lanes
        assert sum(work[part] for part in chunk) <= share + max(work[part] for part in shared) + 1e-6


@given(work=WORKS, lanes=st.integers(2, 4))
def test_lanes_get_contiguous_ranges_from_most_work_to_least(work: list[float], lanes: int) -> None:
    shared = [part for chunk in assigned(work, lanes).chunks for part in chunk]
    assert shared == sorted(shared, key=lambda part: (-work[part], part))


@given(count=st.integers(0, 40), lanes=st.integers(2, 4))
def test_equal_parts_are_split_evenly_and_the_caller_gets_the_rest(count: int, lanes: int) -> None:
    assignment = assigned([5.0] * count, lanes)
    assert len(assignment.leftover) == count % lanes
    assert {len(chunk) for chunk in assignment.chunks} <= {count // lanes}


@pytest.mark.parametrize(
    ("work", "chunks", "leftover"),
    [
        ([12, 1, 1, 1, 1], ((1, 2), (3, 4)), (0,)),
        ([1, 12, 6, 6], ((1,), (2, 3)), (0,)),
        ([12, 12, 4], ((0,), (1,)), (2,)),
        ([12, 4, 4, 4], ((0,), (1, 2, 3)), ()),
    ],
    ids=["one large part", "one small part", "one part too many", "one against three"],
)
def test_uneven_parts_are_assigned_so_that_no_lane_idles_for_long(
    work: list[float], chunks: tuple[tuple[int, ...], ...], leftover: tuple[int, ...]
) -> None:
    assignment = assigned(work, 2)
    assert (assignment.chunks, assignment.leftover) == (chunks, leftover)


@given(work=WORKS, lanes=st.sampled_from([LANES, None]))
def test_results_are_in_the_order_of_the_parts(work: list[float], lanes: Lanes | None) -> None:
    found = spread(lanes, work, lambda parts: [(part, work[part]) for part in parts])
    assert found == list(enumerate(work))


def test_the_caller_computes_the_leftover_and_lanes_compute_the_rest() -> None:
    def names(parts: Sequence[int]) -> list[str]:
        return [threading.current_thread().name for _ in parts]

    *lanes, caller = spread(LANES, [1.0] * 7, names)
    assert all(name.startswith("lane") for name in lanes)
    assert caller == threading.current_thread().name


def test_the_first_error_is_raised_after_all_jobs_have_ended() -> None:
    ended: list[int] = []
    release = threading.Event()

    def fail(number: int) -> Callable[[], None]:
        def job() -> None:
            if number == 2:
                release.set()
            else:
                release.wait()
            ended.append(number)
            raise ValueError(f"job {number}")

        return job

    with pytest.raises(ValueError, match="job 0"):
        LANES.run([fail(number) for number in range(3)])
    assert sorted(ended) == [0, 1, 2]
    assert LANES.run([lambda: 1, lambda: 2]) == [1, 2]


def test_concurrent_callers_share_the_lanes_and_get_their_own_results() -> None:
    def run(caller: int) -> list[tuple[int, int]]:
        return spread(LANES, [1.0] * 9, lambda parts: [(caller, part) for part in parts])

    with ThreadPoolExecutor(8) as callers:
        for caller, found in enumerate(callers.map(run, range(50))):
            assert found == [(caller, part) for part in range(9)]


def thread_counts(lanes: Lanes) -> list[int]:
    """Return the number of torch threads in each lane."""
    all_started = threading.Barrier(lanes.count)

    def number() -> int:
        all_started.wait()
        return torch.get_num_threads()

    return lanes.run([number] * lanes.count)


@pytest.mark.parametrize(("threads", "lanes"), [(2, [1, 1]), (3, [1, 1, 1]), (8, [2] * MAX_LANES)])
def test_lanes_divide_the_threads_and_keep_the_callers_count(threads: int, lanes: list[int]) -> None:
    torch.set_num_threads(2)
    started = Lanes(threads)
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == 2
    torch.set_num_threads(3)
    assert thread_counts(started) == lanes


def test_a_process_shares_its_lanes_and_has_none_on_a_gpu_or_with_one_thread() -> None:
    cpu = torch.device("cpu")
    assert shared_lanes(cpu) is None  # torch computes with one thread
    torch.set_num_threads(2)
    lanes = shared_lanes(cpu)
    assert lanes is not None
    assert lanes is shared_lanes(cpu)
    assert lanes.count == 2
    assert shared_lanes(torch.device("cuda")) is None
