"""From what somebody typed to the name of an adapter."""

from __future__ import annotations

import pytest

from loravit_web.catalog.naming import UnusableName, slugified


def test_a_name_becomes_a_slug_and_keeps_its_title() -> None:
    assert slugified("  My  Flöwers! ") == ("my-flowers", "My Flöwers!")
    assert slugified("cifar10-objects") == ("cifar10-objects", "Cifar10 objects")


@pytest.mark.parametrize("name", ["", "   ", "…", "花"])
def test_a_name_without_a_latin_letter_or_digit_is_refused(name: str) -> None:
    with pytest.raises(UnusableName, match="at least one letter"):
        slugified(name)
