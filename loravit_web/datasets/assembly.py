"""Assembly of a dataset from imported images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from loravit_web.datasets.ingestion import Ingested
from loravit_web.datasets.records import MAX_NAME, ImageDataset, ImageItem, Skipped, fingerprint_of
from loravit_web.datasets.sources.opening import Source
from loravit_web.datasets.sources.scan import check_classes, sorted_classes, suffix_of
from loravit_web.util.labels import several
from loravit_web.util.text import clean_text


def assemble(
    source: Source, ingested: Sequence[Ingested], name: str | None, max_classes: int, owner: str | None
) -> ImageDataset:
    """Return the dataset of the valid candidates; its root is not set.

    Args:
        source: Source of the images.
        ingested: Result of each candidate.
        name: Name of the dataset, or None for the name of the source.
        max_classes: Maximum number of classes.
        owner: Name of the owner, or None for the app.

    Raises:
        LayoutError: If too few images are left.
    """
    skipped = [Skipped(result.placement.path, result.reason) for result in ingested if result.reason]
    good = [result for result in ingested if not result.reason]
    classes = sorted_classes(name for result in good for name in result.placement.class_names)
    label_of = {class_name: label for label, class_name in enumerate(classes)}
    first: dict[tuple[str, tuple[int, ...], str], ImageItem] = {}
    for result in good:
        place = result.placement
        suffix = suffix_of(place.path)
        labels = tuple(sorted(label_of[name] for name in place.class_names))
        item = ImageItem(place.path, place.split, labels, result.sha256, suffix)
        kept = first.setdefault((item.split, item.labels, item.sha256), item)
        if kept is not item:
            skipped.append(Skipped(item.path, f"it is a duplicate of {kept.path}"))
    items = tuple(first.values())
    check_classes(
        ((item.split, classes[label]) for item in items for label in item.labels),
        skipped=skipped,
        max_classes=max_classes,
    )
    return ImageDataset(
        name=clean_text(name or source.name)[:MAX_NAME],
        source_kind=source.kind,
        classes=classes,
        items=items,
        skipped=tuple(sorted([*source.plan.skipped, *skipped], key=lambda entry: entry.path)),
        warnings=overlap_warnings(items),
        fingerprint=fingerprint_of(classes, items, owner, source.plan.labels),
        root=Path(),
        owner=owner,
        labels=source.plan.labels,
        notes=(*source.plan.notes, *([_per_image(items)] if several(source.plan.labels) else [])),
    )


def _per_image(items: Sequence[ImageItem]) -> str:
    """Return how many labels the images have, as a sentence."""
    mean = sum(len(item.labels) for item in items) / len(items)
    without = sum(not item.labels for item in items)
    return f"An image has {mean:.1f} labels on average. {without or 'No'} image(s) have none."


def overlap_warnings(items: Sequence[ImageItem]) -> tuple[str, ...]:
    """Return a warning if images appear in several splits, and one if they have different labels."""
    splits: defaultdict[str, set[str]] = defaultdict(set)
    labels: defaultdict[str, set[tuple[int, ...]]] = defaultdict(set)
    for item in items:
        splits[item.sha256].add(item.split)
        labels[item.sha256].add(item.labels)
    leaked = sum(len(found) > 1 for found in splits.values())
    ambiguous = sum(len(found) > 1 for found in labels.values())
    warnings = []
    if leaked:
        warnings.append(
            f"{leaked} image(s) appear in more than one of train, val and test, so the measured accuracy "
            "will be too high."
        )
    if ambiguous:
        warnings.append(
            f"{ambiguous} image(s) appear more than once with different labels, so no model can classify all "
            "of them correctly."
        )
    return tuple(warnings)
