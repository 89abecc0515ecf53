"""The table of the presets in usage.md has the settings of the code."""

from __future__ import annotations

import pytest

from loravit_web.training.recipe import PRESETS
from tests.docs.markdown import DOCS, rows_of, sections_of

ROWS = {row[0].strip("`"): row[1:] for row in rows_of(sections_of(DOCS / "usage.md", 3)["Presets"])}


def test_every_preset_is_described() -> None:
    assert list(ROWS) == list(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_described_as_it_is(name: str) -> None:
    recipe = PRESETS[name].recipe
    trained = (str(recipe.epochs), str(recipe.adapter.r), str(recipe.adapter.blocks))
    size, images, *told = ROWS[name]
    assert size == str(recipe.image_size)
    assert images == ("all" if recipe.max_images is None else str(recipe.max_images))
    assert tuple(told) == (trained if recipe.is_trained else ("none: a probe", "–", "–"))
