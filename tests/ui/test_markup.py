from __future__ import annotations

from pathlib import Path

from loravit_web.datasets import ImageDataset, ImageItem, Skipped
from loravit_web.training.estimate import Estimate
from loravit_web.ui.markup import cost_summary, dataset_summary, notice

EVIL = "<img src=x onerror=alert(1)>${alert(2)}{{evil}}"


def test_names_from_users_are_escaped_in_the_dataset_summary() -> None:
    dataset = ImageDataset(
        name=EVIL,
        source_kind="zip",
        classes=(EVIL, "plain"),
        items=tuple(ImageItem(f"{i}.jpg", "train", i, "0" * 64, ".jpg") for i in (0, 1)),
        skipped=(Skipped(EVIL, EVIL),),
        warnings=(EVIL,),
        fingerprint="0" * 64,
        root=Path(),
    )
    assert "<img" not in dataset_summary(dataset)


def test_the_cost_of_a_training_is_one_sentence_with_time_memory_and_parameters() -> None:
    cost = Estimate(seconds=200, memory=1_300_000_000, parameters=249_610, train_images=3200, epochs=6)
    assert (
        "Up to 3 min and 1.3 GB of memory on this machine: 6 epochs over 3,200 images, 249,610 trained"
        in (cost_summary(cost))
    )


def test_an_error_is_announced_to_screen_readers() -> None:
    assert 'role="alert"' in notice("broken", kind="error")
