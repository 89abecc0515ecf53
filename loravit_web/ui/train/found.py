"""What was found in a dataset: one row per class with some of its images, and warnings where they belong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from loravit_web.datasets import SPLITS, ImageDataset, ImageItem, NearDuplicates
from loravit_web.datasets.advice import FEW_IMAGES, imbalance, small_classes
from loravit_web.images.loading import ImageError
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.kit.served import file_link
from loravit_web.ui.kit.thumbnails import thumbnail
from loravit_web.ui.language.texts import _, ngettext
from loravit_web.ui.runs.watch import dataset_line
from loravit_web.ui.templates import render

PER_CLASS, IN_ALL = 8, 96
"""Maximum number of thumbnails per class and in all. Each costs the decoding of an image."""
SKIPPED_SHOWN = 500
"""Maximum number of skipped files that are listed."""


def found_html(dataset: ImageDataset, images: Mapping[str, Sequence[str]] | None = None) -> Markup:
    """Return what was found: counts and images of each class, warnings, notes and skipped files.

    Args:
        dataset: Dataset to show.
        images: Links to thumbnails by class, or None while they are not there yet.
    """
    counts = dataset.counts()
    return render(
        "train/dataset",
        dataset=dataset,
        summary=dataset_line(dataset.title, len(dataset.items), len(dataset.classes)),
        counts=counts,
        most=max(sum(numbers.values()) for numbers in counts.values()),
        splits=[split for split in SPLITS if any(numbers[split] for numbers in counts.values())],
        small=small_classes(dataset),
        few=FEW_IMAGES,
        imbalance=imbalance(dataset),
        images=images or {},
        room=_shown_per_class(dataset),
        skipped_shown=SKIPPED_SHOWN,
    )


def class_images(dataset: ImageDataset) -> dict[str, list[str]]:
    """Return links to thumbnails of the first images of each class; unreadable ones are left out."""
    most = _shown_per_class(dataset)
    chosen: list[list[ImageItem]] = [[] for _ in dataset.classes]
    for item in sorted(dataset.items, key=lambda item: SPLITS.index(item.split)):
        for label in item.labels:
            if len(chosen[label]) < most:
                chosen[label].append(item)
    return {
        name: [link for item in items if (link := _thumbnail_link(dataset, item))]
        for name, items in zip(dataset.classes, chosen, strict=True)
    }


def doubles_pending() -> Markup:
    """Return the notice that stands where `doubles_notice` will be, so that nothing below it moves then."""
    return notice(_("Looking for near-duplicates…"))


def doubles_notice(found: NearDuplicates, images: int) -> str:
    """Return a notice with the number of near-duplicates.

    Args:
        found: Result of the search.
        images: Number of images in the dataset.
    """
    among = (
        _(
            "among the {compared} of {images} images that were compared",
            compared=found.compared,
            images=images,
        )
        if found.compared < images
        else _("among {images} images", images=images)
    )
    if not found.pairs:
        return notice(_("No near-duplicates {among}.", among=among), kind="success")
    sentences = [
        ngettext(
            "{n} pair of near-duplicates {among}.",
            "{n} pairs of near-duplicates {among}.",
            len(found.pairs),
            among=among,
        )
    ]
    if found.across:
        sentences.append(
            _(
                "In {n} of them, one image is a training image and the other is not; this inflates the "
                "measured accuracy.",
                n=found.across,
            )
        )
    sentences.append(_("“One of each pair” below shows which images to exclude."))
    return notice(" ".join(sentences), kind="warning")


def continue_text(dataset: ImageDataset) -> str:
    """Return the text of the button that leads to the settings."""
    return ngettext("Continue with {n} image", "Continue with {n} images", len(dataset.items))


def _shown_per_class(dataset: ImageDataset) -> int:
    return min(PER_CLASS, IN_ALL // len(dataset.classes))


def _thumbnail_link(dataset: ImageDataset, item: ImageItem) -> str | None:
    try:
        return file_link(thumbnail(dataset, item))
    except ImageError:
        return None  # the training reports it
