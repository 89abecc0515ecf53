"""Answers with and without OpenVINO: times from the image file on, differences, accuracy, and the app.

The engines take turns in one process: weights as loaded, PyTorch as the app lays them out, and OpenVINO.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.learning.bundled import TASKS
from benchmarks.machine.openvino_app import app_figures
from benchmarks.support.adapters import random_adapter
from benchmarks.support.homes import embedded_base
from benchmarks.support.report import Figure, at_least, at_most, save, show, spread
from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.adapter import reference_image
from loravit_web.adapters.files.bundle import read_bundle_file
from loravit_web.adapters.files.format import from_files
from loravit_web.backbones import Base, NothingRemembered
from loravit_web.catalog.bundled import bundles
from loravit_web.datasets import DatasetStore, stratified_subset
from loravit_web.engine import MultiLoRAViT
from loravit_web.engine.compiled import OpenVino, installed_version
from loravit_web.engine.measure import ComputeMode, remembered_mode
from loravit_web.images.loading import load_rgb
from loravit_web.util.cores import gather_cores, release_cores

TASK_COUNTS = (1, 3)
FASTER = 1.4
"""How much faster an image file has to be answered than with weights as loaded."""
STORED = 5e-3
"""How far a logit may be from the stored one, as when an adapter is loaded."""
LOST_POINTS = 0.3
_FILE_SIZE = (640, 480)
_WAIT_SECONDS = 30.0


def run(arguments: list[str]) -> int:
    """``python -m benchmarks openvino [--cifar ZIP --tiles ZIP] [--dtype NAME] [--no-app] ...``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks openvino", description=__doc__)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), action="append")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--sides", nargs="*", type=int, default=(70, 112))
    parser.add_argument(
        "--cifar", type=Path, help="CIFAR-10 as a zip of class folders; without it, no accuracy"
    )
    parser.add_argument("--tiles", type=Path, help="magnetic tiles as a zip of class folders")
    parser.add_argument("--images", type=int, default=250, help="images per task for its accuracy")
    parser.add_argument("--no-app", dest="app", action="store_false", help="without the start of the app")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if importlib.util.find_spec("openvino") is None:
        print('OpenVINO is not installed. Run pip install "loravit-web[openvino]".', file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    base = embedded_base()
    figures: list[Figure] = []
    for name in options.dtype or ("float32", "bfloat16"):
        figures += _told(_figures(base, getattr(torch, name), options))
    if options.app:
        figures += _told(app_figures())
    title = f"answers with OpenVINO {installed_version()}, {options.threads} threads"
    save(options.json, title, figures)
    return show(title, figures)


def _told(figures: Iterator[Figure]) -> Iterator[Figure]:
    """Print each figure as soon as it is there, because all of them take minutes."""
    for figure in figures:
        print(figure.name, figure.value, figure.note, file=sys.stderr, flush=True)
        yield figure


def _figures(base: Base, dtype: torch.dtype, options: argparse.Namespace) -> Iterator[Figure]:
    name = str(dtype).removeprefix("torch.")
    mode = remembered_mode(base, dtype, NothingRemembered())
    yield Figure(f"{name}: PyTorch as the app computes", str(mode))
    gather_cores()  # as in the app
    try:
        for side, tasks in itertools.product(options.sides, TASK_COUNTS):
            yield from _times(base, dtype, mode, side, tasks, options.rounds)
        engines = {
            "PyTorch": mode.engine(base, dtype),
            "OpenVINO": mode.engine(base, dtype, openvino=OpenVino("measured")),
        }
        adapters = {slug: from_files(read_bundle_file(path).files, base) for slug, path in bundles().items()}
        for engine in engines.values():
            for slug, adapter in adapters.items():
                engine.add(slug, adapter)
        yield from _stored_logits(engines, adapters, name)
        if options.cifar is not None:
            yield from _accuracies(engines, adapters, options, name)
    finally:
        release_cores()


def _times(
    base: Base, dtype: torch.dtype, mode: ComputeMode, side: int, tasks: int, rounds: int
) -> Iterator[Figure]:
    """Ratios of times from an image file to the probabilities of some tasks, each file being new."""
    engines = {
        "as loaded": replace(mode, layout="loaded").engine(base, dtype),
        "PyTorch": mode.engine(base, dtype),
        "OpenVINO": mode.engine(base, dtype, openvino=OpenVino("measured")),
    }
    names = [f"task-{number}" for number in range(tasks)]
    config = ViTAdapterConfig(r=8, blocks=5)
    for number, name in enumerate(names):
        adapter = random_adapter(base, config, number, image_size=side)
        for engine in engines.values():
            engine.add(name, adapter)
    _compile(engines["OpenVINO"], names, side)
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for lap in range(rounds + 3):
            file = Path(folder) / "image.jpg"
            small = generator.integers(0, 255, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(small).resize(_FILE_SIZE, Image.Resampling.BICUBIC).save(file, quality=90)
            turn = lap % len(engines)
            for name in [*engines][turn:] + [*engines][:turn]:
                started = time.perf_counter()
                _answers(engines[name], file, names)
                if lap >= 3:
                    seconds[name].append(time.perf_counter() - started)
    what = f"{str(dtype).removeprefix('torch.')}: an image file, {side} px, {tasks} tasks"
    for name, laps in seconds.items():
        yield Figure(f"{what}: {name}", f"{1000 * statistics.median(laps):.1f} ms", note=spread_ms(laps))
    ratios = {
        name: [a / b for a, b in zip(seconds[name], seconds["OpenVINO"], strict=True)]
        for name in ("as loaded", "PyTorch")
    }
    loaded = statistics.median(ratios["as loaded"])
    yield at_least(f"{what}: as loaded / OpenVINO", loaded, FASTER, "x", spread(ratios["as loaded"]))
    laid_out = statistics.median(ratios["PyTorch"])
    yield Figure(f"{what}: PyTorch / OpenVINO", f"{laid_out:.2f}x", note=spread(ratios["PyTorch"]))


def spread_ms(seconds: Sequence[float]) -> str:
    """Quartiles and extremes in milliseconds."""
    return spread([1000 * value for value in seconds], " ms")


def _answers(engine: MultiLoRAViT, file: Path, names: Sequence[str]) -> None:
    image, adapters = load_rgb(file), [engine.adapter(name) for name in names]
    novelty: list[dict[str, float]] = [{}]
    logits = engine.forward(adapters[0].preprocessing([image]), [names], novelty=novelty)[0]
    for name, adapter in zip(names, adapters, strict=True):
        adapter.scores(logits[name])


def _compile(engine: MultiLoRAViT, names: Sequence[str], side: int) -> None:
    """Answer images until everything is compiled."""
    assert engine.compiled is not None
    started = time.perf_counter()
    for seed in range(3):
        image = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(seed))
        engine.forward(image, [names])
    while engine.compiled.waiting and time.perf_counter() - started < _WAIT_SECONDS:
        time.sleep(0.05)


def _stored_logits(
    engines: Mapping[str, MultiLoRAViT], adapters: Mapping[str, Adapter], name: str
) -> Iterator[Figure]:
    """How far the bundled adapters' logits of their reference image are from those in their files."""
    _compile(engines["OpenVINO"], [*adapters], next(iter(adapters.values())).preprocessing.image_size)
    compiled: Any = engines["OpenVINO"].compiled
    yield Figure(
        f"{name}: compiled parts of the bundled tasks", f"{len(compiled)}, {compiled.used / 1e6:.0f} MB"
    )
    for kind, engine in engines.items():
        differences = []
        for slug, adapter in adapters.items():
            found = engine.forward(reference_image(adapter.preprocessing), [[slug]])[0][slug]
            largest = max(1.0, float(found.abs().max()))
            differences.append(float((found - adapter.reference_logits).abs().max()) / largest)
        what = f"{name}: stored logits, {kind}"
        if name == "float32":
            yield at_most(what, max(differences), STORED)
        else:
            yield Figure(what, f"{max(differences):.2g}")


def _accuracies(
    engines: Mapping[str, MultiLoRAViT],
    adapters: Mapping[str, Adapter],
    options: argparse.Namespace,
    name: str,
) -> Iterator[Figure]:
    """Accuracy that OpenVINO loses, and changed answers, on test images or on those of the training."""
    with tempfile.TemporaryDirectory() as folder:
        store = DatasetStore(Path(folder) / "datasets")
        for slug, bundled in TASKS.items():
            dataset = store.import_source(bundled.data(options, Path(folder)))
            items = dataset.select("test") or dataset.items
            chosen = [items[i] for i in stratified_subset([i.label for i in items], options.images, seed=0)]
            adapter = adapters[slug]
            labels = [adapter.class_names.index(dataset.classes[item.label]) for item in chosen]
            found: dict[str, list[tuple[int, bool]]] = {kind: [] for kind in engines}
            for item in chosen:
                pixels = adapter.preprocessing([load_rgb(dataset.image_path(item))])
                for kind, engine in engines.items():
                    unlike: list[dict[str, float]] = [{}]
                    logits = engine.forward(pixels, [[slug]], novelty=unlike)[0][slug]
                    found[kind].append((int(logits.argmax()), unlike[0].get(slug, 0.0) > 1))
            right = {
                kind: [answer == label for (answer, _), label in zip(rows, labels, strict=True)]
                for kind, rows in found.items()
            }
            accuracy = {kind: float(np.mean(rows)) for kind, rows in right.items()}
            lost = 100 * (accuracy["PyTorch"] - accuracy["OpenVINO"])
            pairs = list(zip(found["PyTorch"], found["OpenVINO"], strict=True))
            changed = sum(ours[0] != theirs[0] for ours, theirs in pairs)
            unlike_changed = sum(ours[1] != theirs[1] for ours, theirs in pairs)
            note = (
                f"{accuracy['PyTorch']:.4f} in PyTorch; of {len(pairs)} images {changed} answers and "
                f"{unlike_changed} notes of unlike images changed"
            )
            yield at_most(f"{name}: {slug}: points lost with OpenVINO", lost, LOST_POINTS, note=note)
