"""Answers of tasks that do not fit, shown as sure: the bundled tasks, asked about images of other tasks.

The examples of the page and the photographs decide. The images of other data check that the rule holds for
images that did not choose it. A task's own test images show what it costs; their values are stored with each
version.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from benchmarks.support.homes import with_bases
from benchmarks.support.report import Figure, at_most, show
from loravit_web.catalog.bundled import bundles
from loravit_web.catalog.exchange import add_bundled
from loravit_web.datasets import DatasetStore, stratified_subset
from loravit_web.images.loading import load_rgb
from loravit_web.service import Service
from loravit_web.serving.answers import TaskAnswer
from loravit_web.settings.environment import Settings
from loravit_web.training.files.reliability import NEARLY_UNLIKE, UNLIKE, UNSURE, read_reliability
from loravit_web.ui.use.examples import examples

PHOTOGRAPHED = ("everyday-objects", "animal-or-vehicle", "dominant-colour")
"""Tasks that were trained on photographs, so they fit photographs."""
DRAWN = ("scene-shape", "scene-count", "scene-texture")
OTHERS: Mapping[str, Sequence[str]] = {
    "cifar10": PHOTOGRAPHED,
    "dogs-cats": PHOTOGRAPHED,
    "groceries": ("dominant-colour",),
    "magnetic-tiles": ("magnetic-tiles",),
    "sample:digits": ("handwritten-digits",),
    "sample:shapes": DRAWN,
}
"""Zips of the data folder and samples, with the tasks that fit their images."""
MOST_SURE, MOST_UNLIKE = 10.0, 3.0

Asked = tuple[Image.Image, Sequence[str]]
"""An image, and the tasks that fit it."""


def run(arguments: list[str]) -> int:
    """``python -m benchmarks misfits --data FOLDER [--images N]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks misfits")
    parser.add_argument("--data", type=Path, required=True, help="folder of the four zips and of photos/")
    parser.add_argument("--images", type=int, default=50, help="images of each of the other data")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Settings(home=with_bases(Path(folder) / "home")))
        try:
            add_bundled(service.registry, service.base_for, service.settings, lambda _fraction, _text: None)
            shown = _answers(service, _shown(options.data))
            others = _answers(service, _others(options.data, options.images, Path(folder)))
        finally:
            service.close()
    figures = [
        *_figures("examples and photographs", shown, MOST_SURE),
        *_figures("other data", others, None),
        *_own(),
    ]
    return show("answers of tasks that do not fit, shown as sure", figures)


def _shown(data: Path) -> Iterator[Asked]:
    for example in examples():
        yield load_rgb(example.data), example.tasks
    for path in sorted((data / "photos").glob("*.jpg")):
        yield load_rgb(path), PHOTOGRAPHED


def _others(data: Path, images: int, folder: Path) -> Iterator[Asked]:
    store = DatasetStore(folder / "datasets")
    for source, fitting in OTHERS.items():
        dataset = store.import_source(source if ":" in source else str(data / f"{source}.zip"))
        items = dataset.select("test") or dataset.select("train")
        for index in stratified_subset([item.label for item in items], images, seed=3):
            yield load_rgb(dataset.image_path(items[index])), fitting


def _answers(service: Service, asked: Iterator[Asked]) -> list[tuple[TaskAnswer, bool]]:
    """Return the answers of all bundled tasks, each with whether the task fits the image."""
    tasks = sorted(bundles())
    return [
        (answer, task in fitting)
        for image, fitting in asked
        for task, answer in zip(tasks, service.predictor.classify(image, tasks, top_k=2).results, strict=True)
    ]


def _figures(name: str, answers: Sequence[tuple[TaskAnswer, bool]], target: float | None) -> list[Figure]:
    def share(fits: bool, before: bool = False) -> tuple[float, str]:
        chosen = [answer for answer, is_fitting in answers if is_fitting == fits]
        sure = sum(_is_sure(answer, before) for answer in chosen)
        return 100 * sure / len(chosen), f"{sure} of {len(chosen)}"

    (misfits, counted), (_, without) = share(fits=False), share(fits=False, before=True)
    note = f"{counted}; {without} without unsure from {NEARLY_UNLIKE} of the threshold of unlike"
    what = f"{name}: answers of tasks that do not fit, sure"
    (fitting, fitted), (_, all_fitted) = share(fits=True), share(fits=True, before=True)
    return [
        Figure(what, f"{misfits:.1f} %", note=note)
        if target is None
        else at_most(what, misfits, target, " %", note),
        Figure(
            f"{name}: answers of tasks that fit, sure",
            f"{fitting:.1f} %",
            note=f"{fitted}; {all_fitted} without",
        ),
    ]


def _is_sure(answer: TaskAnswer, before: bool) -> bool:
    return not answer.unlike and (answer.has_clear_winner if before else not answer.unsure)


def _own() -> list[Figure]:
    """Return what the rule costs each bundled task on its own test or validation images."""
    figures = []
    for name, bundle in sorted(bundles().items()):
        with zipfile.ZipFile(bundle) as files:
            (task,) = (file for file in files.namelist() if file.endswith("task.json"))
            metrics = json.loads(files.read(task))["training"]["metrics"]
        split = "test" if "reliability" in metrics.get("test", {}) else "validation"
        values = read_reliability(metrics[split]["reliability"])
        told = values.told(unlike=UNLIKE, unsure=UNSURE)
        without = sum(
            confidence < UNSURE and novelty <= UNLIKE
            for confidence, novelty in zip(values.confidence, values.novelty or (), strict=True)
        )
        unlike = 100 * (told.unlike or 0) / told.n
        note = f"{told.unsure} of {told.n} unsure, {without} without"
        figures.append(at_most(f"{name}: own {split} images called unlike", unlike, MOST_UNLIKE, " %", note))
    return figures
