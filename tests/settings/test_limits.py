"""Every limit has a variable, a sane default and one sentence for a value that can't be used."""

from __future__ import annotations

from dataclasses import fields

import pytest

from loravit_web.images.loading import LARGEST_MAX_PIXELS
from loravit_web.settings.limits import MOST, Limits, LimitUnusable, as_environment, read_limits


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_limits({}) == read_limits({"LORAVIT_MAX_CLASSES": " "}) == Limits()


def test_a_variable_sets_its_limit_alone() -> None:
    assert read_limits({"LORAVIT_MAX_CLASSES": "10"}) == Limits(classes=10)


def test_a_worker_that_gets_the_environment_has_the_same_limits() -> None:
    limits = Limits(**{one.name: number for number, one in enumerate(fields(Limits), start=1)})
    assert read_limits(as_environment(limits)) == limits


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "1e3", "²", "9" * 5000, "1 000"])
def test_a_value_that_is_no_count_is_refused_with_its_variable(value: str) -> None:
    with pytest.raises(LimitUnusable, match="^LORAVIT_MAX_IMAGES is .* whole number from 1 to"):
        read_limits({"LORAVIT_MAX_IMAGES": value})


def test_no_setting_allows_pictures_that_stored_ones_could_not_be_read_with() -> None:
    assert MOST["megapixels"] * 1_000_000 == LARGEST_MAX_PIXELS
    with pytest.raises(LimitUnusable, match="from 1 to 150"):
        read_limits({"LORAVIT_MAX_MEGAPIXELS": "151"})
