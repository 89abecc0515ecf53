"""Answers say that they are unsure, or that an image is unlike the training images."""

from __future__ import annotations

import pytest

from loravit_web.serving.answers import Label, TaskAnswer
from registry import Thresholds


def answered(confidence: float | None, novelty: float | None, thresholds: Thresholds) -> TaskAnswer:
    labels = (Label("cat", 0.9),)
    return TaskAnswer(
        "pets@1", "Pets", labels, None, 1.0, novelty, confidence=confidence, thresholds=thresholds
    )


@pytest.mark.parametrize(
    ("confidence", "novelty", "unsure", "unlike"),
    [
        (0.5, 0.85, False, False),
        (0.49, 0.85, True, False),
        (1.0, 0.86, True, False),  # nearly unlike
        (1.0, 1.01, True, True),
        (1.0, None, False, None),
        (None, 0.9, False, False),
        (None, None, False, None),
    ],
)
def test_an_answer_follows_the_trained_thresholds(
    confidence: float | None, novelty: float | None, unsure: bool, unlike: bool | None
) -> None:
    answer = answered(confidence, novelty, Thresholds())
    assert (answer.unsure, answer.unlike) == (unsure, unlike)


@pytest.mark.parametrize(
    ("thresholds", "unsure", "unlike"),
    [
        (Thresholds(unlike=2.0), True, False),
        (Thresholds(unlike=1.7, unsure=0.3), True, False),
        (Thresholds(unlike=1.8, unsure=0.3), False, False),
        (Thresholds(unlike=1.8, unsure=0.4), False, False),
        (Thresholds(unlike=1.49, unsure=0.41), True, True),
    ],
)
def test_an_answer_follows_the_changed_thresholds(thresholds: Thresholds, unsure: bool, unlike: bool) -> None:
    answer = answered(0.4, 1.5, thresholds)
    assert (answer.unsure, answer.unlike) == (unsure, unlike)


@pytest.mark.parametrize("thresholds", [Thresholds(), Thresholds(1.2, 0.8)])
def test_the_doubt_is_above_1_where_an_answer_is_unsure_or_an_image_unlike(thresholds: Thresholds) -> None:
    for confidence in (0.0, 0.3, 0.6, 0.9):
        for novelty in (None, 0.5, 1.1, 1.3):
            answer = answered(confidence, novelty, thresholds)
            assert answer.doubt is not None
            assert (answer.doubt > 1) == (answer.unsure or bool(answer.unlike))
    assert answered(None, None, thresholds).doubt is None
    # with several labels per image, the novelty decides
    several = answered(None, 1.3, thresholds)
    assert several.doubt is not None
    assert (several.doubt > 1, several.unsure) == (True, False)
