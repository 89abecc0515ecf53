"""Units of work: one task for one image. A thread computes any number of them together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
from torch import nn

from loravit_web.adapters.adapter import Adapter
from loravit_web.backbones.base import Base
from loravit_web.engine.compiled import PartRun
from loravit_web.engine.routing import Factors, Segment, routed

_HEAD = 0.1
"""Work of final norm, pooling and head, in blocks."""


class UnitResult(NamedTuple):
    """Result of a unit.

    Attributes:
        logits: Logits (C,).
        seconds: Compute time in seconds.
        novelty: How unlike the training images the image is, above 1 for an unlike one; None if unknown.
    """

    logits: torch.Tensor
    seconds: float
    novelty: float | None


@dataclass(frozen=True, eq=False)
class Branch:
    """How one task is computed in one call.

    Attributes:
        key: Key of the task.
        adapter: Adapter of the task.
        blocks: Blocks from the adapter's first one on, or None if it is computed in a mixed batch.
        factors: Low-rank factors for the mixed batch; empty if there are ``blocks``.
        compiled: Runs the blocks for all units of the branch together, instead of ``blocks``; or None.
    """

    key: str
    adapter: Adapter
    blocks: Sequence[nn.Module] | None
    factors: Factors
    compiled: PartRun | None = None

    @property
    def first_block(self) -> int:
        """Index of the first block that differs from the base."""
        return self.adapter.first_block


@dataclass(frozen=True, eq=False)
class Unit:
    """One branch for one image.

    Attributes:
        branch: Branch to compute.
        row: Index of the image.
        tokens: Tokens (N, D) before the branch's first block; shared with other units, never changed.
        pooled: Float32 `Base.parts` (L, P, D) of the blocks below; shared too.
    """

    branch: Branch
    row: int
    tokens: torch.Tensor
    pooled: torch.Tensor


def work_of(unit: Unit, base: Base) -> float:
    """Return the work of a unit, in blocks."""
    return unit.branch.adapter.config.last_block(base) - unit.branch.first_block + _HEAD


def compute_units(base: Base, shared: Sequence[nn.Module], units: Sequence[Unit]) -> list[UnitResult]:
    """Compute units in this thread.

    Branches with blocks of their own are computed one by one, all others in one mixed batch.

    Args:
        base: Base that runs.
        shared: All blocks of the base, in the form for mixed batches.
        units: Units to compute; those of a branch are adjacent.

    Returns:
        Logits and compute time of each unit, in the order of the units.
    """
    answers: dict[Unit, UnitResult] = {}
    mixed: list[Unit] = []
    with torch.inference_mode():
        for branch, group in groupby(units, key=lambda unit: unit.branch):
            if branch.blocks is None:
                mixed += group
            else:
                answers |= _on_own_blocks(base, branch, branch.blocks, list(group))
        if mixed:
            answers |= _in_one_batch(base, shared, mixed)
    return [answers[unit] for unit in units]


def _on_own_blocks(
    base: Base, branch: Branch, blocks: Sequence[nn.Module], units: Sequence[Unit]
) -> Mapping[Unit, UnitResult]:
    started = time.perf_counter()
    adapter = branch.adapter
    tokens = torch.stack([unit.tokens for unit in units])
    pooled = _pooled(units)
    if branch.compiled is not None:
        logits = adapter.head_of(base, branch.compiled(tokens)[-1].to(base.dtype), pooled)
    else:
        blocks = base.fastest_blocks(adapter.config.poolings(base), blocks)
        logits = adapter.logits(base, blocks, tokens, pooled)
    novelties = _novelties(base, adapter, pooled)
    spent = (time.perf_counter() - started) / len(units)
    return {
        unit: UnitResult(row, spent, novelty)
        for unit, row, novelty in zip(units, logits, novelties, strict=True)
    }


def _in_one_batch(
    base: Base, shared: Sequence[nn.Module], units: Sequence[Unit]
) -> Mapping[Unit, UnitResult]:
    """Compute one mixed batch that each unit joins at its branch's first block."""
    started = time.perf_counter()
    units = sorted(units, key=lambda unit: unit.branch.first_block)
    waves = [(start, list(wave)) for start, wave in groupby(units, key=lambda unit: unit.branch.first_block)]
    shared = base.fastest_blocks(
        {pooling for unit in units for pooling in unit.branch.adapter.config.poolings(base)}, shared
    )
    stops = [*(start for start, _wave in waves[1:]), base.depth]
    tokens = units[0].tokens[None][:0]
    segments: list[Segment] = []
    branches: list[Branch] = []
    parts: list[torch.Tensor] | None = (
        [] if any(unit.branch.adapter.reads_own_blocks for unit in units) else None
    )
    for (start, wave), stop in zip(waves, stops, strict=True):
        for branch, group in groupby(wave, key=lambda unit: unit.branch):
            row = segments[-1].stop if segments else 0
            segments.append(Segment(row, row + len(list(group)), branch.factors))
            branches.append(branch)
        tokens = torch.cat([tokens, *(unit.tokens[None] for unit in wave)])
        with routed(segments):
            tokens = base.run_blocks(shared[start:stop], tokens, start, pooled=parts)
    logits: list[torch.Tensor] = []
    novelties: list[float | None] = []
    for branch, segment in zip(branches, segments, strict=True):
        rows = slice(segment.start, segment.stop)
        pooled = _pooled(units[rows])
        novelties += _novelties(base, branch.adapter, pooled)
        logits += _head(base, branch, rows, pooled, tokens, parts)
    seconds_per_block = (time.perf_counter() - started) / sum(work_of(unit, base) for unit in units)
    return {
        unit: UnitResult(row, seconds_per_block * work_of(unit, base), novelty)
        for unit, row, novelty in zip(units, logits, novelties, strict=True)
    }


def _head(
    base: Base,
    branch: Branch,
    rows: slice,
    pooled: torch.Tensor,
    tokens: torch.Tensor,
    parts: Sequence[torch.Tensor] | None,
) -> torch.Tensor:
    """Return the logits (B, C) of the B rows of one branch in a mixed batch.

    Args:
        base: Base that ran.
        branch: The branch.
        rows: Its rows.
        pooled: Pooled values (B, L, P, D) of the trunk for these rows.
        tokens: Tokens of all rows after the last block.
        parts: Pooled values after each block that was run, if a branch reads them. Rows that joined later
            are missing at the end of earlier ones.
    """
    if branch.adapter.reads_own_blocks and parts:
        own = [part[rows] for part in parts[branch.first_block - base.depth :]]
        pooled = torch.cat([pooled, torch.stack(own, dim=1)], dim=1)
    return branch.adapter.head_of(base, tokens[rows], pooled)


def _novelties(base: Base, adapter: Adapter, pooled: torch.Tensor) -> list[float | None]:
    """Return the novelty of each of B images with pooled values (B, L, P, D) of the trunk."""
    if adapter.novelty is None:
        return [None] * len(pooled)
    return [float(ratio) for ratio in adapter.novelty.ratio(base, pooled)]


def _pooled(units: Sequence[Unit]) -> torch.Tensor:
    """Return the pooled values (B, L, P, D) of B units of one branch."""
    return torch.stack([unit.pooled for unit in units])
