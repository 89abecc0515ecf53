"""The name of an adapter, from what a person typed."""

from __future__ import annotations

import re
import string
import unicodedata

import pytest

from loravit_web.catalog.naming import UnusableName, slugified
from registry import validate_slug


def test_a_name_becomes_a_slug_and_keeps_its_title() -> None:
    assert slugified("  My  Flöwers! ") == ("my-flowers", "My Flöwers!")
    assert slugified("cifar10-objects") == ("cifar10-objects", "Cifar10 objects")


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("猫と犬", "mao-toquan"),
        ("Äpfel", "apfel"),
        ("Straße", "strasse"),
        ("Кошки и собаки", "koshki-i-sobaki"),
        ("한국어", "hangugeo"),
        ("中文" * 60, None),
    ],
)
def test_a_name_in_any_script_gives_a_slug_of_latin_letters(title: str, slug: str | None) -> None:
    found, kept = slugified(title)
    assert validate_slug(found) == (slug or found)
    assert kept == title


@pytest.mark.parametrize("sign", [*string.punctuation, " ", "é", "Ü", "™"])
def test_a_name_that_gave_a_slug_before_gives_the_same(sign: str) -> None:
    """A training under an old name must become the next version of the same adapter."""
    name = f"{sign}1{sign}000{sign}{sign}It{sign}s"
    decomposed = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    before = re.sub(r"[^a-z0-9]+", "-", decomposed).strip("-")
    assert slugified(name)[0] == before


@pytest.mark.parametrize("name", ["", "   ", "…", "🌷", "-_-"])
def test_a_name_without_a_letter_or_digit_is_refused(name: str) -> None:
    with pytest.raises(UnusableName, match=r"at least one letter or digit\.$"):
        slugified(name)
