"""Many clients at once over HTTP: how fast against the engine alone, and whether each gets its own answer."""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from PIL import Image

from benchmarks.browser import running_app
from benchmarks.homes import embedded_base, home_of_tasks, open_registry
from benchmarks.http import Asker, Refused
from benchmarks.report import Figure, at_least, at_most, save, show
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.adapters.format import from_files
from loravit_web.backbones import Base, fastest_dtype
from loravit_web.engine import fastest_engine
from loravit_web.images import load_rgb
from loravit_web.service import Service
from loravit_web.settings import Settings
from registry import Registry

TASKS, SIDE = 8, 224
CONFIG = ViTAdapterConfig(blocks=4, r=8)
SAME = 0.02
"""Largest difference of a score between an answer in a batch and one alone: both round."""
CHECKED = 5
"""Answers of each client that are computed again."""


@dataclass
class Heard:
    """What one client heard."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    answers: list[tuple[int, dict[str, float]]] = field(default_factory=list)


def run(arguments: list[str]) -> int:
    """``python -m benchmarks clients [--clients N] [--seconds S] [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks clients")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long all of them ask")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    base = embedded_base()
    with home_of_tasks(base, TASKS, CONFIG, image_size=SIDE) as home:
        with open_registry(home) as registry:
            rate = _engine_rate(registry, base)
        with running_app(home) as url:
            alone = _together(url, 1, min(20.0, options.seconds))
            heard = _together(url, options.clients, options.seconds)
        strange = _strange(home, heard)
        figures = _figures(options.seconds, rate, alone[0], heard, strange)
    title = f"{options.clients} clients, {TASKS} tasks at {SIDE} px, k = {CONFIG.blocks}, r = {CONFIG.r}"
    save(options.json, title, figures)
    return show(title, figures)


def _engine_rate(registry: Registry, base: Base) -> float:
    """Pictures a second of the engine itself, in mixed batches of new pictures over all tasks."""
    engine = fastest_engine(base, fastest_dtype(base))
    names = [f"task-{number}" for number in range(TASKS)]
    for name in names:
        engine.add(name, from_files(registry.catalog.read_files(registry.catalog.resolve(name)), base))
    generator = torch.Generator().manual_seed(0)
    rates = []
    for _ in range(6):
        images = torch.randn(32, 3, SIDE, SIDE, generator=generator)
        started = time.perf_counter()
        engine.forward(images, [[names[row % TASKS]] for row in range(len(images))])
        rates.append(len(images) / (time.perf_counter() - started))
    return statistics.median(rates[1:])


def _picture(seed: int) -> bytes:
    """A JPEG of 640 x 480 that nobody has asked about before: patches of random colours."""
    pixels = np.random.default_rng(seed).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((640, 480)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _together(url: str, clients: int, seconds: float) -> list[Heard]:
    """What each client hears while all ask, each its own task, a new picture every time."""
    heard = [Heard() for _ in range(clients)]
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        asker, seed = Asker(url), 1_000_000 * clients + 10_000 * number
        try:
            while time.perf_counter() < end:
                seed += 1
                picture = _picture(seed)
                started = time.perf_counter()
                answer = asker.classify(asker.upload("picture.jpg", picture), [_task(number)])
                heard[number].seconds.append(time.perf_counter() - started)
                heard[number].answers.append((seed, _scores(answer)))
        except (Refused, httpx.HTTPError) as error:
            heard[number].errors.append(repr(error))
        finally:
            asker.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return heard


def _task(number: int) -> str:
    return f"task-{number % TASKS}"


def _scores(answer: Mapping[str, Any]) -> dict[str, float]:
    (result,) = answer["results"]
    if result["error"] is not None:
        raise Refused(result["error"])
    return {one["label"]: one["score"] for one in result["labels"]}


def _strange(home: Path, heard: Sequence[Heard]) -> tuple[int, int]:
    """How many answers are not what the task says to the picture alone, and how many were checked."""
    service = Service(Settings(home=home, bundled=False))
    wrong = checked = 0
    try:
        for number, one in enumerate(heard):
            for seed, scores in one.answers[:: max(1, len(one.answers) // CHECKED)]:
                image = load_rgb(io.BytesIO(_picture(seed)))
                (result,) = service.predictor.classify(image, [_task(number)]).results
                right = {label.label: label.score for label in result.labels}
                checked += 1
                wrong += not _alike(scores, right)
    finally:
        service.close()
    return wrong, checked


def _alike(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one.keys() == other.keys() and all(abs(one[label] - other[label]) <= SAME for label in one)


def _figures(
    seconds: float, rate: float, alone: Heard, heard: Sequence[Heard], strange: tuple[int, int]
) -> list[Figure]:
    waits = sorted(second for one in heard for second in one.seconds)
    errors = [error for one in (alone, *heard) for error in one.errors]
    for error in errors[:5]:
        print(f"error: {error}", file=sys.stderr)
    return [
        Figure("engine alone, mixed batches of 32", f"{rate:.1f}/s"),
        Figure("answered over HTTP", f"{len(waits) / seconds:.1f}/s", note=f"{len(waits)} answers"),
        at_least("HTTP / engine alone", len(waits) / seconds / rate, 0.75, "x"),
        Figure("one client alone, median", f"{1000 * statistics.median(alone.seconds):.0f} ms"),
        Figure("all clients, median", f"{1000 * statistics.median(waits):.0f} ms"),
        Figure("all clients, 95 of 100 within", f"{1000 * waits[int(0.95 * len(waits))]:.0f} ms"),
        at_most("errors", len(errors), 0),
        at_most("answers that were another's", strange[0], 0, note=f"{strange[1]} checked"),
    ]
