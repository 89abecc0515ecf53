"""Nodes are told in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from loravit_web.ui.runs.markup import nodes_line
from loravit_web.ui.runs.nodes import node_line, summary
from registry import Node
from tests.runs.test_next_steps import MOMENT, run

FORGE = Node("n1", "forge", 2, MOMENT, MOMENT, timedelta(seconds=3), 1, (run("running", created_by="bob"),))
ATTIC = Node("n2", "attic", 1, MOMENT, MOMENT, timedelta(minutes=5), 0, ())


def test_a_node_is_told_with_its_slots_and_what_it_trains() -> None:
    assert node_line(FORGE).state == "1 of 2 slots in use, trains “Cups” by bob"
    assert not node_line(FORGE).is_silent


def test_a_silent_node_is_told_as_silent_and_not_counted() -> None:
    assert node_line(ATTIC).state == "0 of 1 slot in use, silent for 5 min"
    assert node_line(ATTIC).is_silent
    assert summary([FORGE, ATTIC]) == "1 node, 1 of its 2 slots in use."
    assert summary([ATTIC]).startswith("No node trains runs.")


def test_runs_that_the_reader_does_not_see_are_only_counted() -> None:
    assert node_line(replace(FORGE, runs=())).state == "1 of 2 slots in use"


def test_the_nodes_are_folded_to_one_line_with_escaped_names() -> None:
    html = nodes_line([replace(FORGE, name="<img src=x>"), ATTIC])
    assert "1 node, 1 of its 2 slots in use. Silent: 1." in html
    assert "<img" not in html
    assert html.count("<li") == 2
    assert html.count("lv-silent") == 1
