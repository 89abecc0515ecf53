"""Train the quick preset on a real zip with the shell, in an empty data folder."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

from benchmarks.support.report import Figure, at_least, at_most, show


def run(arguments: list[str]) -> int:
    """``python -m benchmarks main-job ZIP``; the zip needs ``train/`` and ``test/``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks main-job")
    parser.add_argument("data", help="zip with train/ and test/, such as cifar10.zip")
    parser.add_argument("--seed", type=int, default=0, help="of the training (default: 0)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home:
        started = time.perf_counter()
        command = [sys.executable, "-m", "loravit_web", "train", options.data, "--name", "objects"]
        result = subprocess.run(
            [*command, "--preset", "quick", "--seed", str(options.seed), "--json"],
            env={**os.environ, "LORAVIT_HOME": home},
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds = time.perf_counter() - started
    document = json.loads(result.stdout)
    metrics = document["metrics"]
    gain = 100 * (metrics["test_accuracy"] - metrics["linear_probe_test_accuracy"])
    figures = [
        at_most("whole command, base fetched and data imported", seconds, 600, " s"),
        Figure("training alone", f"{document['seconds']:.0f} s"),
        at_least("test accuracy", metrics["test_accuracy"], 0.80),
        Figure("probe on the same test images", f"{metrics['linear_probe_test_accuracy']:.3f}"),
        at_least("points above the probe", gain, 8),
    ]
    status = show(f"quick preset on {options.data}", figures)
    print(f"\n{document['note']}")
    return status
