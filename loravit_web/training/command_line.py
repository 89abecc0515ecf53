"""Conversion between a recipe and the options of ``python -m loravit_web train``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from loravit_web.adapters.readout import NONE, Readout, parse_readout, readout_text
from loravit_web.training.recipe import Recipe, preset_recipe

AUTO = "auto"
"""The readout that the training chooses."""

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
    "readout": "readout",
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
    "floor": "floor",
    "average": "average",
    "refit": "refit",
}
"""Option of each field of a recipe or of its adapter's configuration."""
_FIELD_OF = {option.replace("-", "_"): field for field, option in OPTIONS.items()}


def recipe_from_options(preset: str, **options: str | float | bool | None) -> Recipe:
    """Return the recipe of the command's options.

    Args:
        preset: Name of the preset.
        options: Values by the name of the option, with underscores. None keeps the value of the preset.

    Raises:
        LoraVitError: If a value is invalid.
    """
    fields: dict[str, Any] = {_FIELD_OF[option]: value for option, value in options.items()}
    if fields.get("target_modules") is not None:
        fields["target_modules"] = tuple(fields["target_modules"].split(","))
    if fields.get("readout") is not None:
        fields["readout"] = readout_of(fields["readout"])
    if fields.get("epochs") is not None and fields.get("min_steps") is None:
        fields["min_steps"] = 0  # an explicit number of epochs is not extended
    unlimited = fields.get("max_images") == 0
    if unlimited:
        fields["max_images"] = None
    recipe = preset_recipe(preset, **fields)
    return replace(recipe, max_images=None) if unlimited else recipe


def train_command(data: str, name: str, recipe: Recipe, *, base: str | None = None) -> str:
    """Return the shell command for the same training; only settings that differ from the preset are included.

    Args:
        data: The command's argument DATA.
        name: Name of the adapter.
        recipe: Recipe of the training.
        base: Base to train on, or None for the configured one.
    """
    command = ["python", "-m", "loravit_web", "train", data, "--name", name, "--preset", recipe.preset]
    command += [] if base is None else ["--base", base]
    current, default = _fields(recipe), _fields(preset_recipe(recipe.preset))
    changed = {field for field in OPTIONS if current[field] != default[field]}
    if "epochs" in changed:
        changed.add("min_steps")
    for field, option in OPTIONS.items():
        if field in changed:
            command += _option(option, current[field])
    return shlex.join(command)


def readout_option(readout: Readout | None) -> str:
    """Return the text of a readout; None stands for the training's own choice."""
    return AUTO if readout is None else readout_text(readout)


def readout_of(text: str) -> Readout | None:
    """Return the readout of a text: entries separated by commas, ``none``, or ``auto`` as in the presets.

    Raises:
        ReadoutError: If it is anything else.
    """
    text = text.strip()
    if text in (AUTO, NONE):
        return None if text == AUTO else ()
    return parse_readout(text.split(","))


def _fields(recipe: Recipe) -> dict[str, Any]:
    document = recipe.as_json()
    return {**document, **document["adapter"], "readout": readout_option(recipe.adapter.readout)}


def _option(option: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    if value is None:
        return [f"--{option}", "0"]  # an unlimited number of images
    if isinstance(value, list):
        value = ",".join(value)
    is_integer = isinstance(value, float) and value == int(value)
    return [f"--{option}", str(int(value) if is_integer else value)]
