"""Stratified, seeded choices of examples: pure functions on labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Indices: TypeAlias = NDArray[np.int64]


def stratified_split(labels: Sequence[int], fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Hold out about `fraction` of every class.

    Returns (train, held-out) indices into `labels`, each ascending, together a partition. A class
    with two or more examples has at least one on both sides; a single example stays in train.
    Raises ValueError unless 0 < fraction < 1.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, not {fraction}")
    array = np.asarray(labels, dtype=np.int64)
    generator = np.random.default_rng(seed)
    held = np.zeros(array.shape, dtype=bool)
    for members in _by_class(array):
        count = int(len(members) * fraction + 0.5)
        count = min(max(count, 1), len(members) - 1)
        held[generator.permutation(members)[:count]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def stratified_subset(labels: Sequence[int], n: int, seed: int) -> Indices:
    """Choose about `n` examples with the class proportions kept; ascending indices into `labels`.

    Every class keeps at least min(2, available) examples, so the result is longer than `n` when
    `n` is too small for that; it is all of them when `n` is not smaller than the whole.
    Raises ValueError for a negative `n`.
    """
    if n < 0:
        raise ValueError(f"n must not be negative, and {n} is")
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
    """Split `n` over the classes by largest remainder, between min(2, count) and count."""
    fair = counts * (n / counts.sum())
    least = np.minimum(counts, 2)
    quotas: Indices = np.clip(np.floor(fair).astype(np.int64), least, counts)
    while quotas.sum() < n:
        quotas[np.argmax(np.where(quotas < counts, fair - quotas, -np.inf))] += 1
    while quotas.sum() > n and (quotas > least).any():
        quotas[np.argmax(np.where(quotas > least, quotas - fair, -np.inf))] -= 1
    return quotas
