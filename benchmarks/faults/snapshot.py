"""An app whose disk is lost, and what the next one serves from its snapshots."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from PIL import Image

from benchmarks.support.adapters import random_adapter
from benchmarks.support.homes import with_bases
from benchmarks.support.report import Figure, at_least, at_most, save, show
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.adapters.adapter import compute_reference_logits
from loravit_web.catalog.publishing import Origin, publish
from loravit_web.saver import Saver
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from registry import NewBase, open_snapshot_store

IMAGE_SIZE = 112
TOLERANCE = 0.02
"""Each start measures its own precision, so bfloat16 may answer beside float32."""


def run(arguments: list[str]) -> int:
    """``python -m benchmarks snapshot [--versions 12] [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks snapshot")
    parser.add_argument("--versions", type=int, default=12)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        figures = _measure(Path(name), options.versions)
    title = f"{options.versions} versions, a disk lost after every second one, and the start on an empty disk"
    save(options.json, title, figures)
    return show(title, figures)


def _measure(folder: Path, versions: int) -> list[Figure]:
    place = folder / "place"
    image = Image.effect_noise((IMAGE_SIZE, IMAGE_SIZE), 80).convert("RGB")
    answers: dict[str, dict[str, float]] = {}
    wrong: set[str] = set()
    restoring, saving = [0.0], [0.0]
    for life in range(0, versions + 1, 2):
        service = Service(_settings(folder / f"disk-{life}", place))
        restoring.append(_seconds(service.recover))
        service.predictor.refresh()
        wrong |= _wrong(service, image, answers)
        for seed in range(life, min(life + 2, versions)):
            ref = _publish(service, seed)
            saving.append(_seconds(_saver(service).save_if_due))
            answers[ref] = _answer(service, image, ref)
        service.registry.close()  # and not the service: nothing is saved at the end
        shutil.rmtree(service.settings.home)
    written = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    served = len(answers) - len(wrong)
    return [
        at_least(f"versions that answer as before, of {versions}", served, versions),
        at_most("the slowest snapshot", max(saving), 10, " s"),
        at_most("the slowest restoring", max(restoring), 10, " s"),
        Figure("snapshots kept", str(len(open_snapshot_store(str(place)).names()))),
        Figure("what they take", f"{written / 1e6:.1f} MB"),
    ]


def _settings(home: Path, place: Path) -> Settings:
    return replace(Settings(home=with_bases(home), bundled=False), snapshot_url=str(place))


def _saver(service: Service) -> Saver:
    assert service.saver is not None
    return service.saver


def _publish(service: Service, seed: int) -> str:
    """The next version of one of three adapters."""
    base, slug = service.base, f"task-{seed % 3}"
    adapter = random_adapter(base, ViTAdapterConfig(blocks=2), seed, image_size=IMAGE_SIZE)
    adapter = replace(adapter, reference_logits=compute_reference_logits(base, adapter))
    new = NewBase(base.name, base.weights_sha256, base.architecture, base.embed_dim, base.depth)
    origin = Origin(slug, slug, service.registry.bases.ensure(new).id, "benchmark")
    return publish(service.registry, adapter, base, origin).ref


def _answer(service: Service, image: Image.Image, ref: str) -> dict[str, float]:
    (result,) = service.predictor.classify(image, [ref], top_k=10).results
    if result.error is not None:
        return {}
    return {label.label: label.score for label in result.labels}


def _wrong(service: Service, image: Image.Image, answers: Mapping[str, dict[str, float]]) -> set[str]:
    """The versions that don't answer, or not as they did."""
    now = {ref: _answer(service, image, ref) for ref in answers}
    return {ref for ref, before in answers.items() if not before or not _close(before, now[ref])}


def _close(before: Mapping[str, float], now: Mapping[str, float]) -> bool:
    return before.keys() == now.keys() and all(abs(before[k] - now[k]) <= TOLERANCE for k in before)


def _seconds(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started
