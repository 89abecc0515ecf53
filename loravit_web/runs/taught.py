"""The training data of a version, as it can be extended now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loravit_web.errors import LoraVitError
from registry import Registry, Version

if TYPE_CHECKING:  # commands start without the libraries for images
    from loravit_web.datasets import DatasetStore, ImageDataset


class NotTrainedHere(LoraVitError):
    """A version whose training data is not in this app."""


def taught_dataset(registry: Registry, stored: DatasetStore, ref: str) -> tuple[ImageDataset, Version]:
    """Return the newest revision of the training data of a version that was trained here, and the version.

    Args:
        registry: Registry with the version.
        stored: Store with its training data.
        ref: ``slug``, ``slug@2`` or ``slug@alias``.

    Raises:
        NotTrainedHere: If it was trained elsewhere.
        DatasetError: If the images are not stored any more.
        RegistryError: If there is no such version.
    """
    version = registry.catalog.resolve(ref)
    if version.run_id is None or version.dataset_fingerprint is None:
        raise NotTrainedHere(f"{version.ref} was trained elsewhere, so its training data is not here.")
    return stored.newest_revision(stored.load(version.dataset_fingerprint)), version
