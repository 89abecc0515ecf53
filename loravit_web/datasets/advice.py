"""What a person should know about a dataset before training on it."""

from __future__ import annotations

from loravit_web.datasets.records import ImageDataset

FEW = 10
UNEVEN = 10
NAMED = 5


def advice(dataset: ImageDataset) -> tuple[str, ...]:
    """One sentence for each thing to think of; none when all is well."""
    trained = {name: counts["train"] for name, counts in dataset.counts().items()}
    small = [f"“{name}” has {count}" for name, count in trained.items() if count < FEW]
    sentences = []
    if small:
        more = f" and {len(small) - NAMED} more" if len(small) > NAMED else ""
        sentences.append(
            f"Few training images: {', '.join(small[:NAMED])}{more}; at least {FEW} in each class is better."
        )
    largest, smallest = max(trained, key=lambda n: trained[n]), min(trained, key=lambda n: trained[n])
    if trained[largest] >= UNEVEN * trained[smallest]:
        sentences.append(
            f"“{largest}” has {trained[largest]} training images and “{smallest}” {trained[smallest]}: "
            "each class counts the same in training, but the rare ones are learned from little."
        )
    return tuple(sentences)
