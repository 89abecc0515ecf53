"""Nodes that train runs, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loravit_web.runs.next_steps import title_and_owner
from loravit_web.util.text import duration, listed, plural
from registry import Node

NONE_LISTED = "No node trains runs. Start one with python -m loravit_web worker --slots N."


@dataclass(frozen=True)
class NodeLine:
    """A node in words.

    Attributes:
        name: Name of its machine.
        state: Its slots, what it trains, and since when it is silent.
        is_silent: Whether it stopped reporting.
    """

    name: str
    state: str
    is_silent: bool


def node_line(node: Node) -> NodeLine:
    """Return a node in words. Runs that the reader does not see are only counted."""
    parts = [f"{node.busy} of {plural(node.slots, 'slot')} in use"]
    if node.runs:
        parts.append(f"trains {listed([title_and_owner(run) for run in node.runs], 3)}")
    if node.is_silent:
        parts.append(f"silent for {duration(node.silent.total_seconds())}")
    return NodeLine(node.name, ", ".join(parts), node.is_silent)


def summary(nodes: Sequence[Node]) -> str:
    """Return how many nodes and slots there are, without silent nodes."""
    alive = [node for node in nodes if not node.is_silent]
    if not alive:
        return NONE_LISTED
    busy, slots = sum(node.busy for node in alive), sum(node.slots for node in alive)
    return f"{plural(len(alive), 'node')}, {busy} of {plural(slots, 'slot')} in use."
