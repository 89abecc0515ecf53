"""A recipe as the options of ``python -m loravit_web train``, and back."""

from __future__ import annotations

import argparse
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


def recipe_from_options(options: argparse.Namespace) -> Recipe:
    """The recipe that the words of the command ask for.

    Raises:
        LoraVitError: if a value can't work.
    """
    given = {field: getattr(options, option.replace("-", "_")) for field, option in OPTIONS.items()}
    if given["target_modules"] is not None:
        given["target_modules"] = tuple(given["target_modules"].split(","))
    if given["epochs"] is not None and given["min_steps"] is None:
        given["min_steps"] = 0  # so many epochs were asked for, not more
    unlimited = given["max_images"] == 0
    if unlimited:
        given["max_images"] = None
    recipe = preset_recipe(options.preset, **given)
    return replace(recipe, max_images=None) if unlimited else recipe


def train_command(data: str, name: str, recipe: Recipe) -> str:
    """The line for a shell that trains the same: what differs from the preset is named.

    Args:
        data: what the command calls DATA.
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
        return [f"--{option}", "0"]  # the number of images, which has no limit then
    if isinstance(value, list):
        value = ",".join(value)
    whole = isinstance(value, float) and value == int(value)
    return [f"--{option}", str(int(value) if whole else value)]
