"""The adapters that come with the app: trained by its own command, from real and drawn images."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import loravit_web.catalog.bundled
from benchmarks.learning.colours import write_colours
from benchmarks.support.report import Figure, at_least, at_most, show

FOLDER = Path(loravit_web.catalog.bundled.__file__).parent
MEGABYTE = 1e6
SMALL = ("--blocks", "3", "--rank", "6", "--alpha", "12", "--epochs", "5", "--max-images", "1000")
"""Three blocks of rank 6 stay under a megabyte; a task may ask for other numbers."""
ANIMALS = ("bird", "cat", "deer", "dog", "frog", "horse")


@dataclass(frozen=True)
class Task:
    """One bundled adapter.

    Attributes:
        data: gives what the command trains on, made in a folder where need be.
        options: of the command.
        accuracy: on its test images, at least.
        description: for people, kept in the catalog and in the bundle.
    """

    data: Callable[[argparse.Namespace, Path], str]
    options: tuple[str, ...]
    accuracy: float
    description: str


def _sample(name: str) -> Callable[[argparse.Namespace, Path], str]:
    return lambda _options, _folder: f"sample:{name}"


def _animals(options: argparse.Namespace, folder: Path) -> str:
    """CIFAR-10 in two classes."""
    path = folder / "animal-or-vehicle.zip"
    with zipfile.ZipFile(options.cifar) as photographs, zipfile.ZipFile(path, "w") as archive:
        for name in sorted(photographs.namelist()):
            *above, label, file = name.split("/")
            if file:
                group = "animal" if label in ANIMALS else "vehicle"
                archive.writestr("/".join([*above, group, f"{label}-{file}"]), photographs.read(name))
    return str(path)


def _colours(options: argparse.Namespace, folder: Path) -> str:
    write_colours(options.cifar, folder / "dominant-colour", train=150, test=40)
    return str(folder / "dominant-colour")


TASKS: Mapping[str, Task] = {
    "everyday-objects": Task(
        lambda options, _folder: str(options.cifar),
        ("--blocks", "4", "--rank", "5", "--alpha", "10", "--max-images", "4000", "--epochs", "6"),
        0.775,
        "Ten kinds of everyday things and animals, learned from small photographs (CIFAR-10).",
    ),
    "animal-or-vehicle": Task(
        _animals,
        ("--max-images", "3000", "--epochs", "6"),
        0.95,
        "Whether a photograph shows an animal or a vehicle (CIFAR-10 in two classes).",
    ),
    "dominant-colour": Task(
        _colours, ("--no-mirror",), 0.75, "The colour that covers most of an image, in eleven names."
    ),
    "magnetic-tiles": Task(
        lambda options, _folder: str(options.tiles),
        ("--epochs", "14", "--max-images", "0"),
        0.85,
        "Defects of magnetic tiles: blowhole, break, crack, fray, uneven, or free of them.",
    ),
    "handwritten-digits": Task(
        _sample("digits"),
        ("--no-mirror", "--epochs", "8", "--max-images", "0"),
        0.98,
        "Handwritten digits, from scikit-learn's small scans.",
    ),
    "scene-shape": Task(_sample("shapes"), (), 0.9, "Which shape is drawn in a scene."),
    "scene-count": Task(
        _sample("counts"),
        ("--blocks", "4", "--rank", "4", "--alpha", "8", "--epochs", "10"),
        0.82,
        "How many shapes are drawn in a scene, one to five.",
    ),
    "scene-texture": Task(_sample("textures"), (), 0.9, "What the ground of a drawn scene looks like."),
}


def run(arguments: list[str]) -> int:
    """``python -m benchmarks bundled --cifar ZIP --tiles ZIP [--only NAME]...``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks bundled")
    parser.add_argument("--cifar", type=Path, required=True, help="CIFAR-10 as a zip of class folders")
    parser.add_argument("--tiles", type=Path, required=True, help="magnetic tiles as a zip of class folders")
    parser.add_argument("--only", action="append", choices=TASKS, help="only this; may be repeated")
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only or TASKS:
            figures += _trained(name, TASKS[name], options, Path(folder))
    return show("adapters that come with the app", figures)


def _trained(name: str, task: Task, options: argparse.Namespace, folder: Path) -> list[Figure]:
    data = task.data(options, folder)
    home = folder / "home"
    trained = json.loads(_command(home, "train", data, "--name", name, "--json", *SMALL, *task.options))
    _command(home, "adapters", "describe", name, "--description", task.description)
    bundle = FOLDER / f"{name}.zip"
    bundle.unlink(missing_ok=True)
    _command(home, "adapters", "export", name, str(bundle))
    metrics: Mapping[str, Any] = trained["metrics"]
    accuracy = metrics.get("test_accuracy", metrics["val_accuracy"])
    probe = metrics.get("linear_probe_test_accuracy", metrics["linear_probe_accuracy"])
    split = "test" if "test_accuracy" in metrics else "validation"
    return [
        at_least(f"{name}: {split} accuracy", accuracy, task.accuracy),
        Figure(f"{name}: its probe", f"{probe:.3f}"),
        at_most(f"{name}: megabytes", bundle.stat().st_size / MEGABYTE, 1.0),
        Figure(f"{name}: seconds", f"{trained['seconds']:.0f}"),
    ]


def _command(home: Path, *words: str) -> str:
    command = [sys.executable, "-m", "loravit_web", *words]
    environment = {**os.environ, "LORAVIT_HOME": str(home)}
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
