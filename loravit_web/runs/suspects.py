"""Suspicious labels of a run, and those of the last run on a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loravit_web.runs.taught import taught_dataset
from loravit_web.training.files.suspects import SUSPECTS, Suspects, read_suspects
from registry import Registry, UnknownDataset, UnknownRunFile

if TYPE_CHECKING:  # commands that list suspects start without the libraries for images
    from loravit_web.datasets import DatasetStore, ImageDataset, ImageItem


@dataclass(frozen=True, slots=True)
class Doubted:
    """An image of a dataset whose label looks wrong.

    Attributes:
        item: The image.
        label: Name of its class.
        suggested: Name of the class that is more probable.
        probability: Calibrated probability of ``suggested``, 0 to 1.
    """

    item: ImageItem
    label: str
    suggested: str
    probability: float


def suspects_of_run(registry: Registry, run_id: str) -> Suspects | None:
    """Return the suspects of a run, or None if it stored none, as runs of older versions.

    Raises:
        SuspectsDamaged: If the file of the run cannot be read.
        RegistryError: If the store cannot be read.
    """
    try:
        return read_suspects(registry.run_files.read(run_id, SUSPECTS))
    except UnknownRunFile:
        return None


def last_suspects(registry: Registry, fingerprint: str) -> Suspects | None:
    """Return the suspects of the newest run on a dataset that stored some, or None.

    Raises:
        SuspectsDamaged: If the file of the run cannot be read.
        RegistryError: If the store cannot be read.
    """
    try:
        runs = registry.lineage.of_dataset(fingerprint).runs
    except UnknownDataset:  # nothing was trained on it
        return None
    found = (suspects_of_run(registry, run_id) for run_id in runs)
    return next((suspects for suspects in found if suspects is not None), None)


def doubted_images(suspects: Suspects, dataset: ImageDataset) -> list[Doubted]:
    """Return the suspects that are in a dataset, the most suspicious first.

    Args:
        suspects: Suspects of a run on this dataset.
        dataset: The dataset.
    """
    items = {(item.sha256, item.label): item for item in dataset.items}
    names = dataset.classes
    return [
        Doubted(item, names[suspect.label], names[suspect.suggested], suspect.probability)
        for suspect in suspects.found
        if (item := items.get((suspect.sha256, suspect.label))) is not None
    ]


def doubted_of_task(registry: Registry, stored: DatasetStore, ref: str) -> list[Doubted]:
    """Return the suspects in the newest training data of a version, the most suspicious first.

    Args:
        registry: Registry with the version.
        stored: Store with its training data.
        ref: ``slug``, ``slug@2`` or ``slug@alias``.

    Raises:
        NotTrainedHere: If it was trained elsewhere.
        DatasetError: If the images are not stored any more.
        SuspectsDamaged: If the file of the run cannot be read.
        RegistryError: If there is no such version.
    """
    dataset, _version = taught_dataset(registry, stored, ref)
    suspects = last_suspects(registry, dataset.fingerprint)
    return doubted_images(suspects, dataset) if suspects is not None else []
