"""What exported tasks lose, weigh and take: in Python with onnxruntime, and in Chromium (`export_pages`)."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.learning.bundled import TASKS
from benchmarks.speed import export_pages
from benchmarks.support.homes import embedded_base
from benchmarks.support.report import Figure, at_least, at_most, save, show
from loravit_web.adapters.files.bundle import read_bundle_file
from loravit_web.adapters.files.format import from_files
from loravit_web.backbones import Base
from loravit_web.catalog.bundled import bundles
from loravit_web.datasets import DatasetStore, stratified_subset
from loravit_web.engine import MultiLoRAViT
from loravit_web.export.folder import export_onnx
from loravit_web.export.plan import Version
from loravit_web.images.loading import load_rgb
from loravit_web.runtime import ExportedModel
from loravit_web.runtime.layout import PRECISIONS, Precision
from loravit_web.runtime.model import preprocessed

MEGABYTE = 1e6
STARTS = 5
"""Number of starts of the runtime, of which the median counts."""
_FIRST_ANSWER = (
    "import sys; from loravit_web.runtime import load; print(load(sys.argv[1]).classify(sys.argv[2], "
    "[sys.argv[3]])[0].text)"
)


@dataclass(frozen=True)
class Options:
    """What the command is given.

    Attributes:
        photos: folder of photographs.
        cifar: zip with test images.
        tiles: zip of magnetic tiles.
        images: images per task whose accuracy is compared; 0 for none.
        tasks: bundled tasks whose accuracy is compared.
        page: whether Chromium runs the exported page.
        packages: folder of downloaded packages.
    """

    photos: Path
    cifar: Path
    tiles: Path
    images: int
    tasks: Sequence[str]
    page: bool
    packages: Path


def run(arguments: list[str]) -> int:
    """``python -m benchmarks export --photos FOLDER --cifar ZIP --tiles ZIP [--tasks ...] [--no-page]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks export")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--cifar", type=Path, required=True, help="CIFAR-10 as a zip of class folders")
    parser.add_argument("--tiles", type=Path, required=True, help="magnetic tiles as a zip of class folders")
    parser.add_argument("--images", type=int, default=500, help="images per task for its accuracy; 0: none")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS), help="for accuracy")
    parser.add_argument("--no-page", dest="page", action="store_false", help="without Chromium")
    parser.add_argument("--packages", type=Path, default=export_pages.packages_folder())
    parser.add_argument("--save", type=Path)
    given = vars(parser.parse_args(arguments))
    path = given.pop("save")
    options = Options(**given)
    base = embedded_base()
    versions = bundled_versions(base)
    with tempfile.TemporaryDirectory() as folder:
        figures = list(_figures(base, versions, options, Path(folder)))
    title = f"export of {len(versions)} bundled tasks"
    save(path, title, figures)
    return show(title, figures)


def bundled_versions(base: Base) -> list[Version]:
    """The adapters that come with the app, as versions with the usual thresholds."""
    found = []
    for slug, path in bundles().items():
        bundle = read_bundle_file(path)
        adapter = from_files(bundle.files, base)
        found.append(Version(f"{slug}@1", bundle.title, adapter, bundle.files, 0.5, 1.0))
    return found


def _figures(base: Base, versions: Sequence[Version], options: Options, folder: Path) -> Iterator[Figure]:
    models: dict[Precision, ExportedModel] = {}
    for precision in PRECISIONS:
        export_onnx(base, versions, folder / precision, precision, lambda _fraction, _stage: None)
        models[precision] = ExportedModel(folder / precision)
    yield from _logits(base, versions, models["fp32"], options.photos)
    for model, most in zip(models.values(), (100.0, 60.0, 30.0), strict=True):
        yield from _sizes(model, most)
    yield from _start(models["fp32"], options.photos)
    if options.images:
        yield from _accuracies(models, options, folder)
    if options.page:
        yield from export_pages.figures(base, versions, options.photos, folder, options.packages)


def _logits(base: Base, versions: Sequence[Version], model: ExportedModel, photos: Path) -> Iterator[Figure]:
    """The largest differences of a logit on photographs, and how many answers are the same."""
    engine = MultiLoRAViT(base, torch.float32)
    for version in versions:
        engine.add(version.ref, version.adapter)
    largest, relative, same, total = 0.0, 0.0, 0, 0
    for photo in sorted(photos.iterdir()):
        image = load_rgb(photo)
        for task, version in zip(model.tasks, versions, strict=True):
            pixels = preprocessed(image, task)
            found = model.run(task, pixels)[0][0]
            expected = engine.forward(torch.from_numpy(pixels), [[version.ref]])[0][version.ref].numpy()
            apart = float(np.abs(found - expected).max())
            largest, relative = (
                max(largest, apart),
                max(relative, apart / max(1.0, float(np.abs(expected).max()))),
            )
            same += int(found.argmax() == expected.argmax())
            total += 1
    yield at_most("difference to the engine / largest logit, fp32, photographs", relative, 1e-4)
    yield Figure("largest difference of a logit there", f"{largest:.2g}")
    yield at_least(f"answers that are the engine's, of {total}", same, total)


def _sizes(model: ExportedModel, most: float) -> Iterator[Figure]:
    """Megabytes of what all tasks share, and of the largest task's own files."""
    name = model.export.precision
    of_tasks = [
        sum(file.stat().st_size for file in (model.folder / task.folder).iterdir()) for task in model.tasks
    ]
    whole = sum(file.stat().st_size for file in model.folder.rglob("*") if file.is_file())
    yield at_most(f"trunk and branches, {name}", (whole - sum(of_tasks)) / MEGABYTE, most, " MB")
    yield at_most(f"largest further task, {name}", max(of_tasks) / MEGABYTE, 1.5, " MB")


def _start(model: ExportedModel, photos: Path) -> Iterator[Figure]:
    """Seconds from starting Python to the first answer, and those that its cores computed."""
    photo = next(iter(sorted(photos.iterdir())))
    command = [sys.executable, "-c", _FIRST_ANSWER, str(model.folder), str(photo), "everyday-objects"]
    seconds, computed = [], []
    for _ in range(STARTS):
        before, started = os.times(), time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
        after = os.times()
        computed.append(after.children_user + after.children_system)
        computed[-1] -= before.children_user + before.children_system
    yield at_most("start of the runtime to its first answer", float(np.median(seconds)), 1.5, " s")
    yield Figure("CPU time of that start", f"{np.median(computed):.2f} s")


def _accuracies(
    models: Mapping[Precision, ExportedModel], options: Options, folder: Path
) -> Iterator[Figure]:
    """Accuracy that smaller weights lose, in points, on test images or on those of the training."""
    store = DatasetStore(folder / "datasets")
    zips = argparse.Namespace(cifar=options.cifar, tiles=options.tiles)
    for slug in options.tasks:
        dataset = store.import_source(TASKS[slug].data(zips, folder))
        items = dataset.select("test") or dataset.items
        indices = stratified_subset([item.label for item in items], options.images, seed=0)
        chosen = [items[index] for index in indices]
        task = models["fp32"].task(slug)
        labels = [task.class_names.index(dataset.classes[item.label]) for item in chosen]
        pixels = np.concatenate([preprocessed(load_rgb(dataset.image_path(one)), task) for one in chosen])
        right = {
            precision: [
                bool(logits.argmax() == label)
                for start in range(0, len(pixels), 16)
                for logits, label in zip(
                    model.run(model.task(slug), pixels[start : start + 16])[0],
                    labels[start : start + 16],
                    strict=True,
                )
            ]
            for precision, model in models.items()
        }
        exact = float(np.mean(right["fp32"]))
        yield Figure(f"{slug}: accuracy, fp32, {len(chosen)} images", f"{exact:.4f}")
        for precision in PRECISIONS[1:]:
            lost = 100 * (exact - float(np.mean(right[precision])))
            yield at_most(f"{slug}: points lost by {precision}", lost, 0.5)
