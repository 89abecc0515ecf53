"""Engines of a CPU: the same blocks in PyTorch, ONNX Runtime and OpenVINO, each alone in its process.

Then new images with one and three tasks, by the app's engine with its weights as loaded and in the layout
that it chooses, in turn in one process.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import torch

from benchmarks.machine.engine_kinds import ADAPTED, ENGINES, Kind, Shape
from benchmarks.support.adapters import random_adapter
from benchmarks.support.forks import ROOT
from benchmarks.support.homes import embedded_base
from benchmarks.support.report import Figure, at_least, at_most, save, show, spread
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.adapters.adapter import reference_image
from loravit_web.adapters.files.bundle import read_bundle_file
from loravit_web.adapters.files.format import from_files
from loravit_web.backbones import Base, NothingRemembered
from loravit_web.catalog.bundled import bundles
from loravit_web.engine.measure import ComputeMode, remembered_mode

BATCHES, SIDES = (1, 2, 4, 8, 32), (70, 98, 112, 224)
TASKS = (1, 3)
FASTER = 1.4
"""How much faster one new image has to be answered."""
STORED = 5e-3
"""How far a logit may be from the stored one, as when an adapter is loaded."""


def run(arguments: list[str]) -> int:
    """``python -m benchmarks cpu-engines [--dtype NAME] [--threads N] [--rounds N] [--engines NAME ...]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cpu-engines")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), action="append")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--engines", nargs="*", default=list(ENGINES), help="none: the app's engine only")
    parser.add_argument("--batches", nargs="*", type=int, default=BATCHES)
    parser.add_argument("--sides", nargs="*", type=int, default=SIDES)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    shapes = [
        Shape(kind, batch, side)
        for kind, batch, side in itertools.product(get_args(Kind), options.batches, options.sides)
    ]
    milliseconds = {name: _alone(name, shapes, options.threads) for name in _installed(options.engines)}
    figures = [*_engine_figures(milliseconds), *_answer_figures(options)]
    title = f"engines of a CPU, {options.threads} threads, {ADAPTED} adapted blocks of rank 8"
    save(options.json, title, figures, milliseconds=milliseconds)
    return show(title, figures)


def _installed(engines: Sequence[str]) -> Iterator[str]:
    for name in engines:
        if importlib.util.find_spec(name.split()[0]) is None:
            print(f"{name} is left out: {name.split()[0]} is not installed.", file=sys.stderr)
        else:
            yield name


def _alone(engine: str, shapes: Sequence[Shape], threads: int) -> list[dict[str, Any]]:
    print(engine, file=sys.stderr)
    words = [engine, str(threads), json.dumps([asdict(shape) for shape in shapes])]
    command = [sys.executable, "-m", "benchmarks.machine.engine_kinds", *words]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def _engine_figures(milliseconds: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Figure]:
    for name, rows in milliseconds.items():
        lowest = min(row["cosine"] for row in rows if "cosine" in row)
        yield Figure(f"{name}: lowest cosine to float32", f"{lowest:.5f}")
    for rows in zip(*milliseconds.values(), strict=True):
        shape = f"{rows[0]['kind']}, {rows[0]['batch']} x {rows[0]['side']} px"
        for name, row in zip(milliseconds, rows, strict=True):
            yield Figure(f"{shape}, {name}", f"{row['ms']:.1f} ms")


def _answer_figures(options: argparse.Namespace) -> Iterator[Figure]:
    base = embedded_base()
    for name in options.dtype or ("float32", "bfloat16"):
        dtype: torch.dtype = getattr(torch, name)
        mode = remembered_mode(base, dtype, NothingRemembered())
        before = replace(mode, layout="loaded")
        yield Figure(f"{name}: as the app computes", str(mode))
        yield from _stored_logits(base, dtype, mode)
        for side, tasks in itertools.product(options.sides, TASKS):
            ratios, now = _ratios(base, dtype, (before, mode), side, tasks, options.rounds)
            note = f"now {1000 * statistics.median(now):.1f} ms; {spread(ratios)}"
            what = f"{name}: one new image of {side} px, {tasks} tasks, as loaded / now"
            yield at_least(what, statistics.median(ratios), FASTER, "x", note)


def _ratios(
    base: Base, dtype: torch.dtype, modes: Sequence[ComputeMode], side: int, tasks: int, rounds: int
) -> tuple[list[float], list[float]]:
    """Ratios of the first mode to the second by round, and the seconds of the second."""
    names = [f"task-{number}" for number in range(tasks)]
    config = ViTAdapterConfig(r=8, blocks=ADAPTED)
    engines = [mode.engine(base, dtype) for mode in modes]
    for number, name in enumerate(names):
        adapter = random_adapter(base, config, number, image_size=side)
        for engine in engines:
            engine.add(name, adapter)
    generator = torch.Generator().manual_seed(0)
    seconds: list[list[float]] = [[], []]
    for lap in range(rounds + 2):
        image = torch.randn(1, 3, side, side, generator=generator)
        for number in (0, 1) if lap % 2 else (1, 0):
            started = time.perf_counter()
            engines[number].forward(image, [names])
            if lap > 1:
                seconds[number].append(time.perf_counter() - started)
    return [a / b for a, b in zip(*seconds, strict=True)], seconds[1]


def _stored_logits(base: Base, dtype: torch.dtype, mode: ComputeMode) -> Iterator[Figure]:
    """How far the bundled adapters' logits of their reference image are from those in their files."""
    adapters = {slug: from_files(read_bundle_file(path).files, base) for slug, path in bundles().items()}
    for layout in dict.fromkeys(("loaded", mode.layout)):
        engine = replace(mode, layout=layout).engine(base, dtype)
        differences = []
        for slug, adapter in adapters.items():
            engine.add(slug, adapter)
            found = engine.forward(reference_image(adapter.preprocessing), [[slug]])[0][slug]
            largest = max(1.0, float(found.abs().max()))
            differences.append(float((found - adapter.reference_logits).abs().max()) / largest)
        name = f"{str(dtype).removeprefix('torch.')}: stored logits, {layout}"
        if dtype == torch.float32:
            yield at_most(name, max(differences), STORED)
        else:
            yield Figure(name, f"{max(differences):.2g}")
