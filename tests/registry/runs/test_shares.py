"""Members take turns in the queue."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from registry import NewRun, Registry
from registry.runs.shares import Standing, Waiting, fair_order

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def waiting(*members: str) -> list[Waiting]:
    """Runs that were queued one after the other."""
    return [Waiting(f"{n:04d}", member, at(n)) for n, member in enumerate(members)]


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def members(queue: list[Waiting], **standings: Standing) -> str:
    return "".join(run.member for run in fair_order(queue, standings))


def test_the_runs_of_one_member_keep_their_order() -> None:
    queue = waiting("a", "a", "a")
    assert list(fair_order(queue[::-1], {})) == queue


def test_members_take_turns_whoever_queued_more() -> None:
    assert members(waiting(*"aaaab")) == "abaaa"
    assert members(waiting(*"aaabbb")) == "ababab"


def test_a_member_with_fewer_running_runs_is_next() -> None:
    assert members(waiting(*"aab"), a=Standing(2, at(-5)), b=Standing(0, at(-1))) == "baa"


def test_a_new_member_waits_behind_one_who_has_waited_longer_since_the_last_turn() -> None:
    queue = [Waiting("1", "old", at(0)), Waiting("2", "new", at(9))]
    assert members(queue, old=Standing(0, at(5))) == "oldnew"
    assert members(queue, old=Standing(0, at(10))) == "newold"


@given(st.lists(st.sampled_from("abcd"), max_size=40))
def test_nobody_waits_for_more_than_one_run_of_each_other_member_per_own_run(names: list[str]) -> None:
    order = members(waiting(*names))
    assert sorted(order) == sorted(names)
    for member in set(names):
        before = 0
        for place, other in enumerate(order):
            if other != member:
                continue
            before += 1
            for rival in set(names) - {member}:
                assert order[:place].count(rival) <= before


def test_the_queue_of_the_registry_is_claimed_in_the_order_that_it_shows(
    registry: Registry, new_run: Callable[..., NewRun]
) -> None:
    for actor in ("ann", "ann", "ann", "bob"):
        registry.runs.create(new_run(), actor=actor)
    shown = registry.runs.queue()
    assert [registry.runs.get(run_id).created_by for run_id in shown] == ["ann", "bob", "ann", "ann"]
    assert [registry.runs.queue_position(run_id) for run_id in shown] == [1, 2, 3, 4]
    claimed = []
    while (run := registry.runs.claim("w")) is not None:
        claimed.append(run.id)
        registry.runs.finish(run.lease, "completed")
    assert tuple(claimed) == shown
