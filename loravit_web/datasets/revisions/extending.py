"""Images that are added to a dataset: which of them are new, and in which class."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from loravit_web.datasets.assembly import Findings
from loravit_web.datasets.errors import DatasetError, TooManyImages
from loravit_web.datasets.records import ImageDataset, Skipped
from loravit_web.datasets.revisions.next import Draft
from loravit_web.datasets.scaling import without_scaling
from loravit_web.datasets.similar import key_of
from loravit_web.datasets.sources.opening import Source
from loravit_web.datasets.sources.scan import check_classes, sorted_classes
from loravit_web.settings.limits import Limits
from loravit_web.util.labels import several
from loravit_web.util.text import plural


class NothingAdded(DatasetError):
    """An addition without any new image."""


class OtherLabels(DatasetError):
    """An addition of images with several labels to images with one, or the other way round."""


def check_room(dataset: ImageDataset, source: Source, limits: Limits) -> Source:
    """Return a source of additions with the class names of a dataset, after checking its plan.

    A name that differs from one class of the dataset only in case, spaces or the form of a number means that
    class.

    Args:
        dataset: Dataset to extend.
        source: Source of the images.
        limits: Limits of an import.

    Raises:
        NothingAdded: If the source has no labeled image.
        OtherLabels: If only one of both has several labels per image.
        TooManyImages: If there would be too many images.
    """
    plan = source.plan
    if not plan.placements:
        raise NothingAdded(
            "No image with a class was found. Name the class of the images, or put them into class folders."
        )
    if plan.labels != dataset.labels:
        ours, theirs = (
            "several labels" if several(one) else "one label" for one in (dataset.labels, plan.labels)
        )
        raise OtherLabels(
            f"The images of “{dataset.title}” have {ours} each, and the new ones {theirs}. Import the new "
            "ones as a dataset of their own."
        )
    total = len(dataset.items) + len(plan.placements)
    if total > limits.images:
        raise TooManyImages(
            f"The dataset would have {total} images, and the limit is {limits.images}. Add fewer images."
        )
    by_key: defaultdict[str, set[str]] = defaultdict(set)
    for name in dataset.classes:
        by_key[key_of(name)].add(name)
    names = {name for place in plan.placements for name in place.class_names} - set(dataset.classes)
    meant = {
        name: next(iter(known))
        for name in sorted(names)
        if len(known := by_key.get(key_of(name), set())) == 1
    }
    placements = tuple(
        replace(place, class_names=tuple(meant.get(name, name) for name in place.class_names))
        for place in plan.placements
    )
    notes = [f"Images of “{name}” were taken for the class “{kept}”." for name, kept in meant.items()]
    return replace(source, plan=replace(plan, placements=placements, notes=(*notes, *plan.notes)))


def joined(dataset: ImageDataset, found: Findings, max_classes: int) -> Draft:
    """Return a dataset with new images. An image that the dataset has already is not added again.

    Args:
        dataset: Revision before.
        found: Images to add.
        max_classes: Maximum number of classes.

    Raises:
        NothingAdded: If the dataset has all images already, or none can be read.
        LayoutError: If a new class has too few images, or there are too many classes.
    """
    known = {item.sha256: item for item in dataset.items}
    skipped = list(found.skipped)
    for item in found.items:
        if item.sha256 in known:
            names = " and ".join(f"“{name}”" for name in dataset.names_of(known[item.sha256]))
            skipped.append(
                Skipped(item.path, f"it is in the dataset already, as {names or 'without a label'}")
            )
    added = [item for item in found.items if item.sha256 not in known]
    if not added:
        reason = f" ({skipped[0].path}: {skipped[0].reason})" if skipped else ""
        raise NothingAdded(
            f"None of {plural(len(skipped), 'file')} can be added{reason}. Add images that “{dataset.title}” "
            "does not have."
        )
    new_names = {found.classes[label] for item in added for label in item.labels}
    classes = sorted_classes([*dataset.classes, *new_names])
    label_of = {name: label for label, name in enumerate(classes)}
    items = [
        replace(item, labels=tuple(sorted(label_of[names[label]] for label in item.labels)))
        for names, images in ((dataset.classes, dataset.items), (found.classes, added))
        for item in images
    ]
    placed = ((item.split, classes[label]) for item in items for label in item.labels)
    check_classes(placed, skipped=tuple(skipped), max_classes=max_classes)
    return Draft(
        classes,
        items,
        skipped=tuple(sorted(skipped, key=lambda entry: entry.path)),
        warnings=found.warnings,
        notes=tuple(without_scaling(found.notes)),
        added_whites=found.whites,
    )
