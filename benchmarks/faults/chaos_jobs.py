"""What the processes do that `benchmarks.faults.chaos` kills, and how they tell what they were promised.

Each writes a line to a file of its own when it begins something, and when the registry has acknowledged it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import logging
import os
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.support.adapters import random_adapter
from loravit_web.adapters.adapter import compute_reference_logits
from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.backbones import Base, wrap_base
from loravit_web.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from loravit_web.backbones.timm_import import import_timm
from loravit_web.catalog.publishing import Origin, publish
from loravit_web.datasets import DatasetStore
from loravit_web.settings.environment import Settings
from loravit_web.training import loop, trainer
from loravit_web.training.checkpoints import Checkpoint
from loravit_web.training.recipe import Recipe
from loravit_web.worker.stopping import GRACE_SECONDS
from loravit_web.worker.worker import Worker
from registry import DatasetClass, Lease, NewBase, NewDataset, NewRun, Registry, Run, Version

EPOCHS = 6
RECIPE = Recipe(
    preset="quick",
    adapter=ViTAdapterConfig(r=4, alpha=8, blocks=2, dropout=0.1),
    image_size=32,
    epochs=EPOCHS,
    min_steps=0,
    batch_size=6,
    lr=5e-3,
    patience=EPOCHS,
    validation_fraction=0.25,
)
SHARED = ("shared-a", "shared-b", "shared-c")
"""Adapters that the publishing process changes."""
ALIAS = "production"


def warm_up() -> None:
    """Import and build what every process needs, so that a fork brings it along."""
    for module in (
        "torch._dynamo",
        "sklearn.linear_model",
        "sklearn.metrics",
    ):  # seconds of a training
        importlib.import_module(module)
    tiny_base()
    with tempfile.TemporaryDirectory() as home:
        open_registry(Path(home)).close()


@functools.cache
def tiny_base() -> Base:
    """A random ViT of width 32; the same in every process."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = import_timm().create_model(
            "vit_tiny_patch16_224",
            img_size=32,
            patch_size=8,
            embed_dim=32,
            depth=3,
            num_heads=2,
            num_classes=0,
            dynamic_img_size=True,
        )
    return wrap_base(
        model, name="tiny", architecture="vit_tiny_patch16_224", mean=IMAGENET_MEAN, std=IMAGENET_STD
    )


def draw_images(folder: Path, *, per_class: int = 12) -> Path:
    """Class folders of noisy red and green images."""
    generator = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green")):
        (folder / name).mkdir(parents=True)
        for index in range(per_class):
            pixels = generator.integers(0, 120, (32, 32, 3), dtype=np.uint8)
            pixels[:, :, channel] += 60
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


def open_registry(home: Path) -> Registry:
    """The registry of a data folder."""
    settings = Settings(home=home, base="tiny").ensure_home()
    return Registry.open(settings.database_url, settings.artifacts)


def queue_run(registry: Registry, home: Path, slug: str, *, epochs: int = EPOCHS) -> Run:
    """Queue a run on the images that were imported into the data folder."""
    store = DatasetStore(home / "datasets")
    dataset = store.load(store.list()[0])
    base = tiny_base()
    classes = tuple(
        DatasetClass(name, n["train"], n["val"], n["test"]) for name, n in dataset.counts().items()
    )
    stored = registry.datasets.ensure(NewDataset(dataset.fingerprint, dataset.name, "folder", classes))
    recipe = replace(RECIPE, epochs=epochs)
    return registry.runs.create(
        NewRun(slug, slug, base_record(registry, base), stored.id, recipe.seed, recipe.as_json(), {})
    )


def base_record(registry: Registry, base: Base) -> int:
    """The base's id in the registry."""
    new = NewBase(base.name, base.weights_sha256, base.architecture, base.embed_dim, base.depth)
    return registry.bases.ensure(new).id


class Told:
    """A file of one JSON document a line, each written at once and whole."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def line(self, what: str, **values: Any) -> None:
        """Add one line."""
        os.write(self._file, (json.dumps({"what": what, **values}) + "\n").encode())

    def around(self, what: str, call: Callable[..., Any], promised: Callable[..., dict[str, Any]]) -> Any:
        """The same call, which tells when it begins and what it has promised when it is done."""

        def told(*args: Any, **values: Any) -> Any:
            self.line(f"begin {what}")
            result = call(*args, **values)
            self.line(what, **promised(result, *args, **values))
            return result

        return told


def train(
    *, home: str, told: str, idle_exit: float = 0.5, slow: str | None = None, grace: float = GRACE_SECONDS
) -> None:
    """A worker that trains what is queued; its id is the name of the file in which it tells.

    Args:
        slow: a stage that lasts for minutes: ``load``, ``probe`` or ``step``; the last is one call that no
            signal interrupts.
    """
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.WARNING)
    teller = Told(told)
    settings = Settings(home=Path(home), base="tiny")
    base = tiny_base()
    with open_registry(settings.home) as registry:
        worker = Worker(
            settings,
            registry,
            DatasetStore(settings.datasets, workers=1),
            load=lambda *_: _asleep(teller),
            worker_id=Path(told).name,
        )
        if slow != "load":
            worker.add_base(base, torch.float32)
        _instrument(registry, teller)
        if slow == "probe":
            trainer.fit_probe = lambda *_, **__: _asleep(teller)  # type: ignore[attr-defined]
        elif slow == "step":
            loop.TrainingLoop._step = lambda *_: _deep(teller)  # type: ignore[method-assign]
        with worker.stopping_on_signals(grace=grace):
            teller.line("ready", worker=worker.id)
            worker.work(idle_exit=idle_exit)


def _instrument(registry: Registry, teller: Told) -> None:
    def logged(_none: None, run: str, step: int, values: dict[str, float], **_: Any) -> dict[str, Any]:
        return {"run": run, "step": step, "values": values}

    def finished(_run: Run, lease: Lease, status: str, **_: Any) -> dict[str, Any]:
        return {"run": lease.run_id, "status": status}

    def saved(_none: None, _path: Path, kept: Checkpoint, **_: Any) -> dict[str, Any]:
        return {"epoch": kept.state.epoch}

    for place, name, promised in (
        (registry.runs, "log_metrics", logged),
        (registry.catalog, "publish", _published),
        (registry.runs, "finish", finished),
        (loop, "save_checkpoint", saved),
    ):
        setattr(place, name, teller.around(name, getattr(place, name), promised))


def _published(version: Version, *_: Any, **__: Any) -> dict[str, Any]:
    return {"ref": version.ref, "manifest": version.manifest_sha256}


def _asleep(teller: Told) -> Any:
    teller.line("slow")
    time.sleep(600)


def _deep(teller: Told) -> Any:
    teller.line("slow")
    return hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)


def change_catalog(*, home: str, told: str, seed: int) -> None:
    """Publish, promote, withdraw and archive for ever."""
    torch.set_num_threads(1)
    teller, chance, base = Told(told), random.Random(seed), tiny_base()
    with open_registry(Path(home)) as registry:
        catalog, base_id = registry.catalog, base_record(registry, base)
        tell = {
            "publish": teller.around(
                "publish",
                lambda slug, number: publish_random(registry, base, base_id, slug, number),
                _published,
            ),
            "withdraw": teller.around(
                "withdraw",
                lambda version: catalog.withdraw(version.slug, version.version, "chaos", actor="chaos"),
                lambda version, *_: {"ref": version.ref},
            ),
            "archive": teller.around(
                "archive",
                lambda slug: catalog.archive(slug, actor="chaos"),
                lambda adapter, *_: {"slug": adapter.slug},
            ),
            "promote": teller.around(
                "promote",
                lambda version: registry.aliases.promote(version.ref, ALIAS, actor="chaos"),
                lambda _alias, version: {"ref": version.ref},
            ),
        }
        teller.line("ready")
        while True:
            slug = chance.choice(SHARED)
            action = chance.choices(list(tell), weights=[6, 2, 1, 3])[0]
            known = {adapter.slug for adapter in catalog.adapters(include_archived=True)}
            if action == "publish" or slug not in known:
                tell["publish"](slug, chance.getrandbits(30))
            elif action == "archive":
                tell["archive"](slug)
            else:
                named = {alias.version for alias in registry.aliases.list(slug)}
                free = [
                    one
                    for one in catalog.versions(slug)
                    if one.version not in named and (action == "withdraw" or one.withdrawn_at is None)
                ]
                if free:
                    tell[action](chance.choice(free))


def publish_random(registry: Registry, base: Base, base_id: int, slug: str, seed: int) -> Any:
    """Publish an adapter that nobody trained, with its true logits."""
    adapter = random_adapter(base, RECIPE.adapter, seed, classes=2, image_size=32)
    adapter = replace(adapter, reference_logits=compute_reference_logits(base, adapter))
    return publish(registry, adapter, base, Origin(slug, slug, base_id, "chaos"))
