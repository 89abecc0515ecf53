"""A recipe as the options of ``python -m loravit_web train``, and back."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from loravit_web.training.recipe import Recipe, preset_recipe

OPTIONS: Mapping[str, str] = {
    "image_size": "image-size",
    "blocks": "blocks",
    "target_modules": "targets",
    "adapter_type": "adapter-type",
    "r": "rank",
    "alpha": "alpha",
    "dropout": "dropout",
    "use_rslora": "rslora",
    "pooling": "pooling",
    "prefix_length": "prefix-length",
    "epochs": "epochs",
    "min_steps": "min-steps",
    "batch_size": "batch-size",
    "lr": "lr",
    "weight_decay": "weight-decay",
    "label_smoothing": "label-smoothing",
    "max_images": "max-images",
    "validation_fraction": "validation-fraction",
    "patience": "patience",
    "clip": "clip",
    "seed": "seed",
    "mirror": "mirror",
}
"""Fields of a recipe, or of its adapter's configuration, and the options that set them."""
_FIELD_OF = {option.replace("-", "_"): field for field, option in OPTIONS.items()}


def recipe_from_options(preset: str, **options: str | float | bool | None) -> Recipe:
    """Return the recipe that a preset and the options of the command ask for.

    Args:
        preset: name of the preset.
        options: values by the name of the option, with underscores. None keeps the value of the preset.

    Raises:
        LoraVitError: if a value cannot work.
    """
    given: dict[str, Any] = {_FIELD_OF[option]: value for option, value in options.items()}
    if given.get("target_modules") is not None:
        given["target_modules"] = tuple(given["target_modules"].split(","))
    if given.get("epochs") is not None and given.get("min_steps") is None:
        given["min_steps"] = 0  # without extra epochs for a small dataset, as the number of epochs is chosen
    unlimited = given.get("max_images") == 0
    if unlimited:
        given["max_images"] = None
    recipe = preset_recipe(preset, **given)
    return replace(recipe, max_images=None) if unlimited else recipe


def train_command(data: str, name: str, recipe: Recipe) -> str:
    """Return the command that trains the same, with an option for every difference from the preset.

    Args:
        data: what the command calls DATA.
        name: of the adapter.
        recipe: the settings.
    """
    words = ["python", "-m", "loravit_web", "train", data, "--name", name, "--preset", recipe.preset]
    now, usual = _fields(recipe), _fields(preset_recipe(recipe.preset))
    changed = {field for field in OPTIONS if now[field] != usual[field]}
    if "epochs" in changed:
        changed.add("min_steps")
    for field, option in OPTIONS.items():
        if field in changed:
            words += _words(option, now[field])
    return shlex.join(words)


def _fields(recipe: Recipe) -> dict[str, Any]:
    document = recipe.as_json()
    return {**document, **document["adapter"]}


def _words(option: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    if value is None:
        return [f"--{option}", "0"]  # the number of images: no limit
    if isinstance(value, list):
        value = ",".join(value)
    whole = isinstance(value, float) and value == int(value)
    return [f"--{option}", str(int(value) if whole else value)]
