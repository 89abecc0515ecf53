"""Invalid settings are rejected before a run starts."""

from __future__ import annotations

import math
from typing import Any

import pytest

from loravit_web.adapters import AdapterConfigError
from loravit_web.training.recipe import PRESETS, Recipe, RecipeError, preset_recipe


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"epochs": 0}, "Epochs 0 is out of range. Choose 1 to 1000."),
        ({"batch_size": 0}, "Batch size 0 is out of range"),
        ({"lr": math.nan}, "Lr nan is out of range"),
        ({"lr": 2.0}, "Lr 2 is out of range. Choose 1e-07 to 1."),
        ({"validation_fraction": 0.6}, "Validation fraction 0.6 is out of range"),
        ({"label_smoothing": 1.0}, "Label smoothing 1 is out of range"),
        ({"patience": 0}, "Patience 0 is out of range"),
        ({"seed": -1}, "Seed -1 is out of range"),
        ({"max_images": 3}, "3 images are too few to train on. Choose at least 4."),
    ],
    ids=str,
)
def test_an_invalid_setting_is_rejected(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        Recipe(**fields)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_a_round_trip_through_json(name: str) -> None:
    recipe = preset_recipe(name, seed=7, targets=None, target_modules=("q", "v"))
    assert recipe.preset == name
    assert Recipe.from_json(recipe.as_json()) == recipe


def test_overrides_change_the_recipe_and_its_adapter_and_none_keeps_the_preset() -> None:
    recipe = preset_recipe("best", epochs=3, r=2, alpha=None, image_size=None)
    assert (recipe.epochs, recipe.adapter.r) == (3, 2)
    assert (recipe.adapter.alpha, recipe.image_size) == (32, 224)
    assert PRESETS["best"].recipe.epochs == 16


def test_an_image_size_is_rounded_to_a_multiple_of_the_patch_of_at_least_two() -> None:
    recipe = Recipe(image_size=70)
    assert [recipe.fitted(patch).image_size for patch in (8, 14, 16, 32, 64)] == [72, 70, 64, 64, 128]
    assert recipe.fitted(14) == recipe


def test_an_invalid_override_is_rejected() -> None:
    with pytest.raises(AdapterConfigError, match="Rank 0"):
        preset_recipe("quick", r=0)
    with pytest.raises(
        RecipeError, match="Preset fastest is unknown. Choose one of instant, draft, quick, balanced, best"
    ):
        preset_recipe("fastest")
    with pytest.raises(RecipeError, match="unknown field optimizer"):
        Recipe.from_json({**Recipe().as_json(), "optimizer": "sgd"})


@pytest.mark.parametrize(
    ("images", "expected"),
    [(3200, (10, 4)), (960, (10, 4)), (320, (30, 12)), (33, (150, 60)), (1, (300, 120))],
)
def test_small_datasets_get_extra_epochs_for_the_minimum_number_of_steps(
    images: int, expected: tuple[int, int]
) -> None:
    recipe = Recipe(epochs=10, min_steps=300, batch_size=32, patience=4)
    epochs, patience = recipe.schedule(images)
    assert (epochs, patience) == expected
    assert epochs * math.ceil(images / 32) >= 300
