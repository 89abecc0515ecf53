"""Creation of runs from a dataset, a name and a recipe, or from a run that has ended."""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from loravit_web import __version__
from loravit_web.backbones import Base
from loravit_web.backbones.timm_import import import_timm
from loravit_web.catalog.naming import slugified
from loravit_web.catalog.publishing import record_base
from loravit_web.datasets import DatasetNotFound, DatasetStore, ImageDataset, Split
from loravit_web.datasets.stored.packs import IMAGES, RECORDS, image_packs, records_pack
from loravit_web.errors import LoraVitError
from loravit_web.runs.demo import slug_of
from loravit_web.training.blocks import trainable_blocks
from loravit_web.training.recipe import Recipe
from registry import Dataset as DatasetRecord
from registry import DatasetClass, NewDataset, NewRun, Registry, Run


class RunNotRetryable(LoraVitError):
    """A run that cannot be retried with a smaller batch."""


def create_run(
    registry: Registry,
    base: Base,
    dataset: ImageDataset,
    name: str,
    recipe: Recipe,
    *,
    actor: str,
    worker: str | None = None,
    group: str | None = None,
    sweep: Mapping[str, Any] | None = None,
) -> Run:
    """Record a new run: queued, or already running under a worker.

    Args:
        registry: Registry for the run, its base and its dataset.
        base: Base of the adapter, in float32.
        dataset: Training images.
        name: Title or slug of the adapter. The slug is derived from a title.
        recipe: Settings of the training.
        actor: Name of the user who requested the run.
        worker: Id of the worker that trains it, or None to queue it.
        group: Id of the sweep that the run belongs to, or None.
        sweep: What the sweep tries with this run, and how it compares its runs, as plain JSON.

    Returns:
        The new run.

    Raises:
        LoraVitError: If a setting is invalid.
        RegistryError: If the name is invalid.
    """
    slug, title = slugified(name)
    recipe = replace(recipe, adapter=replace(recipe.adapter, labels=dataset.labels))
    base.preprocessing(recipe.image_size)
    trainable_blocks(base, recipe.adapter, torch.Generator())
    record = record_dataset(registry, dataset)
    return registry.runs.create(
        NewRun(
            slug=slug_of(actor, slug),
            title=title,
            base_id=record_base(registry, base).id,
            dataset_id=record.id,
            dataset_name=dataset.title,
            dataset_revision=None if dataset.revision is None else dataset.revision.as_json(),
            seed=recipe.seed,
            config=recipe.as_json(),
            environment=environment() if sweep is None else environment() | {"sweep": dict(sweep)},
            group=group,
        ),
        actor=actor,
        worker=worker,
    )


def record_dataset(registry: Registry, dataset: ImageDataset) -> DatasetRecord:
    """Record a dataset unless it is recorded already, and return its record."""
    return registry.datasets.ensure(
        NewDataset(
            dataset.fingerprint, dataset.name, dataset.source_kind, _classes(dataset), len(dataset.items)
        )
    )


def offer_images(registry: Registry, dataset: ImageDataset) -> None:
    """Store the images of a dataset before a run on them is queued, because another machine may train it.

    Raises:
        OSError: If an image cannot be read.
        RegistryError: If the store or the database refuses a file.
    """
    record_dataset(registry, dataset)
    share(registry, dataset)


def share(registry: Registry, dataset: ImageDataset) -> None:
    """Store the images and names of a registered dataset, unless they are stored already.

    Args:
        registry: Registry with the dataset.
        dataset: The dataset, whose files are on this machine.

    Raises:
        OSError: If an image cannot be read.
        RegistryError: If the store or the database refuses a file.
    """
    files = registry.dataset_files
    stored = files.digests(dataset.fingerprint)
    with tempfile.TemporaryDirectory(prefix="loravit-share-") as scratch:
        records = records_pack(dataset, Path(scratch))
    if RECORDS not in stored:
        for number, pack in enumerate(image_packs(dataset), start=1):
            name = IMAGES.format(number)
            if stored.get(name) != hashlib.sha256(pack).hexdigest():
                files.put(dataset.fingerprint, name, pack)
    if stored.get(RECORDS) != hashlib.sha256(records).hexdigest():
        files.put(dataset.fingerprint, RECORDS, records)


def share_if_here(registry: Registry, datasets: DatasetStore, fingerprint: str) -> None:
    """Store a dataset as `share` does if its images are on this machine; see `share` for the errors."""
    try:
        dataset = datasets.load(fingerprint)
    except DatasetNotFound:
        return
    share(registry, dataset)


def unfinished_twin(
    registry: Registry, base: str, fingerprint: str, name: str, recipe: Recipe, *, owner: str
) -> Run | None:
    """Return the run with the same data, name and settings that waits or trains, or None.

    Args:
        registry: Registry with the runs.
        base: Name of the base.
        fingerprint: Fingerprint of the training images.
        name: Title or slug of the adapter.
        recipe: Settings of the training.
        owner: Name of the user who would own the run.
    """
    wanted = (slug_of(owner, slugified(name)[0]), fingerprint, base)
    for run in registry.runs.list(status=["queued", "running"]):
        same = (run.slug, run.dataset.fingerprint, run.base.name) == wanted
        if same and _settings(run.config) == _settings(recipe.as_json()):
            return run
    return None


def environment() -> dict[str, str]:
    """Return the versions of the software with which a run is trained."""
    return {
        "loravit_web": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "timm": str(import_timm().__version__),
        "platform": platform.platform(),
    }


def _settings(config: Mapping[str, Any]) -> Any:
    """Return a configuration as it is read from the database, without the labels, which are of the data."""
    adapter = {name: value for name, value in config["adapter"].items() if name != "labels"}
    return json.loads(json.dumps({**config, "adapter": adapter}))


def _classes(dataset: ImageDataset) -> tuple[DatasetClass, ...]:
    def count(counts: dict[Split, int]) -> tuple[int, int, int]:
        return counts["train"], counts["val"], counts["test"]

    return tuple(DatasetClass(name, *count(counts)) for name, counts in dataset.counts().items())


def retried(run: Run, batch_size: int | None, environment: Mapping[str, str]) -> NewRun:
    """Return a copy of an ended run with a smaller batch.

    The environment of the copy contains the id of the ended run under ``retry_of``.

    Args:
        run: The ended run.
        batch_size: Batch size of the copy, or None for half the previous one.
        environment: Versions of the software that will train it.

    Raises:
        RunNotRetryable: If the run has not ended, or its batch size is 1 already.
        LoraVitError: If the batch size is invalid.
    """
    if run.status in ("queued", "running"):
        raise RunNotRetryable(f"Run {run.id} is {run.status}. Cancel it, or wait until it has ended.")
    recipe = Recipe.from_json(run.config)
    if batch_size is None and recipe.batch_size == 1:
        raise RunNotRetryable(
            f"The batch size of run {run.id} is 1 already. Choose a smaller image size instead."
        )
    smaller = replace(recipe, batch_size=recipe.batch_size // 2 if batch_size is None else batch_size)
    return NewRun(
        slug=run.slug,
        title=run.title,
        base_id=run.base_id,
        dataset_id=run.dataset_id,
        dataset_name=run.dataset.name,
        dataset_revision=run.dataset_revision,
        seed=run.seed,
        config=smaller.as_json(),
        environment={**environment, "retry_of": run.id},
    )
