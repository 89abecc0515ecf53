"""Every limit has a variable, a default, and an error for invalid values."""

from __future__ import annotations

from dataclasses import fields

import pytest

from loravit_web.images.loading import LARGEST_MAX_PIXELS
from loravit_web.settings.limits import HARD_LIMITS, InvalidLimit, Limits, as_environment, read_limits


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_limits({}) == read_limits({"LORAVIT_MAX_CLASSES": " "}) == Limits()


def test_a_variable_only_sets_its_limit() -> None:
    assert read_limits({"LORAVIT_MAX_CLASSES": "10"}) == Limits(classes=10)


def test_a_worker_with_the_environment_has_the_same_limits() -> None:
    limits = Limits(**{one.name: number for number, one in enumerate(fields(Limits), start=1)})
    assert read_limits(as_environment(limits)) == limits


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "1e3", "²", "9" * 5000, "1 000"])
def test_an_invalid_value_is_rejected_with_its_variable(value: str) -> None:
    with pytest.raises(InvalidLimit, match="^LORAVIT_MAX_IMAGES is .* Set it to an integer from 1 to"):
        read_limits({"LORAVIT_MAX_IMAGES": value})


def test_no_setting_allows_images_larger_than_those_that_can_be_read_back() -> None:
    assert HARD_LIMITS["megapixels"] * 1_000_000 == LARGEST_MAX_PIXELS
    with pytest.raises(InvalidLimit, match="from 1 to 150"):
        read_limits({"LORAVIT_MAX_MEGAPIXELS": "151"})
