"""The whole journey of a new user in Chromium, on real photographs."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.support.browser import chromium, drop, pick, running_app, train_in_page
from benchmarks.support.report import Figure, at_most, show

EXPECTED = {"tabby": "cat", "airliner": "airplane"}


def run(arguments: list[str]) -> int:
    """``python -m benchmarks journey ZIP PHOTOS``: CIFAR-10 as a zip, a folder with the photographs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks journey")
    parser.add_argument("data", type=Path)
    parser.add_argument("photos", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        _second_task(home)
        with running_app(home) as url, chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(url)
            started = time.perf_counter()
            print(train_in_page(page, options.data, "Everyday objects", seconds=900))
            seconds = time.perf_counter() - started
            pick(page, "Everyday objects", "Digits")
            figures = [at_most("zip dropped to adapter published", seconds, 600, " s")]
            for photo, label in EXPECTED.items():
                objects, digits = drop(page, options.photos / f"{photo}.jpg")
                said, score = objects.split("\n")[2:4]
                figures.append(Figure(f"{photo}.jpg", f"{said} {score}", label, said == label))
                assert "digits@1" in digits
    return show("in Chromium: zip, training, two photographs, two tasks side by side", figures)


def _second_task(home: Path) -> None:
    """Train the sample of handwritten digits with the shell."""
    words = ["train", "sample:digits", "--name", "digits", "--image-size", "56", "--no-mirror"]
    subprocess.run(
        [sys.executable, "-m", "loravit_web", *words, "--epochs", "2"],
        env={**os.environ, "LORAVIT_HOME": str(home)},
        check=True,
    )
