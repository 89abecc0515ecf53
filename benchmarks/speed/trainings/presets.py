"""How long a preset trains, beside another checkout's: real commands, in turn, on the same images."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.browser import ROOT
from benchmarks.support.homes import with_bases
from benchmarks.support.report import Figure, at_most, show

ZIPS = ("cifar10.zip", "dogs-cats.zip", "groceries.zip", "magnetic-tiles.zip")
TRAIN_IMAGES, TEST_IMAGES = 300, 200
TARGETS = {"draft": 0.8, "quick": 0.7}
"""Highest ratio of the durations for the presets of version 0.2.0 and today."""
_WARM_UP = ("--preset", "draft", "--epochs", "1", "--min-steps", "0")


@dataclass(frozen=True)
class Result:
    """What one training gave.

    Attributes:
        seconds: Duration that its run recorded, from the images to the published version.
        accuracy: Accuracy on the test images, or on the validation images without any.
    """

    seconds: float
    accuracy: float


def run(arguments: list[str]) -> int:
    """``python -m benchmarks presets --data FOLDER --beside CHECKOUT``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks presets", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help=f"folder with {', '.join(ZIPS)}")
    parser.add_argument("--beside", type=Path, required=True, help="checkout of another version")
    parser.add_argument("--preset", choices=sorted(TARGETS), default="quick")
    parser.add_argument("--rounds", type=int, default=2, help="pairs of trainings of each zip")
    options = parser.parse_args(arguments)
    checkouts = (ROOT, options.beside.resolve())
    ratios, figures = [], []
    with tempfile.TemporaryDirectory() as folder:
        homes = {checkout: with_bases(Path(folder) / f"home-{n}") for n, checkout in enumerate(checkouts)}
        for name in ZIPS:
            data = Path(folder) / name
            write_part(options.data / name, data)
            for checkout in checkouts:
                _train(checkout, homes[checkout], data, _WARM_UP, seed=0)
            results: dict[Path, list[Result]] = {checkout: [] for checkout in checkouts}
            for seed in range(options.rounds):
                for checkout in checkouts if seed % 2 else checkouts[::-1]:
                    words = ("--preset", options.preset)
                    results[checkout].append(_train(checkout, homes[checkout], data, words, seed=seed))
            here, there = (results[checkout] for checkout in checkouts)
            ratios += [a.seconds / b.seconds for a, b in zip(here, there, strict=True)]
            figures.append(Figure(f"{data.stem}: time here / there", *_compared(here, there)))
    mean = statistics.geometric_mean(ratios)
    extremes = f"single pairs {min(ratios):.2f} to {max(ratios):.2f}"
    figures.append(at_most("mean of all pairs", mean, TARGETS[options.preset], "x", extremes))
    return show(f"{options.preset} on {TRAIN_IMAGES} images beside {options.beside.name}", figures)


def write_part(source: Path, target: Path) -> None:
    """Write a zip with the first images of each class of a zip, up to `TRAIN_IMAGES` and `TEST_IMAGES`."""
    by_folder: dict[str, list[str]] = defaultdict(list)
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as part:
        for name in sorted(name for name in archive.namelist() if not name.endswith("/")):
            by_folder[name.rpartition("/")[0]].append(name)
        for is_test, most in ((False, TRAIN_IMAGES), (True, TEST_IMAGES)):
            folders = [names for f, names in by_folder.items() if f.startswith("test/") == is_test]
            for names in folders:
                for name in names[: most // len(folders)]:
                    part.writestr(name, archive.read(name))


def _train(checkout: Path, home: Path, data: Path, words: Sequence[str], *, seed: int) -> Result:
    command = [sys.executable, "-m", "loravit_web", "train", str(data), "--name", data.stem, *words]
    result = subprocess.run(
        [*command, "--seed", str(seed), "--json"],
        cwd=checkout,
        env={**os.environ, "LORAVIT_HOME": str(home), "PYTHONPATH": str(checkout)},
        stdout=subprocess.PIPE,
        check=True,
    )
    document = json.loads(result.stdout)
    metrics = document["metrics"]
    return Result(document["seconds"], metrics.get("test_accuracy") or metrics["val_accuracy"])


def _compared(here: Sequence[Result], there: Sequence[Result]) -> tuple[str, str, bool | None, str]:
    """Return value, target, whether it is met and note of a figure."""
    ratio = statistics.geometric_mean(a.seconds / b.seconds for a, b in zip(here, there, strict=True))
    ours, theirs = (
        f"{statistics.median(r.seconds for r in results):.1f} s, accuracy"
        f" {statistics.mean(r.accuracy for r in results):.3f}"
        for results in (here, there)
    )
    return f"{ratio:.2f}x", "", None, f"{ours} here; {theirs} there"
