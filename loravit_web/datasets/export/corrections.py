"""What was corrected in a dataset, in comparison with the one that it was made from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from loravit_web.datasets.errors import DatasetDamaged, DatasetNotFound
from loravit_web.datasets.records import ImageDataset
from loravit_web.datasets.revisions.next import made_from
from loravit_web.datasets.store import DatasetStore


@dataclass(frozen=True, slots=True)
class Correction:
    """A change of one image.

    Attributes:
        path: Path of the image at the user's side.
        split: Split of the image.
        before: Names of its classes before, or None if the image was added.
        after: Names of its classes after, or None if the image was removed.
    """

    path: str
    split: str
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None


def corrections_of(dataset: ImageDataset, store: DatasetStore) -> tuple[Correction, ...] | None:
    """Return what was corrected in a dataset; nothing for one that is as it was imported.

    Args:
        dataset: The dataset.
        store: Store of the dataset that it was made from.

    Returns:
        The corrections, or None if the dataset before the corrections is no longer stored.
    """
    before = made_from(dataset)
    if before is None:
        return ()
    try:
        original = store.find(before)
    except (DatasetNotFound, DatasetDamaged):
        return None
    now: defaultdict[tuple[str, str], set[tuple[str, ...]]] = defaultdict(set)
    for item in dataset.items:
        now[item.split, item.sha256].add(dataset.names_of(item))
    known = {(item.split, item.sha256, original.names_of(item)) for item in original.items}
    found = []
    for item in original.items:
        names, here = original.names_of(item), now[item.split, item.sha256]
        if names not in here:
            new = sorted(after for after in here if (item.split, item.sha256, after) not in known)
            found.append(Correction(item.path, item.split, names, new[0] if new else None))
    places = {(item.split, item.sha256) for item in original.items}
    found += [
        Correction(item.path, item.split, None, dataset.names_of(item))
        for item in dataset.items
        if (item.split, item.sha256) not in places
    ]
    return tuple(found)
