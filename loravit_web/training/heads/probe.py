"""Probe: a head in closed form on pooled tokens of the frozen base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from loravit_web.adapters.readout import Readout, Tap, read
from loravit_web.backbones.base import Base
from loravit_web.datasets import strata, stratified_subset
from loravit_web.training.heads.closed_form import ClosedForm, fit_closed_form
from loravit_web.training.objective import objective_of

MOST_COMPARED = 800
"""Number of images on which readouts and strengths are compared, since that takes cubic time."""
MOST_FITTED = 3000
"""Number of images that a head is fitted on, for the same reason."""
PROBE_SPREAD = 0.1
"""Spread of the probe's temperature, which is calibrated on its leave-one-out predictions already.

The likeliest temperature of 60 validation images only made that worse: the calibration error of ten tasks was
0.070 with it, 0.058 with this spread, and would be 0.057 if every probability were right.
"""
_READ_AT_ONCE = 1000


@dataclass(frozen=True, eq=False)
class Probe:
    """A head in closed form, and what it reads.

    Attributes:
        readout: What it reads.
        head: The head.
        rows: Indices (M,) of the images that the head was fitted on.
    """

    readout: Readout
    head: ClosedForm
    rows: torch.Tensor

    def logits(self, base: Base, pooled: torch.Tensor) -> torch.Tensor:
        """Return calibrated float32 logits (N, C) of pooled values (N, L, P, D)."""
        parts = torch.split(pooled, _READ_AT_ONCE)  # of a large dataset they are mapped from a file
        return torch.cat([self.head.logits(read(self.readout, base, part)) for part in parts])

    def left_out(self, base: Base, *pooled: torch.Tensor) -> torch.Tensor:
        """Return calibrated float32 logits (N, C) for each image by a head that was fitted without it.

        Of a large dataset, most images are outside the subset that the head was fitted on, so that its own
        logits are the ones.

        Args:
            base: Base that computed the pooled values.
            pooled: Pooled values (N, L, P, D) of all images that the fit chose from, in one or more parts.
        """
        if sum(map(len, pooled)) == len(self.rows):
            return self.head.left_out
        logits = torch.cat([self.logits(base, part) for part in pooled])
        logits[self.rows] = self.head.left_out
        return logits


@dataclass(frozen=True)
class LeaveOneOut:
    """Leave-one-out validation of a probe: each image is predicted by a probe that was fitted without it.

    Attributes:
        correct: Number of images that were predicted correctly.
        images: Number of images.
    """

    correct: int
    images: int


def candidate_readouts(base: Base) -> tuple[Readout, ...]:
    """Return the readouts that are compared for a task: the last half of the blocks, most, or all of them.

    None of them is the best for every task; see ``python -m benchmarks tasks``.
    """
    firsts = sorted({1, 1 + base.depth // 6, 1 + base.depth // 2})
    return tuple(blocks_readout(base, first, base.depth) for first in firsts)


def trunk_readout(base: Base, first_block: int) -> Readout:
    """Return what the closed-form part of an adapter's head reads: most blocks of the trunk.

    It costs an answer nothing, because the engine caches the pooled tokens of the trunk.

    Args:
        base: Base of the adapter.
        first_block: Index of the first adapted block.

    Returns:
        The readout; empty if the trunk is too short.
    """
    return blocks_readout(base, 1 + base.depth // 6, first_block)


def blocks_readout(base: Base, first: int, last: int) -> Readout:
    """Return the readout of all parts after blocks ``first`` to ``last``, counted from 1."""
    return tuple(Tap(block, part) for block in range(first, last + 1) for part in sorted(base.parts))


def fit_probe(
    base: Base,
    pooled: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    readouts: Sequence[Readout],
    *,
    seed: int,
) -> Probe:
    """Fit a probe; readout and strength are chosen by the leave-one-out loss.

    Args:
        base: Base that computed the pooled values.
        pooled: Float32 `Base.parts` (N, L, P, D) of the images.
        labels: Class indices (N,), or a matrix (N, C) of 0 and 1 for several labels per image.
        classes: Number of classes C.
        readouts: Readouts to choose from.
        seed: Seed of the subsets of large datasets.
    """
    compared = subset(labels, MOST_COMPARED, seed)
    probes = [
        Probe(
            readout,
            fit_closed_form(read(readout, base, pooled[compared]), labels[compared], classes),
            compared,
        )
        for readout in readouts
    ]
    best = min(probes, key=lambda probe: probe.head.loss)
    return best if len(compared) == len(labels) else refit_probe(best, base, [pooled], labels, seed=seed)


def refit_probe(
    probe: Probe, base: Base, pooled: Sequence[torch.Tensor], labels: torch.Tensor, *, seed: int
) -> Probe:
    """Return a probe with the same readout and strength, fitted on other images.

    Args:
        probe: The probe.
        base: Base that computed the pooled values.
        pooled: Float32 `Base.parts` (N, L, P, D) of all images, in one or more parts.
        labels: Class indices (N,), or a matrix (N, C) of 0 and 1 for several labels per image.
        seed: Seed of the subset of a large dataset.
    """
    rows = subset(labels, MOST_FITTED, seed)
    features = read(probe.readout, base, _rows_of(pooled, rows))
    classes = len(probe.head.bias)
    head = fit_closed_form(features, labels[rows], classes, (probe.head.strength,))
    return Probe(probe.readout, head, rows)


def _rows_of(parts: Sequence[torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
    """Return some rows, in ascending order, of tensors that follow each other, without joining these."""
    chosen, start = [], 0
    for part in parts:
        chosen.append(part[rows[(rows >= start) & (rows < start + len(part))] - start])
        start += len(part)
    return torch.cat(chosen)


def subset(labels: torch.Tensor, most: int, seed: int) -> torch.Tensor:
    """Return the ascending indices of a stratified subset, or of all images if there are few."""
    if len(labels) <= most:
        return torch.arange(len(labels))
    return torch.from_numpy(stratified_subset(strata(objective_of(labels).label_sets(labels)), most, seed))
