"""The advanced settings of a training: each with a label and one plain sentence, checked one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import gradio as gr

from loravit_web.adapters.config import TARGETS, ViTAdapterConfig
from loravit_web.adapters.types import ADAPTER_TYPES
from loravit_web.backbones.base import POOLINGS
from loravit_web.errors import LoraVitError
from loravit_web.training.recipe import PRESETS, Recipe, preset_recipe
from loravit_web.ui.kit.markup import heading

Kind = Literal["whole", "number", "switch", "one", "some"]


class FieldEmpty(LoraVitError):
    """A setting without a value."""


@dataclass(frozen=True)
class Field:
    """A setting: its name in the recipe or in the adapter's configuration, and what people read."""

    name: str
    kind: Kind
    label: str
    info: str
    choices: tuple[tuple[str, str], ...] = ()


_TYPES = {"LORA": "LoRA", "PREFIX": "Prefix", "LINEAR": "Only a head"}
_NATIVE = "native"

FIELDS: Mapping[str, tuple[Field, ...]] = {
    "What is adapted": (
        Field(
            "adapter_type",
            "one",
            "Type",
            "LoRA changes layers a little, Prefix adds learned tokens, a head alone changes nothing inside.",
            tuple((_TYPES.get(name, name), name) for name in ADAPTER_TYPES),
        ),
        Field(
            "blocks", "whole", "Blocks", "How many of the last blocks are adapted: more learn more, slower."
        ),
        Field(
            "target_modules",
            "some",
            "Layers",
            "Which layers of a block are adapted; qkv stands for q, k and v together.",
            tuple((name, name) for name in TARGETS),
        ),
        Field("r", "whole", "Rank", "How much an adapted layer can change: 4 to 16 suits most tasks."),
        Field("alpha", "number", "Alpha", "How strongly the change counts; twice the rank is usual."),
        Field("use_rslora", "switch", "Rank-stable scaling", "Keeps the strength alike at high ranks."),
        Field("dropout", "number", "Dropout", "Share of inputs dropped while training; helps little data."),
        Field(
            "pooling",
            "one",
            "Pooling",
            "What the head reads: class token, mean of the patches, both, or what the base is made for.",
            (("as the base is made", _NATIVE), *((name, name) for name in POOLINGS)),
        ),
        Field("prefix_length", "whole", "Prefix length", "Learned tokens per block; counts for Prefix only."),
    ),
    "How it is trained": (
        Field(
            "image_size", "whole", "Image size", "Side in pixels, a multiple of the patch: larger sees finer."
        ),
        Field(
            "epochs",
            "whole",
            "Epochs",
            "Passes over the images at most; little data gets more, see Least steps.",
        ),
        Field("min_steps", "whole", "Least steps", "Little data gets more epochs, up to so many steps."),
        Field("batch_size", "whole", "Batch size", "Images per step: halve it when memory is short."),
        Field("lr", "number", "Learning rate", "How large the steps are: lower it when the loss jumps."),
        Field("weight_decay", "number", "Weight decay", "Pulls weights towards zero; a little is enough."),
        Field(
            "label_smoothing", "number", "Label smoothing", "How unsure it stays of labels; helps noisy ones."
        ),
        Field("patience", "whole", "Patience", "Epochs without a better validation before it stops."),
        Field("clip", "number", "Gradient limit", "Cuts off larger gradients, so that no batch upsets it."),
        Field("max_images", "whole", "Most images", "Trains on a balanced part of so many; 0 takes all."),
        Field(
            "validation_fraction", "number", "Held out", "Share that validates, where the data brings none."
        ),
        Field("seed", "whole", "Seed", "Another number gives another split and another start."),
    ),
}
ALL_FIELDS: tuple[Field, ...] = tuple(field for group in FIELDS.values() for field in group)


def build_fields(preset: str, patch_size: int) -> list[Any]:
    """The components, in the order of `ALL_FIELDS`, as the preset sets them."""
    usual = preset_values(preset, patch_size)
    values = dict(zip((field.name for field in ALL_FIELDS), usual, strict=True))
    made = []
    for title, group in FIELDS.items():
        gr.HTML(heading(title, level=4))
        with gr.Row(equal_height=False, elem_classes="lv-fields"):
            made += [_component(field, values[field.name]) for field in group]
    return made


def preset_values(preset: str, patch_size: int) -> list[Any]:
    """What the fields show for a preset on a base with such patches."""
    return _shown(PRESETS[preset].recipe.fitted(patch_size))


def _shown(recipe: Recipe) -> list[Any]:
    document = {**recipe.as_json(), **recipe.adapter.as_json()}
    shown = {**document, "max_images": recipe.max_images or 0, "pooling": recipe.adapter.pooling or _NATIVE}
    return [shown[field.name] for field in ALL_FIELDS]


def recipe_of(preset: str, mirror: bool, values: Sequence[Any]) -> Recipe:
    """The recipe that preset and fields describe.

    Raises:
        LoraVitError: with the first thing that can't work.
    """
    given = {field.name: _parsed(field, value) for field, value in zip(ALL_FIELDS, values, strict=True)}
    recipe = preset_recipe(preset)
    inner = {name: value for name, value in given.items() if name in ViTAdapterConfig.__dataclass_fields__}
    outer = {name: value for name, value in given.items() if name not in inner}
    return replace(recipe, adapter=replace(recipe.adapter, **inner), mirror=mirror, **outer)


def field_errors(preset: str, values: Sequence[Any]) -> list[str | None]:
    """What is wrong with each field by itself; None where nothing is."""
    usual = _shown(PRESETS[preset].recipe)
    found: list[str | None] = []
    for index, value in enumerate(values):
        try:
            recipe_of(preset, False, [*usual[:index], value, *usual[index + 1 :]])
        except LoraVitError as error:
            found.append(error.in_public)
        else:
            found.append(None)
    return found


def _parsed(field: Field, value: Any) -> Any:
    if field.kind in ("whole", "number") and value is None:
        raise FieldEmpty(f"{field.label} is empty: type a number.")
    if field.kind == "whole":
        whole = int(value)
        return (whole or None) if field.name == "max_images" else whole
    if field.kind == "number":
        return float(value)
    if field.kind == "some":
        return tuple(value or ())
    if field.name == "pooling":
        return None if value == _NATIVE else value
    return value


def _component(field: Field, value: Any) -> Any:
    shared: dict[str, Any] = {
        "label": field.label,
        "info": field.info,
        "value": value,
        "elem_id": f"train-{field.name.replace('_', '-')}",
    }
    if field.kind == "one":
        return gr.Dropdown(choices=list(field.choices), **shared)
    if field.kind == "some":
        return gr.CheckboxGroup(choices=list(field.choices), **shared)
    if field.kind == "switch":
        return gr.Checkbox(**shared)
    if field.kind == "whole":
        return gr.Number(precision=0, **shared)
    return gr.Number(**shared)
