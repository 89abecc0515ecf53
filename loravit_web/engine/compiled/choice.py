"""Whether OpenVINO computes few images: what is asked for, what is installed, and what was measured here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import torch

from loravit_web.backbones import Base, Remembers
from loravit_web.backbones.measured import ENGINE_FOR
from loravit_web.engine.compiled.graph import has_graph
from loravit_web.engine.compiled.parts import CompiledParts, PartRun, RunLater
from loravit_web.errors import LoraVitError
from loravit_web.util.cores import on_all_cores_apart

Engine = Literal["auto", "torch", "openvino"]
"""What computes few images: the faster one by measurement, PyTorch, or OpenVINO without a measurement."""
ENGINES = ("openvino", "torch")
"""Possible results of a measurement."""
MOST_ROWS = 4
"""Number of images up to which OpenVINO is measured. PyTorch computes larger batches about as fast."""
_GAIN = 0.9
"""OpenVINO is chosen if it takes less than this fraction of the time of PyTorch."""
_BLOCKS, _ROUNDS = 4, 8


class EngineUnusable(LoraVitError):
    """An engine that is asked for and that is not installed."""


@dataclass(frozen=True)
class OpenVino:
    """How OpenVINO is used.

    Attributes:
        version: Version that is installed.
        remembers: Keeps the measurements of this machine; None to use it without a measurement.
        run_later: Runs a job in the background; None for a thread of each base.
    """

    version: str
    remembers: Remembers | None = None
    run_later: RunLater | None = None

    def parts(self, base: Base, master: Base, layout: str) -> CompiledParts | None:
        """Return the compiled parts of a base, or None for a base or a device that OpenVINO cannot compute.

        Args:
            base: Base that runs.
            master: The same base in float32.
            layout: Layout of the weights of ``base``, which the time of PyTorch depends on.
        """
        if base.device.type != "cpu" or not has_graph(master, master.blocks):
            return None
        dtype = str(base.dtype).removeprefix("torch.")

        def wins(rows: int, side: int) -> bool:
            if rows > MOST_ROWS:
                return False
            if self.remembers is None:
                return True
            shape = f"{rows} x {side} px, {dtype}, {layout}, OpenVINO {self.version}"
            choose = partial(self.remembers.choose, f"{ENGINE_FOR}{shape}", base, ENGINES)
            chosen = on_all_cores_apart(lambda: choose(lambda: measured(base, master, rows, side)))
            return chosen == "openvino"

        return CompiledParts(base, master, wins, run_later=self.run_later)


def openvino_for(asked: Engine, remembers: Remembers, *, installed: str | None) -> OpenVino | None:
    """Return how OpenVINO is used, or None if PyTorch computes everything.

    Args:
        asked: See `Engine`.
        remembers: Keeps the measurements of this machine.
        installed: Version that is installed, or None; see `installed_version`.

    Raises:
        EngineUnusable: If OpenVINO is asked for and not installed.
    """
    if asked == "torch":
        return None
    if installed is not None:
        return OpenVino(installed, remembers if asked == "auto" else None)
    if asked == "auto":
        return None
    raise EngineUnusable(
        "LORAVIT_ENGINE is openvino, but the package openvino is not installed. Install it with "
        'pip install "loravit-web[openvino]", or set LORAVIT_ENGINE to auto or torch.'
    )


def installed_version() -> str | None:
    """Return the version of the package openvino, or None. The package is not imported."""
    try:
        return version("openvino")
    except PackageNotFoundError:
        return None


def measured(
    base: Base, master: Base, rows: int, side: int, *, clock: Callable[[], float] = time.perf_counter
) -> str:
    """Time some images through the first blocks in both engines, and return ``openvino`` or ``torch``.

    Args:
        base: Base that runs.
        master: The same base in float32.
        rows: Number of images.
        side: Side of an image in pixels.
        clock: Returns the time in seconds.
    """
    blocks = master.blocks[:_BLOCKS]
    with torch.inference_mode():
        tokens = base.embed(torch.zeros(rows, 3, side, side))
        run = PartRun(blocks, tokens.shape, base.dtype, first_only=False)
        ways: list[Callable[[], object]] = [
            lambda: run(tokens),
            lambda: base.advance(tokens, 0, len(blocks)),
        ]
        seconds: list[list[float]] = [[] for _ in ways]
        for lap in range(_ROUNDS + 1):
            for way, laps in zip(ways, seconds, strict=True):
                started = clock()
                way()
                if lap > 0:
                    laps.append(clock() - started)
    openvino, pytorch = map(min, seconds)  # others only ever slow a lap down
    return "openvino" if openvino < _GAIN * pytorch else "torch"
