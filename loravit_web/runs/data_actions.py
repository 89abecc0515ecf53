"""Changes of stored datasets by a visitor. Each action checks the right that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loravit_web.access.guard import needs
from loravit_web.access.rights import Visitor
from loravit_web.runs.deletion import DatasetDeletion, dataset_deletion_of
from registry import Registry

if TYPE_CHECKING:
    from loravit_web.datasets import DatasetStore


class DataActions:
    """Changes of stored datasets by one visitor. They do not import torch.

    Args:
        registry: Registry as the visitor sees it.
        visitor: Visitor who makes the changes.
        stored: Stored images as the visitor sees them.
    """

    def __init__(self, registry: Registry, visitor: Visitor, stored: DatasetStore) -> None:
        self.visitor = visitor
        self._registry, self._stored = registry, stored

    @needs("train")
    def delete_dataset(self, dataset: str) -> DatasetDeletion:
        """Delete the images of a dataset; see `dataset_deletion_of`. Runs and versions stay.

        An admin deletes the dataset for everyone. Another visitor deletes their own import, and the images if
        no one else imported them.

        Args:
            dataset: Title of the dataset, or the beginning of its fingerprint.

        Returns:
            What was removed, and what still refers to it.

        Raises:
            NotAllowed: If the visitor may not train, or did not import the dataset.
            DatasetInUse: If a queued or running training needs it.
            DatasetError: If there is no such dataset, or it cannot be deleted.
        """
        deletion = dataset_deletion_of(self._registry, self._stored, self.visitor, dataset)
        everywhere = self.visitor.may("manage")
        self._stored.delete(deletion.fingerprint, importer=None if everywhere else self.visitor.name)
        if deletion.images and self._registry.dataset_files.remove(deletion.fingerprint):
            self._registry.maintenance.remove_released()
        if deletion.images and not self.visitor.is_guest:
            self._registry.datasets.record_deletion(
                deletion.fingerprint, images=deletion.images, actor=self.visitor.name
            )
        return deletion
