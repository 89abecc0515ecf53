"""The values from which a card computes how well a version tells what it does not know."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from loravit_web.training.files.reliability import (
    MOST_IMAGES,
    Reliability,
    Told,
    confidence,
    doubt,
    read_reliability,
    reliability_of,
)

FOUR = Reliability(
    novelty=(0.5, 1.2, 0.9, 0.4), confidence=(0.9, 0.9, 0.3, 0.8), correct=(True, False, False, False)
)


@pytest.mark.parametrize(
    ("best", "second", "expected"), [(0.9, 0.1, 0.9), (0.9, 0.0, 0.9), (0.55, 0.45, 1 / 3), (0.4, 0.4, 0.0)]
)
def test_the_confidence_is_the_best_score_unless_the_second_class_is_close(
    best: float, second: float, expected: float
) -> None:
    assert confidence(best, second) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("confidence", "novelty", "expected"),
    [
        (1.0, 0.0, 0.0),
        (0.5, 0.8, 0.9),
        (0.5, 1.0, 2.0),
        (0.5, None, 1.0),
        (0.75, 1.5, 2.0),
        (0.25, 0.5, 2.0),
        (0.0, None, 3.0),
    ],
)
def test_the_doubt_grows_with_either_reason_and_is_above_1_beyond_a_threshold(
    confidence: float, novelty: float | None, expected: float
) -> None:
    assert doubt(confidence, novelty, unlike=1.0, unsure=0.5) == pytest.approx(expected)


def test_each_image_is_told_once() -> None:
    # the novelty of 0.9 is close to the threshold, but that answer is unsure anyway
    assert FOUR.told(unlike=1.0, unsure=0.5) == Told(n=4, unlike=1, unsure=1, correct=1)
    assert FOUR.told(unlike=1.0, unsure=0.2) == Told(n=4, unlike=1, unsure=1, correct=1)
    assert FOUR.told(unlike=1.0, unsure=0.5).sure == 2
    # an image that is both unlike and unsure counts as unlike
    assert FOUR.told(unlike=0.6, unsure=0.5) == Told(n=4, unlike=2, unsure=0, correct=1)
    assert FOUR.told(unlike=0.55, unsure=0.5) == Told(n=4, unlike=2, unsure=1, correct=0)
    assert FOUR.told(unlike=9.0, unsure=0.0) == Told(n=4, unlike=0, unsure=0, correct=1)


def test_a_version_that_cannot_tell_unlike_images_tells_unsure_ones() -> None:
    values = Reliability(None, FOUR.confidence, FOUR.correct)
    assert values.told(unlike=0.0, unsure=0.5) == Told(n=4, unlike=None, unsure=1, correct=1)


def test_values_are_written_and_read_again() -> None:
    for values in (FOUR, Reliability(None, (1.0,), (True,))):
        assert read_reliability(values.as_json()) == values


def test_values_follow_from_logits_labels_and_novelty() -> None:
    logits = torch.tensor([[0.9, 0.1], [0.45, 0.55]]).log()
    found = reliability_of(logits, torch.tensor([0, 0]), torch.tensor([0.5, 1.25]))
    assert found.novelty == (0.5, 1.25)
    assert found.confidence == pytest.approx((0.9, 1 / 3), abs=1e-3)
    assert found.correct == (True, False)


def test_of_a_large_split_images_in_equal_steps_are_stored() -> None:
    images = 3 * MOST_IMAGES
    labels = torch.arange(images) % 3
    found = reliability_of(torch.eye(3)[labels] * 9, labels, None)
    assert (len(found.correct), found.novelty) == (MOST_IMAGES, None)
    assert all(found.correct)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"confidence": "0.5", "correct": ""},
        {"confidence": "", "correct": ""},
        {"confidence": "0.5 x", "correct": "11"},
        {"confidence": "1.5", "correct": "1"},
        {"confidence": "nan", "correct": "1"},
        {"confidence": "0.5", "correct": "2"},
        {"confidence": [0.5], "correct": "1"},
        {"confidence": "0.5", "correct": "1", "novelty": "-1"},
        {"confidence": "0.5", "correct": "1", "novelty": "1 1"},
        {"confidence": "1 " * (MOST_IMAGES + 1), "correct": "1" * (MOST_IMAGES + 1)},
    ],
)
def test_an_invalid_document_is_refused(document: Any) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_reliability(document)
