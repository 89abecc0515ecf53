"""Warnings about a dataset that users should know before training."""

from __future__ import annotations

from loravit_web.datasets.records import ImageDataset

FEW_IMAGES = 10
"""Number of training images below which a class is reported."""
IMBALANCE = 10
"""Ratio of the largest to the smallest class from which the imbalance is reported."""
MAX_NAMED = 5
"""Maximum number of classes that a warning names."""


def advice(dataset: ImageDataset) -> tuple[str, ...]:
    """Return one sentence per problem of a dataset, or an empty tuple."""
    small = [f"“{name}” has {count}" for name, count in small_classes(dataset).items()]
    sentences = []
    if small:
        more = f" and {len(small) - MAX_NAMED} more" if len(small) > MAX_NAMED else ""
        sentences.append(
            f"Few training images: {', '.join(small[:MAX_NAMED])}{more}. Add images until each class has at "
            f"least {FEW_IMAGES}."
        )
    return (*sentences, *imbalance(dataset))


def small_classes(dataset: ImageDataset) -> dict[str, int]:
    """Return the number of training images of each class that has fewer than `FEW_IMAGES`."""
    return {
        name: counts["train"] for name, counts in dataset.counts().items() if counts["train"] < FEW_IMAGES
    }


def imbalance(dataset: ImageDataset) -> tuple[str, ...]:
    """Return a sentence about the largest and the smallest class if their sizes differ much, or nothing."""
    trained = {name: counts["train"] for name, counts in dataset.counts().items()}
    largest, smallest = max(trained, key=lambda n: trained[n]), min(trained, key=lambda n: trained[n])
    if trained[largest] < IMBALANCE * trained[smallest]:
        return ()
    return (
        f"“{largest}” has {trained[largest]} training images, “{smallest}” only {trained[smallest]}. All "
        "classes have the same weight in training, but rare ones are learned from few images.",
    )
