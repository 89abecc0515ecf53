"""Properties of stratified choices for any labels."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loravit_web.datasets import stratified_split, stratified_subset

labels_lists = st.lists(st.integers(0, 5), max_size=120)
seeds = st.integers(0, 2**32 - 1)
fractions = st.floats(0.01, 0.99)


@given(labels_lists, fractions, seeds)
@settings(deadline=None)
def test_a_split_is_an_ascending_partition(labels: list[int], fraction: float, seed: int) -> None:
    train, held = stratified_split(labels, fraction, seed)
    assert sorted([*train.tolist(), *held.tolist()]) == list(range(len(labels)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(held) > 0).all()


@given(labels_lists, fractions, seeds)
@settings(deadline=None)
def test_every_class_is_on_both_sides_in_about_its_proportion(
    labels: list[int], fraction: float, seed: int
) -> None:
    train, held = stratified_split(labels, fraction, seed)
    held_counts = Counter(labels[index] for index in held)
    train_counts = Counter(labels[index] for index in train)
    for label, count in Counter(labels).items():
        assert train_counts[label] >= 1
        if count >= 2:
            assert held_counts[label] >= 1
            clipped = min(max(count * fraction, 1), count - 1)
            assert abs(held_counts[label] - clipped) <= 0.5 + 1e-9


@given(labels_lists, st.integers(0, 150), seeds)
@settings(deadline=None)
def test_a_subset_is_ascending_distinct_and_has_the_requested_size(
    labels: list[int], n: int, seed: int
) -> None:
    chosen = stratified_subset(labels, n, seed)
    least = sum(min(2, count) for count in Counter(labels).values())
    assert (np.diff(chosen) > 0).all()
    assert set(chosen.tolist()) <= set(range(len(labels)))
    assert len(chosen) == min(len(labels), max(n, least))


@given(labels_lists, st.integers(0, 150), seeds)
@settings(deadline=None)
def test_a_subset_keeps_two_examples_of_every_class_that_has_them(
    labels: list[int], n: int, seed: int
) -> None:
    counts = Counter(labels[index] for index in stratified_subset(labels, n, seed))
    for label, available in Counter(labels).items():
        assert counts[label] >= min(2, available)


def test_a_subset_keeps_the_proportions() -> None:
    labels = [0] * 600 + [1] * 300 + [2] * 100
    chosen = stratified_subset(labels, 100, seed=3)
    assert Counter(labels[index] for index in chosen) == {0: 60, 1: 30, 2: 10}


def test_the_choice_depends_on_the_seed_only() -> None:
    labels = [0, 1] * 50
    first, again, other = (stratified_split(labels, 0.3, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert stratified_subset(labels, 30, 1).tolist() == stratified_subset(labels, 30, 1).tolist()
    assert stratified_subset(labels, 30, 1).tolist() != stratified_subset(labels, 30, 2).tolist()


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_a_fraction_out_of_range_is_a_value_error(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction must be above 0 and below 1, not"):
        stratified_split([0, 1], fraction, 0)
