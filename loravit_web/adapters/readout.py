"""Readout: which tokens of which blocks a head reads, beside the pooled features of the last block.

Heads that read several blocks follow Head2Toe (Evci et al. 2022, arXiv 2201.03529) and the linear evaluation
of DINOv2 (Oquab et al. 2023, arXiv 2304.07193).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from loravit_web.backbones.base import Base, Part
from loravit_web.errors import LoraVitError

NONE = "none"
"""Text of an empty readout."""
_ENTRY = re.compile(r"(?:(cls|mean)@)?(\d{1,3})(?:-(\d{1,3}))?")
_PARTS: tuple[Part, ...] = ("cls", "mean")


class ReadoutError(LoraVitError):
    """A readout that cannot be understood, or that the base does not have."""


@dataclass(frozen=True, order=True)
class Tap:
    """One part of the tokens after one block.

    Attributes:
        block: Number of blocks before it, from 1.
        part: Class token (``cls``), or mean of the patch tokens (``mean``).
    """

    block: int
    part: Part

    def __str__(self) -> str:
        return f"{self.part}@{self.block}"


Readout = tuple[Tap, ...]
"""Taps in ascending order, each once."""


def parse_readout(entries: Iterable[str]) -> Readout:
    """Return the readout of entries such as ``3-8``, ``cls@12`` or ``mean@6-8``.

    Without a part, an entry stands for both.

    Args:
        entries: Entries; a block or a range of blocks each.

    Raises:
        ReadoutError: If an entry is not of this form.
    """
    taps: set[Tap] = set()
    for entry in entries:
        found = _ENTRY.fullmatch(entry.strip())
        first, last = (int(found[2]), int(found[3] or found[2])) if found else (0, 0)
        if found is None or not 1 <= first <= last:
            raise ReadoutError(
                f"{entry[:40]!r} is not a readout. Name blocks such as 3-8, cls@12 or mean@6-8."
            )
        parts = [part for part in _PARTS if found[1] in (None, part)]
        taps |= {Tap(block, part) for block in range(first, last + 1) for part in parts}
    return tuple(sorted(taps))


def readout_text(readout: Readout) -> str:
    """Return the shortest entries of a readout, separated by commas, or ``none``."""
    blocks: dict[int, frozenset[Part]] = {
        tap.block: frozenset(t.part for t in readout if t.block == tap.block) for tap in readout
    }
    ranges: list[tuple[frozenset[Part], int, int]] = []
    for block, parts in sorted(blocks.items()):
        if ranges and ranges[-1][0] == parts and ranges[-1][2] == block - 1:
            ranges[-1] = (parts, ranges[-1][1], block)
        else:
            ranges.append((parts, block, block))
    return ",".join(_entry(*one) for one in ranges) or NONE


def _entry(parts: frozenset[Part], first: int, last: int) -> str:
    prefix = "" if len(parts) == len(_PARTS) else f"{next(iter(parts))}@"
    return f"{prefix}{first}" + (f"-{last}" if last > first else "")


def fitting(readout: Readout, base: Base) -> Readout:
    """Return the taps of a readout that a base has.

    A base without a class token has the means only.

    Raises:
        ReadoutError: If the readout names a block beyond the last one.
    """
    beyond = [tap for tap in readout if tap.block > base.depth]
    if beyond:
        raise ReadoutError(
            f"The readout names block {beyond[0].block}, but the base has {base.depth} blocks. Choose 1 to "
            f"{base.depth}."
        )
    return tuple(tap for tap in readout if tap.part in base.parts)


def last_block(readout: Readout) -> int:
    """Return the number of the deepest block that a readout reads, or 0."""
    return max((tap.block for tap in readout), default=0)


def read(readout: Readout, base: Base, pooled: torch.Tensor) -> torch.Tensor:
    """Return the float32 values (B, T * D) of the T taps of a readout.

    Args:
        readout: Taps that the base has.
        base: Base that ran.
        pooled: Float32 `Base.parts` (B, L, P, D) after each of the first L blocks.
    """
    columns = [pooled[:, tap.block - 1, base.parts.index(tap.part)] for tap in readout]
    return torch.cat(columns, dim=-1) if columns else pooled.new_empty(len(pooled), 0)
