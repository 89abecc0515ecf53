"""Nodes report themselves, and are listed with what they train."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from registry import NewRun, Registry


def test_a_node_is_listed_with_its_slots_and_its_silence_until_it_leaves(
    registry: Registry, clock: Any
) -> None:
    clock.step = timedelta(0)
    registry.nodes.report("n1", "forge", 2)
    clock.now += timedelta(seconds=40)
    registry.nodes.report("n2", "attic", 1)
    attic, forge = registry.nodes.list()
    assert (attic.name, attic.slots, attic.silent) == ("attic", 1, timedelta(0))
    assert (forge.name, forge.slots, forge.silent) == ("forge", 2, timedelta(seconds=40))
    registry.nodes.report("n1", "forge", 3)
    (_, again) = registry.nodes.list()
    assert (again.slots, again.silent, again.started_at) == (3, timedelta(0), forge.started_at)
    registry.nodes.leave("n1")
    assert [node.name for node in registry.nodes.list()] == ["attic"]


def test_a_node_that_was_killed_is_forgotten_after_a_day(registry: Registry, clock: Any) -> None:
    registry.nodes.report("n1", "forge", 2)
    clock.now += timedelta(hours=23)
    assert len(registry.nodes.list()) == 1
    clock.now += timedelta(hours=2)
    assert registry.nodes.list() == []
    registry.nodes.leave("another")
    clock.now -= timedelta(hours=2)
    assert registry.nodes.list() == []


def test_a_node_is_listed_with_the_runs_of_its_workers(
    registry: Registry, new_run: Callable[..., NewRun]
) -> None:
    registry.nodes.report("n1", "forge", 2)
    run = registry.runs.create(new_run())
    registry.runs.create(new_run())
    claimed = registry.runs.claim("w", node="n1")
    assert claimed is not None
    (node,) = registry.nodes.list()
    assert (node.busy, [one.id for one in node.runs]) == (1, [run.id])
    registry.runs.finish(claimed.lease, "completed")
    (node,) = registry.nodes.list()
    assert (node.busy, node.runs) == (0, ())
