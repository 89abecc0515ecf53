"""Advanced settings of a training, each with a label and a help text. They are checked one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import gradio as gr

from loravit_web.adapters.config import TARGETS, ViTAdapterConfig
from loravit_web.adapters.types import ADAPTER_TYPES
from loravit_web.backbones.base import POOLINGS
from loravit_web.errors import LoraVitError
from loravit_web.training.command_line import AUTO, readout_of, readout_option
from loravit_web.training.recipe import PRESETS, Recipe, preset_recipe
from loravit_web.ui.kit.markup import heading
from loravit_web.ui.language.texts import _, gettext_noop

LONGEST_TEXT = 200
"""Length of a text in characters."""
Kind = Literal["whole", "number", "switch", "one", "some", "text"]


class FieldEmpty(LoraVitError):
    """A setting without a value."""


@dataclass(frozen=True)
class Field:
    """Setting of a training.

    Attributes:
        name: Name in the recipe or in the adapter's configuration.
        kind: Kind of the value, which decides the component.
        label: Label on the page.
        info: Help text.
        choices: Label and value of each choice, for the kinds "one" and "some".
    """

    name: str
    kind: Kind
    label: str
    info: str
    choices: tuple[tuple[str, str], ...] = ()


_TYPES = {
    "LORA": "LoRA",
    "PREFIX": "Prefix",
    "LINEAR": gettext_noop("Head only (trained)"),
    "PROBE": gettext_noop("Head only (probe, in seconds)"),
}
_NATIVE = "native"

FIELDS: Mapping[str, tuple[Field, ...]] = {
    gettext_noop("Adapter"): (
        Field(
            "adapter_type",
            "one",
            gettext_noop("Type"),
            gettext_noop(
                "LoRA adapts layers, and Prefix adds learned tokens. A head alone leaves the base unchanged."
            ),
            tuple((_TYPES.get(name, name), name) for name in ADAPTER_TYPES),
        ),
        Field(
            "blocks",
            "whole",
            gettext_noop("Blocks"),
            gettext_noop(
                "Number of adapted blocks, counted from the last. More blocks learn more, but train slower."
            ),
        ),
        Field(
            "target_modules",
            "some",
            gettext_noop("Target modules"),
            gettext_noop("Adapted layers of each block. qkv adapts q, k and v together."),
            tuple((name, name) for name in TARGETS),
        ),
        Field(
            "r",
            "whole",
            gettext_noop("Rank"),
            gettext_noop("Capacity of an adapted layer. 4 to 16 suits most tasks."),
        ),
        Field(
            "alpha",
            "number",
            gettext_noop("Alpha"),
            gettext_noop("Strength of the adapter. Twice the rank is usual."),
        ),
        Field(
            "use_rslora",
            "switch",
            gettext_noop("rsLoRA scaling"),
            gettext_noop("Scales by alpha/√rank instead of alpha/rank."),
        ),
        Field(
            "dropout",
            "number",
            gettext_noop("Dropout"),
            gettext_noop("Fraction of inputs dropped during training. Useful for small datasets."),
        ),
        Field(
            "pooling",
            "one",
            gettext_noop("Pooling"),
            gettext_noop(
                "Last-block input of the head: class token, patch mean, both, attention (map), or none."
            ),
            ((gettext_noop("Model default"), _NATIVE), *((name, name) for name in POOLINGS)),
        ),
        Field(
            "readout",
            "text",
            gettext_noop("Readout"),
            gettext_noop("Blocks that the head reads too, such as 3-8 or cls@12; auto or none."),
        ),
        Field(
            "prefix_length",
            "whole",
            gettext_noop("Prefix length"),
            gettext_noop("Learned tokens per block, for the type Prefix only."),
        ),
    ),
    gettext_noop("Training"): (
        Field(
            "image_size",
            "whole",
            gettext_noop("Image size"),
            gettext_noop("Side in pixels, a multiple of the patch size. Larger images show finer detail."),
        ),
        Field(
            "epochs",
            "whole",
            gettext_noop("Epochs"),
            gettext_noop("Maximum number of passes over the images; see Minimum steps."),
        ),
        Field(
            "min_steps",
            "whole",
            gettext_noop("Minimum steps"),
            gettext_noop("Small datasets train for extra epochs until they reach this many steps."),
        ),
        Field(
            "batch_size",
            "whole",
            gettext_noop("Batch size"),
            gettext_noop("Images per step. Halve it if memory runs out."),
        ),
        Field(
            "lr",
            "number",
            gettext_noop("Learning rate"),
            gettext_noop("Size of the steps. Lower it if the loss jumps."),
        ),
        Field(
            "weight_decay",
            "number",
            gettext_noop("Weight decay"),
            gettext_noop("Pulls weights toward zero. Small values suffice."),
        ),
        Field(
            "label_smoothing",
            "number",
            gettext_noop("Label smoothing"),
            gettext_noop("How much to distrust the labels. Raise it if some are wrong."),
        ),
        Field(
            "patience",
            "whole",
            gettext_noop("Early stopping patience (epochs)"),
            gettext_noop(
                "Stops after this many epochs without improvement. Scaled up if Minimum steps adds epochs."
            ),
        ),
        Field(
            "clip",
            "number",
            gettext_noop("Gradient clipping (max norm)"),
            gettext_noop("Larger gradients are scaled down to this norm."),
        ),
        Field(
            "max_images",
            "whole",
            gettext_noop("Max training images"),
            gettext_noop("Stratified subset of this size; 0 = all."),
        ),
        Field(
            "validation_fraction",
            "number",
            gettext_noop("Validation split"),
            gettext_noop("Fraction of the training images. Used if the dataset has no validation split."),
        ),
        Field(
            "floor",
            "switch",
            gettext_noop("Never worse than the probe"),
            gettext_noop("Publishes the probe instead if it predicts the validation labels better."),
        ),
        Field(
            "average",
            "switch",
            gettext_noop("Average the parameters"),
            gettext_noop("Keeps their mean over the second half of the steps instead of the last ones."),
        ),
        Field(
            "refit",
            "switch",
            gettext_noop("Refit the head"),
            gettext_noop("Fits the head once more on all images, and blends both heads."),
        ),
        Field(
            "seed",
            "whole",
            gettext_noop("Random seed"),
            gettext_noop("Sets the split, the initial weights and the image order."),
        ),
    ),
}
ALL_FIELDS: tuple[Field, ...] = tuple(field for group in FIELDS.values() for field in group)


def build_fields(preset: str, patch_size: int) -> list[Any]:
    """Build the components, in the order of `ALL_FIELDS`, with the values of a preset."""
    usual = preset_values(preset, patch_size)
    values = dict(zip((field.name for field in ALL_FIELDS), usual, strict=True))
    made = []
    for title, group in FIELDS.items():
        gr.HTML(heading(_(title), level=4))
        with gr.Row(equal_height=False, elem_classes="lv-fields"):
            made += [_component(field, values[field.name]) for field in group]
    return made


def preset_values(preset: str, patch_size: int) -> list[Any]:
    """Return the values of the fields for a preset.

    Args:
        preset: Key of the preset.
        patch_size: Patch size of the base in pixels.
    """
    return _shown(PRESETS[preset].recipe.fitted(patch_size))


def _shown(recipe: Recipe) -> list[Any]:
    document = {**recipe.as_json(), **recipe.adapter.as_json()}
    shown = {
        **document,
        "max_images": recipe.max_images or 0,
        "pooling": recipe.adapter.pooling or _NATIVE,
        "readout": readout_option(recipe.adapter.readout),
    }
    return [shown[field.name] for field in ALL_FIELDS]


def recipe_of(preset: str, mirror: bool, values: Sequence[Any]) -> Recipe:
    """Return the recipe that preset and fields describe.

    Args:
        preset: Key of the preset.
        mirror: Whether to augment with horizontal flips.
        values: Values of the fields, in the order of `ALL_FIELDS`.

    Raises:
        LoraVitError: If a value is not usable. The first problem is reported.
    """
    given = {field.name: _parsed(field, value) for field, value in zip(ALL_FIELDS, values, strict=True)}
    recipe = preset_recipe(preset)
    inner = {name: value for name, value in given.items() if name in ViTAdapterConfig.__dataclass_fields__}
    outer = {name: value for name, value in given.items() if name not in inner}
    return replace(recipe, adapter=replace(recipe.adapter, **inner), mirror=mirror, **outer)


def field_errors(preset: str, values: Sequence[Any]) -> list[str | None]:
    """Return the error of each field by itself, or None."""
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
        raise FieldEmpty(_("{label} is empty. Enter a number.", label=_(field.label)))
    if field.kind == "whole":
        whole = int(value)
        return (whole or None) if field.name == "max_images" else whole
    if field.kind == "number":
        return float(value)
    if field.kind == "some":
        return tuple(value or ())
    if field.name == "pooling":
        return None if value == _NATIVE else value
    if field.name == "readout":
        return readout_of(value or AUTO)
    return value


def _component(field: Field, value: Any) -> Any:
    shared: dict[str, Any] = {
        "label": _(field.label),
        "info": _(field.info),
        "value": value,
        "elem_id": f"train-{field.name.replace('_', '-')}",
    }
    if field.kind == "one":
        return gr.Dropdown(choices=[(_(text), value) for text, value in field.choices], **shared)
    if field.kind == "some":
        return gr.CheckboxGroup(choices=list(field.choices), **shared)
    if field.kind == "switch":
        return gr.Checkbox(**shared)
    if field.kind == "text":
        return gr.Textbox(max_lines=1, max_length=LONGEST_TEXT, **shared)
    if field.kind == "whole":
        return gr.Number(precision=0, **shared)
    return gr.Number(**shared)
