"""Every setting is on the page, and what is wrong is said at its field."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.adapters.readout import parse_readout
from loravit_web.training.recipe import PRESETS, Recipe
from loravit_web.ui.train.fields import ALL_FIELDS, FieldEmpty, field_errors, preset_values, recipe_of

PATCH = 14


def changed(**values: Any) -> list[Any]:
    usual = dict(zip((field.name for field in ALL_FIELDS), preset_values("quick", PATCH), strict=True))
    return list({**usual, **values}.values())


def test_the_page_has_every_setting_with_a_sentence() -> None:
    elsewhere = {"preset", "adapter", "mirror", "rank_pattern", "alpha_pattern", "labels"}
    settings = {field.name for kind in (Recipe, ViTAdapterConfig) for field in fields(kind)}
    assert {field.name for field in ALL_FIELDS} == settings - elsewhere
    assert all(field.info.endswith(".") for field in ALL_FIELDS)


@pytest.mark.parametrize("preset", PRESETS)
def test_untouched_fields_are_the_preset(preset: str) -> None:
    recipe = PRESETS[preset].recipe
    assert recipe_of(preset, True, preset_values(preset, PATCH)) == recipe
    assert recipe_of(preset, False, preset_values(preset, PATCH)) == replace(recipe, mirror=False)


def test_the_image_size_of_a_preset_fits_the_patches_of_the_base() -> None:
    at = [field.name for field in ALL_FIELDS].index("image_size")
    sizes = {patch: [preset_values(name, patch)[at] for name in PRESETS] for patch in (14, 16)}
    assert sizes == {14: [112, 98, 112, 168, 224], 16: [112, 96, 112, 160, 224]}


def test_fields_reach_the_recipe() -> None:
    recipe = recipe_of(
        "quick", True, changed(r=3, target_modules=["q"], max_images=0, lr=0.01, pooling="mean")
    )
    assert (recipe.adapter.r, recipe.adapter.target_modules, recipe.adapter.pooling) == (3, ("q",), "mean")
    assert (recipe.max_images, recipe.lr, recipe.preset) == (None, 0.01, "quick")


def test_a_readout_is_a_text_on_the_page() -> None:
    assert recipe_of("quick", True, changed(readout="3-4, cls@6")).adapter.readout == parse_readout(
        ["3-4", "cls@6"]
    )
    assert recipe_of("quick", True, changed(readout=" none ")).adapter.readout == ()
    assert recipe_of("quick", True, changed(readout="")).adapter.readout is None
    (error,) = filter(None, field_errors("quick", changed(readout="all")))
    assert error == "'all' is not a readout. Name blocks such as 3-8, cls@12 or mean@6-8."


def test_each_wrong_field_gets_its_own_sentence_and_the_others_none() -> None:
    errors = dict(
        zip(
            (field.name for field in ALL_FIELDS),
            field_errors("quick", changed(r=0, lr=5.0, epochs=None, target_modules=[])),
            strict=True,
        )
    )
    assert {name for name, error in errors.items() if error} == {"r", "lr", "epochs", "target_modules"}
    assert errors["r"] == "Rank 0 is out of range. Choose 1 to 256."
    assert errors["epochs"] == "Epochs is empty. Enter a number."


def test_an_empty_number_stops_the_recipe() -> None:
    with pytest.raises(FieldEmpty, match="Alpha is empty"):
        recipe_of("quick", True, changed(alpha=None))
