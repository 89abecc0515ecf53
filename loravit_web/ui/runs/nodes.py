"""Nodes that train runs, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loravit_web.runs.next_steps import title_and_owner
from loravit_web.ui.language.texts import _, ngettext
from loravit_web.util.text import duration, listed
from registry import Node

MOST_RUNS = 3
"""Maximum number of runs that are named beside a node."""


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
    parts = [ngettext("{busy} of {n} slot in use", "{busy} of {n} slots in use", node.slots, busy=node.busy)]
    if node.runs:
        parts.append(_("trains {runs}", runs=listed([title_and_owner(run) for run in node.runs], MOST_RUNS)))
    if node.is_silent:
        parts.append(_("silent for {time}", time=duration(node.silent.total_seconds())))
    return NodeLine(node.name, ", ".join(parts), node.is_silent)


def summary(nodes: Sequence[Node]) -> str:
    """Return how many nodes and slots there are, without silent nodes."""
    alive = [node for node in nodes if not node.is_silent]
    if not alive:
        return _("No node trains runs. Start one with python -m loravit_web worker --slots N.")
    busy, slots = sum(node.busy for node in alive), sum(node.slots for node in alive)
    return ngettext(
        "{n} node, {busy} of its {slots} slots in use.",
        "{n} nodes, {busy} of their {slots} slots in use.",
        len(alive),
        busy=busy,
        slots=slots,
    )
