"""Many clients at once over HTTP: how fast against the engine alone, and whether each gets its own answer."""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from PIL import Image

from benchmarks.speed.beside import beside
from benchmarks.support.browser import running_app
from benchmarks.support.homes import embedded_base, home_of_tasks, open_registry
from benchmarks.support.http import Asker, Refused
from benchmarks.support.report import Figure, at_least, at_most, save, show
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.adapters.files.format import from_files
from loravit_web.backbones import Base, fastest_dtype
from loravit_web.engine import MultiLoRAViT, fastest_engine
from loravit_web.images.loading import load_rgb
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from registry import Registry

TASKS, SIDE = 8, 224
CONFIG = ViTAdapterConfig(blocks=4, r=8)
SAME = 0.02
"""Largest difference of a score between an answer in a batch and one alone: both round."""
CHECKED = 5
"""Answers of each client that are computed again."""
ROUNDS = 3
"""In each the engine alone and then the clients, for the machine may be another one a minute later."""
_BATCHES = 5
_START_SECONDS = 5.0
_FIRST = 1000
"""Between the first images of two rounds."""


@dataclass
class Heard:
    """What one client heard.

    Attributes:
        seconds: that it waited for each answer.
        moments: when each came, in seconds since the clients began.
    """

    seconds: list[float] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    answers: list[tuple[int, dict[str, float]]] = field(default_factory=list)


@dataclass(frozen=True)
class Round:
    """The engine's rate and what the clients heard in the seconds after it.

    Attributes:
        rate: images a second of the engine itself.
        seconds: in which all clients asked.
    """

    rate: float
    seconds: float
    heard: list[Heard]

    @property
    def answered(self) -> float:
        """Answers a second while all of them ask: neither those of the start nor those that came later."""
        start = min(_START_SECONDS, self.seconds / 2)
        moments = [moment for one in self.heard for moment in one.moments]
        return sum(start <= moment <= self.seconds for moment in moments) / (self.seconds - start)


def run(arguments: list[str]) -> int:
    """``python -m benchmarks clients [--clients N] [--seconds S] [--beside CHECKOUT] [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks clients")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=105.0, help="how long all of them ask, in all")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--beside", type=Path, help="a checkout of another version, asked in turn with this one"
    )
    options = parser.parse_args(arguments)
    if options.beside is not None:
        figures = beside(
            options.beside,
            tasks=TASKS,
            config=CONFIG,
            image_size=SIDE,
            clients=options.clients,
            seconds=options.seconds,
        )
        title = f"{options.clients} clients, {TASKS} tasks at {SIDE} px, two versions in turn"
        save(options.json, title, figures)
        return show(title, figures)
    base = embedded_base()
    with home_of_tasks(base, TASKS, CONFIG, image_size=SIDE) as home:
        with open_registry(home) as registry:
            engine = _engine(registry, base)
        with running_app(home) as url:
            (alone,) = _together(url, 1, min(20.0, options.seconds), first=0)
            rounds, seconds = [], options.seconds / ROUNDS
            for number in range(ROUNDS):
                rate = _engine_rate(engine, seed=number)
                heard = _together(url, options.clients, seconds, first=_FIRST * (number + 1))
                rounds.append(Round(rate, seconds, heard))
        strange = _strange(home, rounds)
        figures = _figures(rounds, alone, strange)
    title = f"{options.clients} clients, {TASKS} tasks at {SIDE} px, k = {CONFIG.blocks}, r = {CONFIG.r}"
    save(options.json, title, figures)
    return show(title, figures)


def _engine(registry: Registry, base: Base) -> MultiLoRAViT:
    """The engine as the app has it, with all tasks."""
    engine = fastest_engine(base, fastest_dtype(base))
    for name in map(_task, range(TASKS)):
        engine.add(name, from_files(registry.catalog.read_files(registry.catalog.resolve(name)), base))
    return engine


def _engine_rate(engine: MultiLoRAViT, *, seed: int) -> float:
    """Images a second of the engine itself, in mixed batches of new images over all tasks."""
    generator = torch.Generator().manual_seed(seed)
    rates = []
    for _ in range(_BATCHES):
        images = torch.randn(32, 3, SIDE, SIDE, generator=generator)
        started = time.perf_counter()
        engine.forward(images, [[_task(row)] for row in range(len(images))])
        rates.append(len(images) / (time.perf_counter() - started))
    return statistics.median(rates[1:])


def _image(seed: int) -> bytes:
    """A JPEG of 640 x 480 that nobody has asked about before: patches of random colours."""
    pixels = np.random.default_rng(seed).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((640, 480)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _together(url: str, clients: int, seconds: float, *, first: int) -> list[Heard]:
    """What each client hears while all ask, each its own task, a new image every time.

    What a client does, here making an image, is not the server's work, but it takes the same cores.

    Args:
        first: number of each client's first image.
    """
    heard = [Heard() for _ in range(clients)]
    began = time.perf_counter()

    def client(number: int) -> None:
        asker, seed = Asker(url), 1_000_000 * clients + 10_000 * number + first
        try:
            while time.perf_counter() < began + seconds:
                seed += 1
                image = _image(seed)
                started = time.perf_counter()
                answer = asker.classify(asker.upload("image.jpg", image), [_task(number)])
                ended = time.perf_counter()
                heard[number].seconds.append(ended - started)
                heard[number].moments.append(ended - began)
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


def _strange(home: Path, rounds: Sequence[Round]) -> tuple[int, int]:
    """How many answers are not what the task says to the image alone, and how many were checked."""
    service = Service(Settings(home=home, bundled=False))
    wrong = checked = 0
    try:
        for number, heard in enumerate(zip(*(one.heard for one in rounds), strict=True)):
            answers = [answer for one in heard for answer in one.answers]
            for seed, scores in answers[:: max(1, len(answers) // CHECKED)]:
                image = load_rgb(io.BytesIO(_image(seed)))
                (result,) = service.predictor.classify(image, [_task(number)]).results
                right = {label.label: label.score for label in result.labels}
                checked += 1
                wrong += not _alike(scores, right)
    finally:
        service.close()
    return wrong, checked


def _alike(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one.keys() == other.keys() and all(abs(one[label] - other[label]) <= SAME for label in one)


def _figures(rounds: Sequence[Round], alone: Heard, strange: tuple[int, int]) -> list[Figure]:
    heard = [one for round_ in rounds for one in round_.heard]
    waits = sorted(second for one in heard for second in one.seconds)
    errors = [error for one in (alone, *heard) for error in one.errors]
    for error in errors[:5]:
        print(f"error: {error}", file=sys.stderr)
    ratios = [round_.answered / round_.rate for round_ in rounds]
    return [
        Figure("engine alone, mixed batches of 32", _each(f"{round_.rate:.1f}/s" for round_ in rounds)),
        Figure(
            "answered over HTTP",
            _each(f"{round_.answered:.1f}/s" for round_ in rounds),
            note=f"{len(waits)} answers",
        ),
        at_least(
            "HTTP / engine alone, median of the rounds",
            statistics.median(ratios),
            0.75,
            "x",
            note=_each(f"{ratio:.2f}x" for ratio in ratios),
        ),
        Figure("one client alone, median", f"{1000 * statistics.median(alone.seconds):.0f} ms"),
        Figure("all clients, median", f"{1000 * statistics.median(waits):.0f} ms"),
        Figure("all clients, 95 of 100 within", f"{1000 * waits[int(0.95 * len(waits))]:.0f} ms"),
        at_most("errors", len(errors), 0),
        at_most("answers that were another's", strange[0], 0, note=f"{strange[1]} checked"),
    ]


def _each(texts: Iterable[str]) -> str:
    return ", ".join(texts)
