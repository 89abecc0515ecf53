from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from loravit_web.datasets import ImageDataset, ImageItem, Skipped
from loravit_web.training.estimate import Estimate
from loravit_web.ui.kit.markup import (
    beside_probe,
    correct_images,
    cost_summary,
    next_attempt,
    notice,
    run_progress,
)
from loravit_web.ui.train.found import found_html
from registry import Evaluation
from tests.runs.test_next_steps import run

WHEN = datetime(2026, 11, 25, tzinfo=timezone.utc)
EVIL = "<img src=x onerror=alert(1)>${alert(2)}{{evil}}"


def test_names_from_users_are_escaped_in_the_dataset_summary() -> None:
    dataset = ImageDataset(
        name=EVIL,
        source_kind="zip",
        classes=(EVIL, "plain"),
        items=tuple(ImageItem(f"{i}.jpg", "train", (i,), "0" * 64, ".jpg") for i in (0, 1)),
        skipped=(Skipped(EVIL, EVIL),),
        warnings=(EVIL,),
        fingerprint="0" * 64,
        root=Path(),
    )
    assert "<img" not in found_html(dataset)


def test_the_cost_of_a_training_is_one_sentence_with_time_memory_and_parameters() -> None:
    cost = Estimate(
        seconds=200,
        memory=1_300_000_000,
        parameters=249_610,
        train_images=3200,
        validation_images=800,
        epochs=6,
    )
    assert (
        "Up to 3 min and 1.3 GB of memory on this machine: 6 epochs on 3,200 training images, 800 validation "
        "images and 249,610 trained parameters."
    ) in cost_summary(cost)


def test_a_result_that_leaves_much_to_try_says_what() -> None:
    good = Evaluation("test", 100, 0.9, 0.1, 0.9, 0.8, None, None, WHEN)
    assert "the preset Draft or Quick" in next_attempt("instant", good)
    assert "the preset Quick" in next_attempt("draft", good)
    assert next_attempt("quick", good) == ""
    assert next_attempt("quick", replace(good, linear_probe_accuracy=None)) == ""
    assert next_attempt("quick", replace(good, linear_probe_accuracy=0.91)) == ""
    assert "“Head only”" in next_attempt("quick", replace(good, linear_probe_accuracy=0.99))


@pytest.mark.parametrize(
    ("n", "right", "by_probe", "told"),
    [
        (24, 23, 22, "Probe: 22 of 24; the difference is not significant."),
        (24, 22, 23, "Probe: 23 of 24; the difference is not significant."),
        (24, 23, 23, "Probe: 23 of 24, the same."),
        (2000, 1926, 1888, "Probe: 1,888 of 2,000; the difference is significant."),
    ],
)
def test_a_result_says_when_it_can_not_be_told_from_the_probe(
    n: int, right: int, by_probe: int, told: str
) -> None:
    judged = Evaluation("test", n, right / n, 0.1, 0.9, by_probe / n, None, None, WHEN)
    assert beside_probe(judged) == told
    assert beside_probe(replace(judged, linear_probe_accuracy=None)) == ""


@pytest.mark.parametrize(
    ("n", "right", "told"),
    [
        (14, 14, "14 of 14 test images correct (95% CI 78 to 100%)."),
        (10, 0, "0 of 10 test images correct (95% CI 0 to 28%)."),
        (100, 81, "81 of 100 test images correct (95% CI 72 to 87%)."),
        (4000, 3852, "3,852 of 4,000 test images correct (95% CI 95.7 to 96.8%)."),
        (0, 0, "0 of 0 test images correct (95% CI 0 to 100%)."),
    ],
)
def test_a_result_says_how_sure_its_accuracy_is(n: int, right: int, told: str) -> None:
    accuracy = right / n if n else 0.0
    assert correct_images(Evaluation("test", n, accuracy, 0.1, 0.9, None, None, None, WHEN)) == told


@pytest.mark.parametrize(
    ("stage", "told"), [("Reading 96 train images", False), ("Epoch 1 of 27", False), ("Epoch 2 of 27", True)]
)
def test_what_a_run_still_takes_is_told_once_an_epoch_was_timed(stage: str, told: bool) -> None:
    going = run("running", stage=stage, progress=0.2, eta_seconds=200.0)
    assert ("about 3 min left" in run_progress(going, position=None, ahead=None)) is told


def test_an_error_is_announced_to_screen_readers() -> None:
    assert 'role="alert"' in notice("broken", kind="error")
