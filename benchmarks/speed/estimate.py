"""What a training was said to take before it started, beside what it took."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.support.homes import with_bases
from benchmarks.support.report import Figure, show
from loravit_web.service import Service
from loravit_web.settings.environment import read_settings
from loravit_web.training.estimate import Estimate
from loravit_web.training.recipe import preset_recipe

TOLERANCE = 0.30


def run(arguments: list[str]) -> int:
    """``python -m benchmarks estimate DATA... [--preset quick]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks estimate")
    parser.add_argument("data", nargs="+", help="anything that `train` takes, such as sample:digits")
    parser.add_argument("--preset", default="quick")
    options = parser.parse_args(arguments)
    figures = []
    for data in options.data:
        with tempfile.TemporaryDirectory() as home:
            said = _estimate(data, options.preset, Path(home))
            seconds, memory = _training(data, options.preset, home)
        name = Path(data).name
        figures.append(_beside(f"{name}: seconds", said.seconds, seconds))
        figures.append(_beside(f"{name}: memory, MB", said.memory / 1e6, memory / 1e6))
    return show(f"estimate before / measured after, preset {options.preset}, all epochs", figures)


def _estimate(data: str, preset: str, home: Path) -> Estimate:
    service = Service(replace(read_settings(os.environ), home=with_bases(home)))
    try:
        return service.estimates.of(service.datasets.import_source(data), preset_recipe(preset))
    finally:
        service.close()


def _training(data: str, preset: str, home: str) -> tuple[float, int]:
    """Seconds of the run, and the most memory that its process held, in bytes."""
    words = ["train", data, "--name", "estimated", "--preset", preset, "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "loravit_web", *words],
        env={**os.environ, "LORAVIT_HOME": home},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    document = json.loads(process.stdout.read())
    _pid, _status, usage = os.wait4(process.pid, 0)
    return document["seconds"], usage.ru_maxrss * 1024


def _beside(name: str, said: float, measured: float) -> Figure:
    return Figure(
        name,
        f"{said:.0f} / {measured:.0f}",
        f"within {TOLERANCE:.0%}",
        abs(said - measured) <= TOLERANCE * measured,
    )
