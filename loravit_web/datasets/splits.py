"""Stratified, seeded choice of examples: pure functions on labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Indices: TypeAlias = NDArray[np.int64]
"""Int64 indices (N,)."""


def strata(label_sets: Iterable[Sequence[int]]) -> list[int]:
    """Return a stratum for each example: its rarest label, or -1 if it has none.

    With one label per example it is that label. With several, rare labels are the ones to spread evenly
    (Sechidis, Tsoumakas and Vlahavas 2011, "On the stratification of multi-label data").

    Args:
        label_sets: Class indices of each example.
    """
    sets = list(label_sets)
    counts = Counter(label for labels in sets for label in labels)
    return [min(labels, key=lambda label: (counts[label], label), default=-1) for labels in sets]


def stratified_split(labels: Sequence[int], fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Hold out about a fraction of every class.

    A class with two or more examples has at least one on both sides; a single example stays in train.

    Args:
        labels: Class indices or strata (N,).
        fraction: Fraction to hold out, above 0 and below 1.
        seed: Seed of the random choice.

    Returns:
        Train and held-out indices into ``labels``, each ascending, which together are all indices.

    Raises:
        ValueError: If the fraction is out of range.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be above 0 and below 1, not {fraction}")
    array = np.asarray(labels, dtype=np.int64)
    generator = np.random.default_rng(seed)
    held = np.zeros(array.shape, dtype=bool)
    for members in _by_class(array):
        count = int(len(members) * fraction + 0.5)
        count = min(max(count, 1), len(members) - 1)
        held[generator.permutation(members)[:count]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def stratified_subset(labels: Sequence[int], n: int, seed: int) -> Indices:
    """Choose about ``n`` examples in the proportions of the classes.

    Every class keeps at least min(2, available) examples, so the result may be longer than ``n``. If ``n`` is
    not smaller than the number of examples, all of them are chosen.

    Args:
        labels: Class indices or strata (N,).
        n: Number of examples.
        seed: Seed of the random choice.

    Returns:
        Ascending indices into ``labels``.

    Raises:
        ValueError: If ``n`` is negative.
    """
    if n < 0:
        raise ValueError(f"n must be 0 or more, not {n}")
    array = np.asarray(labels, dtype=np.int64)
    if n >= len(array):
        return np.arange(len(array), dtype=np.int64)
    groups = _by_class(array)
    generator = np.random.default_rng(seed)
    quotas = _quotas(np.array([len(members) for members in groups], dtype=np.int64), n)
    chosen = [
        generator.permutation(members)[:quota] for members, quota in zip(groups, quotas.tolist(), strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def _by_class(labels: Indices) -> list[Indices]:
    order = np.argsort(labels, kind="stable").astype(np.int64)
    borders = np.flatnonzero(np.diff(labels[order])) + 1
    return [group for group in np.split(order, borders) if len(group)]


def _quotas(counts: Indices, n: int) -> Indices:
    """Divide ``n`` among the classes by largest remainder, between min(2, count) and count."""
    fair = counts * (n / counts.sum())
    least = np.minimum(counts, 2)
    quotas: Indices = np.clip(np.floor(fair).astype(np.int64), least, counts)
    while quotas.sum() < n:
        quotas[np.argmax(np.where(quotas < counts, fair - quotas, -np.inf))] += 1
    while quotas.sum() > n and (quotas > least).any():
        quotas[np.argmax(np.where(quotas > least, quotas - fair, -np.inf))] -= 1
    return quotas
