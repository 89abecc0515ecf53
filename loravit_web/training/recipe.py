"""Everything that decides how a run trains, and the presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.errors import LoraVitError


class RecipeError(LoraVitError):
    """A training setting has a value that can't work."""


@dataclass(frozen=True)
class Recipe:
    """The settings of one run.

    Attributes:
        preset: the name it started from.
        adapter: what is trained.
        image_size: side of the input in pixels; a multiple of the base's patch size.
        epochs: at most; training stops early when validation stops improving.
        min_steps: small datasets get as many more epochs as it takes to make so many steps.
        batch_size: images per step.
        lr: peak learning rate of AdamW; warm-up over the first tenth, then cosine to zero.
        weight_decay: on the factors A and B and the head's weight.
        label_smoothing: of the cross-entropy.
        mirror: also train on left-right mirrored images; wrong for text, digits and screws.
        max_images: train on a stratified subset of at most this many; all when None.
        validation_fraction: of the training images, held out where the data brings no validation set.
        patience: epochs without a better validation before stopping, more where ``min_steps`` adds epochs.
        clip: largest norm of the gradients.
        seed: of the split, the subset, the initial factors, the order and the dropout.
    """

    preset: str = "balanced"
    adapter: ViTAdapterConfig = field(default_factory=ViTAdapterConfig)
    image_size: int = 168
    epochs: int = 10
    min_steps: int = 150
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    mirror: bool = True
    max_images: int | None = None
    validation_fraction: float = 0.2
    patience: int = 4
    clip: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "epochs": (1, 1000),
            "min_steps": (0, 100_000),
            "batch_size": (1, 4096),
            "lr": (1e-7, 1.0),
            "weight_decay": (0.0, 1.0),
            "label_smoothing": (0.0, 0.9),
            "validation_fraction": (0.02, 0.5),
            "patience": (1, 1000),
            "clip": (1e-3, 1e6),
            "seed": (0, 2**31 - 1),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                label = name.replace("_", " ").capitalize()
                raise RecipeError(f"{label} {value:g} is out of range: choose {low:g} to {high:g}.")
        if self.max_images is not None and self.max_images < 4:
            raise RecipeError(f"{self.max_images} images are too few to train on: choose at least 4.")

    def schedule(self, train_images: int) -> tuple[int, int]:
        """Epochs and patience for so many training images."""
        steps = -(-train_images // self.batch_size)
        epochs = max(self.epochs, -(-self.min_steps // steps))
        return epochs, -(-self.patience * epochs // self.epochs)

    def fitted(self, patch_size: int) -> Recipe:
        """The same with the image size that is the nearest multiple of a base's patch size."""
        return replace(self, image_size=max(2, round(self.image_size / patch_size)) * patch_size)

    def as_json(self) -> dict[str, Any]:
        """All fields, nested under ``adapter`` for the adapter's configuration."""
        return {**asdict(self), "adapter": self.adapter.as_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """The inverse of `as_json`.

        Raises:
            RecipeError: on an unknown field.
        """
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise RecipeError(f"The recipe has an unknown field {min(unknown)}.")
        return cls(**{**data, "adapter": ViTAdapterConfig.from_json(data["adapter"])})


@dataclass(frozen=True)
class Preset:
    """A recipe with a name and, for the person who chooses, what follows the image size in its description.

    Its image size is meant for any base, see `Recipe.fitted`.
    """

    title: str
    summary: str
    recipe: Recipe


DRAFT = "draft"
"""The preset of somebody who has not chosen one on the page: soon done, and a longer one can follow."""

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        DRAFT: Preset(
            "Draft",
            "at most 800 images: about a minute on two cores, to see what can be learned.",
            Recipe(
                preset=DRAFT,
                image_size=70,
                epochs=5,
                min_steps=160,
                batch_size=16,
                lr=2e-3,
                max_images=800,
                patience=3,
                adapter=ViTAdapterConfig(blocks=4),
            ),
        ),
        "quick": Preset(
            "Quick",
            "at most 4000 images: a few minutes on two cores.",
            Recipe(preset="quick", image_size=112, epochs=6, min_steps=80, max_images=4000, patience=3),
        ),
        "balanced": Preset(
            "Balanced",
            "at most 5000 images: finer detail, a few times slower.",
            Recipe(
                preset="balanced",
                image_size=168,
                epochs=10,
                max_images=5000,
                adapter=ViTAdapterConfig(r=16, alpha=32),
            ),
        ),
        "best": Preset(
            "Best",
            "all images, one block more: for the final version, slower still.",
            Recipe(
                preset="best", image_size=224, epochs=16, adapter=ViTAdapterConfig(r=16, alpha=32, blocks=6)
            ),
        ),
    }
)


def preset_recipe(name: str, **overrides: Any) -> Recipe:
    """The recipe of a preset with some fields changed; ``adapter`` overrides are given by their own names.

    Overrides that are None leave the preset's value.

    Raises:
        RecipeError: if there is no such preset.
        AdapterConfigError: if an override can't work.
    """
    if name not in PRESETS:
        raise RecipeError(f"Preset {name} is unknown: choose {', '.join(PRESETS)}.")
    recipe = PRESETS[name].recipe
    given = {key: value for key, value in overrides.items() if value is not None}
    adapter_fields = {f.name for f in fields(ViTAdapterConfig)}
    adapter = replace(recipe.adapter, **{k: v for k, v in given.items() if k in adapter_fields})
    return replace(recipe, adapter=adapter, **{k: v for k, v in given.items() if k not in adapter_fields})
