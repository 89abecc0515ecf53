from __future__ import annotations

from pathlib import Path

from loravit_web.datasets import ImageDataset, ImageItem, Skipped
from loravit_web.predictor import Answer, Label, TaskAnswer
from loravit_web.training.estimate import Estimate
from loravit_web.ui.markup import answer_columns, cost_summary, dataset_summary, notice

EVIL = "<img src=x onerror=alert(1)>${alert(2)}{{evil}}"


def test_names_from_users_are_escaped_in_answers() -> None:
    html = answer_columns(Answer((TaskAnswer(EVIL, EVIL, (Label(EVIL, 0.5),), None, 1.0),), 2.0))
    assert "<img" not in html
    assert "&lt;img" in html


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


def test_a_task_that_fails_shows_its_sentence_beside_the_others() -> None:
    good = TaskAnswer("a@1", "A", (Label("cat", 0.9),), None, 1.0)
    bad = TaskAnswer("b", "b", (), "There is no b.", 0.0)
    html = answer_columns(Answer((good, bad), 3.0))
    assert "cat" in html
    assert "There is no b." in html
    assert "1 task answered" in html
