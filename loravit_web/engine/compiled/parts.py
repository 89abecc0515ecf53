"""Parts of a forward pass that OpenVINO has compiled, up to a budget. PyTorch computes all others."""

from __future__ import annotations

import functools
import importlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from loravit_web.adapters.adapter import Adapter, reference_image
from loravit_web.backbones.base import Base, TrunkOutput
from loravit_web.engine.compiled.graph import graph_of, has_graph
from loravit_web.util.cores import on_all_cores_apart
from loravit_web.util.heap import trim

COMPILED_BUDGET = 384 << 20
"""Maximum size of the weights of all compiled parts of a base in bytes."""
_IDLE_SECONDS = 60.0
"""Time without use after which a part may be evicted for another one.

Many adapters in turn would otherwise be compiled again for each answer.
"""
_TOLERANCES = {torch.float32: 1e-4}
_OTHER_TOLERANCE = 3e-2
"""Difference of a compiled part's tokens to those of PyTorch, relative to the largest value."""
_HINTS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
TrunkRun = Callable[[torch.Tensor], TrunkOutput]
"""Runs frozen blocks on tokens (B, N, D)."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """Blocks that are compiled together, for one shape of their input.

    Attributes:
        adapter: Adapter that is merged into the blocks, or None for frozen blocks.
        start: Index of the first block.
        stop: Index after the last block.
        rows: Number of images B.
        side: Side of an image in pixels.
    """

    adapter: Adapter | None
    start: int
    stop: int
    rows: int
    side: int


class PartRun:
    """A compiled part. Thread-safe; one call computes at a time, on all cores.

    Args:
        blocks: Float32 blocks.
        shape: Shape (B, N, D) of the tokens.
        dtype: Precision that runs.
        first_only: Whether only the first token is needed after the last block.
    """

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        shape: Sequence[int],
        dtype: torch.dtype,
        *,
        first_only: bool,
    ) -> None:
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _HINTS[dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        graph = graph_of(blocks, shape, first_only=first_only)
        self._request = _core().compile_model(graph, "CPU", settings).create_infer_request()
        self._lock = threading.Lock()

    def __call__(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """Return the float32 tokens (B, N, D) after each block, of which OpenVINO computes no more digits.

        Args:
            tokens: Tokens (B, N, D) before the first block.
        """
        given = tokens.detach().float().contiguous().numpy()
        with self._lock:
            found = self._request.infer([given], share_inputs=True)
            return [torch.from_numpy(found[place]) for place in range(len(found))]


@dataclass
class _Ready:
    run: PartRun
    nbytes: int
    used_at: float


Wins = Callable[[int, int], bool]
"""Returns whether OpenVINO is faster than PyTorch for a number of images and their side in pixels."""

RunLater = Callable[[Callable[[], None]], object]
"""Runs a job in the background."""


class CompiledParts:
    """Compiled parts of one base. Thread-safe.

    A part is compiled when it is asked for a second time, because a command that answers a single image has
    no use for it. One thread compiles in the background, so no answer waits.

    Args:
        base: Base that runs, with which results are compared.
        master: The same base in float32, from which parts are compiled.
        wins: Measures at its first call for a shape; see `Wins`. Called in the background.
        budget: Maximum size of the weights of all parts in bytes.
        run_later: Runs a job in the background; None for a thread of its own.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        base: Base,
        master: Base,
        wins: Wins,
        *,
        budget: int = COMPILED_BUDGET,
        run_later: RunLater | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        self._base, self._master, self._wins, self._clock = base, master, wins, clock
        self._run_later = run_later or ThreadPoolExecutor(1, "compile").submit
        self._ready: dict[Part, _Ready] = {}
        self._cuts: dict[tuple[int, int], set[int]] = {}
        self._asked: set[Part] = set()
        self._ordered: set[Part] = set()
        self._refused: set[Part] = set()
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Size of the weights of all parts in bytes."""
        with self._lock:
            return sum(ready.nbytes for ready in self._ready.values())

    @property
    def waiting(self) -> int:
        """Number of parts that are being compiled or wait for it."""
        return len(self._ordered)

    def __len__(self) -> int:
        return len(self._ready)

    def trunk(self, rows: int, side: int, start: int, stop: int) -> TrunkRun | None:
        """Return what runs frozen blocks ``start`` to ``stop - 1`` as `Base.trunk` does, or None.

        Args:
            rows: Number of images.
            side: Side of an image in pixels.
            start: Index of the first block.
            stop: Index after the last block, above ``start``.
        """
        runs = self._trunk_runs(rows, side, start, stop)

        def compute(tokens: torch.Tensor) -> TrunkOutput:
            after: list[torch.Tensor] = []
            for run in runs:
                after += run(after[-1] if after else tokens)
            # block by block: torch would wake all cores for all of them at once, which takes 1 ms
            pooled = torch.stack([self._base.pool(each) for each in after], dim=1)
            return TrunkOutput(after[-1].to(self._base.dtype), pooled)

        return compute if runs else None

    def branch(self, adapter: Adapter, rows: int, side: int) -> PartRun | None:
        """Return what runs an adapter's blocks, the last result being what its head reads; or None.

        Args:
            adapter: Adapter. One that changes no block has no branch.
            rows: Number of images.
            side: Side of an image in pixels.
        """
        if not adapter.change.tensors or adapter.reads_own_blocks:  # its head needs more than the last tokens
            return None
        return self._run(Part(adapter, adapter.first_block, self._master.depth, rows, side))

    def drop(self, adapter: Adapter) -> None:
        """Remove the parts of an adapter."""
        with self._lock:
            for parts in (self._asked, self._ordered, self._refused):
                parts -= {part for part in parts if part.adapter is adapter}
            for part in [part for part in self._ready if part.adapter is adapter]:
                del self._ready[part]

    def _trunk_runs(self, rows: int, side: int, start: int, stop: int) -> list[PartRun]:
        """Return what runs some frozen blocks one after the other, or nothing if any is missing.

        The trunk is cut where tasks branch off, so that tasks with other first blocks share its parts.
        """
        with self._lock:
            cuts = self._cuts.setdefault((rows, side), set())
            cuts |= {start, stop}
            ends = [start, *sorted(cut for cut in cuts if start < cut <= stop)]
            whole = Part(None, start, stop, rows, side) in self._ready
        steps = [(start, stop)] if whole else list(pairwise(ends))
        runs = [self._run(Part(None, first, last, rows, side)) for first, last in steps]
        found = [run for run in runs if run is not None]
        return found if len(found) == len(runs) else []

    def _run(self, part: Part) -> PartRun | None:
        with self._lock:
            ready = self._ready.get(part)
            if ready is not None:
                ready.used_at = self._clock()
                return ready.run
            if part not in self._asked:
                self._asked.add(part)
                return None
            if part in self._ordered or part in self._refused or not self._has_room(part):
                return None
            self._ordered.add(part)
        self._run_later(lambda: self._compile(part))
        return None

    def _compile(self, part: Part) -> None:
        """Compile a part if it is faster and right; runs in the background."""
        ready: _Ready | None = None
        try:
            if self._wins(part.rows, part.side):
                run = on_all_cores_apart(lambda: self._checked(part))
                ready = None if run is None else _Ready(run, self._nbytes(part), self._clock())
        except (ImportError, RuntimeError) as error:
            _LOG.warning("OpenVINO cannot compile %s (%s). PyTorch computes it.", _name(part), error)
        with self._lock:
            if part not in self._ordered:  # dropped meanwhile
                return
            self._ordered.discard(part)
            if ready is None:
                self._refused.add(part)
            elif self._make_room(ready.nbytes):
                self._ready[part] = ready
            is_last = not self._ordered
        if is_last:
            trim()  # compiling takes three times the weights for a moment

    @torch.inference_mode()
    def _checked(self, part: Part) -> PartRun | None:
        """Return a compiled part, or None if it has no graph or another result than PyTorch."""
        adapter, blocks = part.adapter, self._master.blocks[part.start : part.stop]
        if adapter is not None:
            blocks = list(adapter.merged_blocks(self._master, self._master))
        if not has_graph(self._master, blocks):
            return None
        first_only = adapter is not None and adapter.config.poolings(self._master) - {"none"} == {"cls"}
        tokens = self._trial_tokens(part)
        run = PartRun(blocks, tokens.shape, self._base.dtype, first_only=first_only)
        expected = self._master.run_blocks(blocks, tokens.float(), part.start)
        found = run(tokens)[-1].float()
        expected = expected[:, : found.shape[1]]
        tolerance = _TOLERANCES.get(self._base.dtype, _OTHER_TOLERANCE) * float(expected.abs().max())
        difference = float((found - expected).abs().max())
        if difference <= tolerance:
            return run
        _LOG.warning(
            "OpenVINO computes %s with a difference of %.2g. PyTorch computes it.", _name(part), difference
        )
        return None

    def _trial_tokens(self, part: Part) -> torch.Tensor:
        """Return tokens (B, N, D) of the reference image before a part."""
        image = reference_image(self._base.preprocessing(part.side)).expand(part.rows, -1, -1, -1)
        return self._base.advance(self._base.embed(image), 0, part.start)

    def _has_room(self, part: Part) -> bool:
        """Return whether a part fits, after evicting idle ones if needed. The caller holds the lock."""
        return self._freed(self._nbytes(part)) is not None

    def _make_room(self, nbytes: int) -> bool:
        idle = self._freed(nbytes)
        for part in idle or ():
            del self._ready[part]
        return idle is not None

    def _freed(self, nbytes: int) -> list[Part] | None:
        """Return the idle parts to evict for a new one, the longest unused first; None if it does not fit."""
        missing = sum(ready.nbytes for ready in self._ready.values()) + nbytes - self.budget
        evicted: list[Part] = []
        now = self._clock()
        for part, ready in sorted(self._ready.items(), key=lambda item: item[1].used_at):
            if missing <= 0 or now - ready.used_at < _IDLE_SECONDS:
                break
            evicted.append(part)
            missing -= ready.nbytes
        return evicted if missing <= 0 else None

    def _nbytes(self, part: Part) -> int:
        blocks = self._master.blocks[part.start : part.stop]
        # those of a branch are kept twice: as OpenVINO lays them out, and merged in float32
        size = self._base.dtype.itemsize + (0 if part.adapter is None else self._master.dtype.itemsize)
        return size * sum(p.numel() for block in blocks for p in block.parameters())


@functools.cache
def _core() -> Any:
    """Return OpenVINO's devices; importing the package takes 0.1 to 0.2 s."""
    openvino: Any = importlib.import_module("openvino")
    return openvino.Core()


def _name(part: Part) -> str:
    kind = "the trunk" if part.adapter is None else "a branch"
    return f"blocks {part.start + 1} to {part.stop} of {kind} for {part.rows} x {part.side} px"
