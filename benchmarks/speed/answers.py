"""How fast answers come: two tasks against one plain forward, and the first answer after a start."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from gradio_client import Client, handle_file
from PIL import Image

from benchmarks.support.adapters import random_adapter
from benchmarks.support.homes import embedded_base, with_bases
from benchmarks.support.report import Figure, at_most, show
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.backbones import Base, fastest_dtype
from loravit_web.engine import fastest_engine

IMAGE_SIZE = 224
ROUNDS = 30
ROOT = Path(__file__).resolve().parents[2]


def run(arguments: list[str]) -> int:
    """``python -m benchmarks answers``."""
    argparse.ArgumentParser(prog="python -m benchmarks answers", description=__doc__).parse_args(arguments)
    base = embedded_base()
    dtype = fastest_dtype(base)
    plain, two = _two_tasks(base, dtype)
    ratio = statistics.median(b / a for a, b in zip(plain, two, strict=True))
    start = _first_answer()
    config = ViTAdapterConfig()
    bound = (base.depth + config.blocks) / base.depth
    figures = [
        Figure("precision chosen", str(dtype).removeprefix("torch.")),
        Figure("plain forward, median", f"{1000 * statistics.median(plain):.1f} ms"),
        Figure("two tasks on a new image, median", f"{1000 * statistics.median(two):.1f} ms"),
        at_most(f"two tasks / plain forward (bound {bound:.2f})", ratio, 1.5, "x"),
        at_most("start of the app to the first answer", start, 10, " s"),
    ]
    adapters = f"r = {config.r} on {', '.join(config.target_modules)} of the last {config.blocks} blocks"
    return show(f"answers at {IMAGE_SIZE} px, {adapters}", figures)


def _two_tasks(base: Base, dtype: torch.dtype) -> tuple[list[float], list[float]]:
    """Seconds of a plain forward and of two answers, in turn, each on an image never seen before."""
    engine = fastest_engine(base, dtype)
    for name, seed in (("a", 1), ("b", 2)):
        engine.add(name, random_adapter(base, ViTAdapterConfig(), seed))
    running = base.cast(dtype)
    generator = torch.Generator().manual_seed(0)
    plain, two = [], []
    for lap in range(ROUNDS + 3):
        image = torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=generator)
        started = time.perf_counter()
        with torch.inference_mode():
            running.features(running.advance(running.embed(image), 0, base.depth), "cls")
        between = time.perf_counter()
        engine.forward(image, [["a", "b"]])
        ended = time.perf_counter()
        if lap >= 3:
            plain.append(between - started)
            two.append(ended - between)
    return plain, two


def _first_answer() -> float:
    """Seconds from starting ``python app.py`` to the first answer over HTTP, weights cached."""
    with tempfile.TemporaryDirectory() as home:
        with_bases(Path(home))
        environment = {**os.environ, "LORAVIT_HOME": home}
        words = ["train", "sample:digits", "--name", "digits", "--image-size", "56", "--blocks", "1"]
        subprocess.run(
            [sys.executable, "-m", "loravit_web", *words, "--epochs", "1", "--no-mirror"],
            env=environment,
            check=True,
            capture_output=True,
        )
        image = Path(home) / "image.png"
        Image.new("RGB", (320, 240), "white").save(image)
        started = time.perf_counter()
        app = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            assert app.stdout is not None
            url = app.stdout.readline().split()[-1]
            client = Client(url, verbose=False)
            answer = client.predict(image=handle_file(str(image)), tasks=["digits"], api_name="/classify")
            seconds = time.perf_counter() - started
            assert answer["results"][0]["error"] is None, answer
        finally:
            app.terminate()
            app.wait()
    return seconds
