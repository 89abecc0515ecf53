"""The next revision of a dataset, from new classes and images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from loravit_web.datasets.assembly import overlap_warnings
from loravit_web.datasets.records import ImageDataset, ImageItem, Skipped, fingerprint_of
from loravit_web.datasets.revisions.record import Placed, Revision, counted_changes
from loravit_web.datasets.scaling import revised_notes, without_scaling
from loravit_web.images.whites import NO_WHITES, Whites

_LINEAGE = re.compile(r" \(\d+ (?:changed from|added to) [0-9a-f]{8}\)$")
"""End of a name in which earlier versions of the app recorded a correction."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Classes and images of a revision that is to be stored.

    Attributes:
        classes: Names of the classes by label.
        items: Images of all splits.
        names: New names of renamed and merged classes by their old ones.
        skipped: Files that were not added.
        warnings: Warnings about the additions, as sentences.
        notes: What the additions were taken for, as sentences.
        added_whites: What would become white in the additions alone.
    """

    classes: Sequence[str]
    items: Sequence[ImageItem]
    names: Mapping[str, str] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    added_whites: Whites = NO_WHITES


def next_revision(dataset: ImageDataset, draft: Draft, number: int, owner: str | None) -> ImageDataset:
    """Return the revision after a dataset; its root is that of the dataset before.

    Args:
        dataset: Revision before.
        draft: Classes and images of the new one.
        number: Number of the new one.
        owner: Name of the owner, or None for the app.
    """
    classes, items = tuple(draft.classes), tuple(draft.items)
    after = [(item.split, item.sha256, tuple(classes[label] for label in item.labels)) for item in items]
    added, left_out, moved = counted_changes(_placed(dataset), after, draft.names)
    whites = None if dataset.whites is None else dataset.whites.joined(draft.added_whites)
    scaling = revised_notes(dataset.whites, draft.added_whites, whites)
    notes = (*draft.notes, *(without_scaling(dataset.notes) if scaling else dataset.notes))
    known = dataset.revision
    merged = {old for old, new in draft.names.items() if new in dataset.classes or _is_shared(draft, new)}
    revision = Revision(
        number=number,
        first=dataset.fingerprint if known is None else known.first,
        before=dataset.fingerprint,
        added=added,
        left_out=left_out,
        moved=moved,
        renamed=tuple((old, new) for old, new in draft.names.items() if old not in merged),
        merged=tuple((old, new) for old, new in draft.names.items() if old in merged),
    )
    return replace(
        dataset,
        name=_LINEAGE.sub("", dataset.name),
        classes=classes,
        items=items,
        skipped=draft.skipped,
        warnings=tuple(dict.fromkeys([*draft.warnings, *overlap_warnings(items)])),
        notes=tuple(dict.fromkeys([*scaling, *notes])),
        fingerprint=fingerprint_of(classes, items, owner, dataset.labels),
        owner=owner,
        revision=revision,
        whites=whites,
    )


def made_from(dataset: ImageDataset) -> str | None:
    """Return the fingerprint, or its beginning, of the dataset that another one was made from, or None."""
    if dataset.revision is not None:
        return dataset.revision.before
    found = _LINEAGE.search(dataset.name)
    return found[0][-9:-1] if found else None


def _placed(dataset: ImageDataset) -> list[Placed]:
    return [(item.split, item.sha256, dataset.names_of(item)) for item in dataset.items]


def _is_shared(draft: Draft, name: str) -> bool:
    return sum(new == name for new in draft.names.values()) > 1
