"""Storing the images of a dataset in the artifact store, from which the nodes that train get them."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from loravit_web.datasets.errors import DatasetNotFound
from loravit_web.datasets.records import ImageDataset
from loravit_web.datasets.store import DatasetStore
from loravit_web.datasets.stored.packs import image_packs, records_pack
from registry import Registry

RECORDS = "records.tar"
"""File with manifest and names, which is stored last: with it, all images are there."""
IMAGES = "images-{:04d}.tar"
"""Files with images, counted from 1."""


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
