"""Assembly of a dataset from imported images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loravit_web.datasets.effects import effects_of, notes_of
from loravit_web.datasets.errors import TooManyImages
from loravit_web.datasets.ingestion import Ingested, same_names
from loravit_web.datasets.layout.files import suffix_of
from loravit_web.datasets.records import MAX_NAME, ImageDataset, ImageItem, Skipped, fingerprint_of
from loravit_web.datasets.similar import matched_across_splits
from loravit_web.datasets.sources.opening import Source
from loravit_web.datasets.sources.scan import check_classes, sorted_classes
from loravit_web.images.whites import Whites, whites_of
from loravit_web.settings.limits import Limits
from loravit_web.util.labels import several
from loravit_web.util.text import clean_text, plural


def settled(source: Source, limits: Limits) -> Source:
    """Return a source whose classes have one name in all splits, after checking its plan.

    Args:
        source: Source of the images.
        limits: Limits of the import.

    Raises:
        TooManyImages: If it has too many images.
        LayoutError: If the classes do not suffice.
    """
    placements, notes = matched_across_splits(source.plan.placements)
    if len(placements) > limits.images:
        raise TooManyImages(
            f"The dataset has {len(placements)} images, and the limit is {limits.images}. Use fewer images."
        )
    placed = ((place.split, name) for place in placements for name in place.class_names)
    check_classes(
        placed,
        skipped=source.plan.skipped,
        max_classes=limits.classes,
        from_table=source.plan.from_table,
    )
    plan = replace(source.plan, placements=placements, notes=(*notes, *source.plan.notes))
    return replace(source, plan=plan)


@dataclass(frozen=True, slots=True)
class Findings:
    """Images and classes of a source, before it is decided whether they suffice.

    Attributes:
        classes: Names of the classes by label.
        items: Images of all splits.
        skipped: Skipped files, sorted by path.
        warnings: Sentences about what is left out.
        notes: Sentences about what was taken for what.
        from_table: Whether a table names the images and their classes.
        whites: What becomes white in images of more than 8 bits.
    """

    classes: tuple[str, ...]
    items: tuple[ImageItem, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    from_table: bool
    whites: Whites

    def check(self, max_classes: int) -> None:
        """Check that a classifier can be trained on the images; see `check_classes`."""
        placed = ((item.split, self.classes[label]) for item in self.items for label in item.labels)
        check_classes(placed, skipped=self.skipped, max_classes=max_classes, from_table=self.from_table)


def find(source: Source, ingested: Sequence[Ingested]) -> Findings:
    """Return what the candidates of a source give.

    Args:
        source: Source of the images.
        ingested: Result of each candidate.
    """
    skipped = [Skipped(result.placement.path, result.reason) for result in ingested if result.reason]
    masks = _masks_beside(ingested)
    skipped += [Skipped(path, f"it looks like a mask of {image}") for path, image in masks.items()]
    good = [result for result in ingested if not result.reason and result.placement.path not in masks]
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
    masked: tuple[str, ...] = ()
    if masks:
        count, example = plural(len(masks), "file"), next(iter(masks))
        masked = (
            f"{count} of few colors beside an image of the same name are left out as masks: {example}.",
        )
    return Findings(
        classes,
        items,
        tuple(sorted([*source.plan.skipped, *skipped], key=lambda entry: entry.path)),
        (*effects_of(source.plan, ingested, classes), *masked, *overlap_warnings(items)),
        (
            *notes_of(source.plan, ingested, classes),
            *([_per_image(items)] if several(source.plan.labels) and items else []),
        ),
        source.plan.from_table,
        whites_of(result.levels for result in good if result.levels is not None),
    )


def _masks_beside(ingested: Sequence[Ingested]) -> dict[str, str]:
    """Return images of few colors beside one of many colors and the same name, by path, with that image."""
    named = same_names([result.placement for result in ingested if not result.reason])
    groups: defaultdict[str, list[Ingested]] = defaultdict(list)
    for result in ingested:
        if result.placement.index in named:
            groups[named[result.placement.index]].append(result)
    masks = {}
    for group in groups.values():
        images = [result.placement.path for result in group if not result.has_few_colors]
        if images:
            masks.update({one.placement.path: images[0] for one in group if one.has_few_colors})
    return masks


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
    found = find(source, ingested)
    found.check(max_classes)
    return ImageDataset(
        name=clean_text(name or source.name)[:MAX_NAME],
        source_kind=source.kind,
        classes=found.classes,
        items=found.items,
        skipped=found.skipped,
        warnings=found.warnings,
        fingerprint=fingerprint_of(found.classes, found.items, owner, source.plan.labels),
        root=Path(),
        owner=owner,
        labels=source.plan.labels,
        notes=found.notes,
        whites=found.whites,
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
