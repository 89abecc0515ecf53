"""The settings of a run, and the presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.errors import LoraVitError


class RecipeError(LoraVitError):
    """A training setting with an invalid value."""


@dataclass(frozen=True)
class Recipe:
    """The settings of one run.

    Attributes:
        preset: Name of the preset that it started from.
        adapter: Configuration of the adapter.
        image_size: Side of the input images in pixels, a multiple of the base's patch size.
        epochs: Maximum number of epochs. Training stops earlier if the validation no longer improves.
        min_steps: Small datasets train for extra epochs until they reach this many steps.
        batch_size: Number of images per step.
        lr: Peak learning rate of AdamW, with warm-up in the first tenth of the steps and cosine decay to
            zero.
        weight_decay: Weight decay of AdamW on the factors A and B and the head's weight.
        label_smoothing: Label smoothing of the cross-entropy.
        mirror: Whether to also train on mirrored images. Wrong for text, digits and screws.
        max_images: Maximum size of the stratified subset to train on, or None for all images.
        validation_fraction: Fraction of the training images to hold out if the dataset has no validation
            images.
        patience: Number of epochs without improvement before training stops; scaled if ``min_steps`` adds
            epochs.
        clip: Maximum norm of the gradients (gradient clipping).
        seed: Seed of the split, the subset, the initial factors, the order of the images and the dropout.
        floor: Whether to keep the probe instead of the trained adapter where it predicts the validation
            labels better.
        average: Whether to average the parameters over the second half of the steps; see `ParameterMean`.
        refit: Whether to blend the trained head with a closed form on the same features; see `Refit`.
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
    floor: bool = True
    average: bool = True
    refit: bool = True

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
                raise RecipeError(f"{label} {value:g} is out of range. Choose {low:g} to {high:g}.")
        if self.max_images is not None and self.max_images < 4:
            raise RecipeError(f"{self.max_images} images are too few to train on. Choose at least 4.")

    @property
    def is_trained(self) -> bool:
        """Whether there are epochs; a probe is computed in closed form."""
        return self.adapter.adapter_type != "PROBE"

    def schedule(self, train_images: int) -> tuple[int, int]:
        """Return the number of epochs and the patience for a number of training images."""
        if not self.is_trained:
            return 0, 0
        steps = -(-train_images // self.batch_size)
        epochs = max(self.epochs, -(-self.min_steps // steps))
        return epochs, -(-self.patience * epochs // self.epochs)

    def fitted(self, patch_size: int) -> Recipe:
        """Return the recipe with its image size rounded to a multiple of a base's patch size."""
        return replace(self, image_size=max(2, round(self.image_size / patch_size)) * patch_size)

    def as_json(self) -> dict[str, Any]:
        """Return all fields, with the adapter's configuration under ``adapter``."""
        return {**asdict(self), "adapter": self.adapter.as_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """Return the recipe that `as_json` wrote.

        Raises:
            RecipeError: If a field is unknown or out of range.
        """
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise RecipeError(f"The recipe has the unknown field {min(unknown)}. Remove the field.")
        return cls(**{**data, "adapter": ViTAdapterConfig.from_json(data["adapter"])})


@dataclass(frozen=True)
class Preset:
    """A named recipe.

    Attributes:
        title: Title on the page.
        summary: Description that follows the image size on the page.
        recipe: The recipe. Its image size is adapted to the base; see `Recipe.fitted`.
    """

    title: str
    summary: str
    recipe: Recipe


DRAFT = "draft"
"""The default preset on the page, for a first result within about a minute."""

INSTANT = "instant"
"""The preset for an answer within seconds."""

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        INSTANT: Preset(
            "Instant",
            "up to 3000 images · an answer in seconds, without training",
            Recipe(
                preset=INSTANT,
                image_size=112,
                max_images=3000,
                adapter=ViTAdapterConfig(adapter_type="PROBE", pooling="none", readout=None),
            ),
        ),
        DRAFT: Preset(
            "Draft",
            "up to 800 images · feasibility check",
            Recipe(
                preset=DRAFT,
                image_size=98,
                epochs=4,
                min_steps=72,
                batch_size=16,
                lr=2e-3,
                max_images=800,
                patience=3,
                adapter=ViTAdapterConfig(blocks=3, readout=None),
            ),
        ),
        "quick": Preset(
            "Quick",
            "up to 4000 images · short training",
            Recipe(
                preset="quick",
                image_size=112,
                epochs=4,
                min_steps=48,
                max_images=4000,
                patience=3,
                adapter=ViTAdapterConfig(r=16, alpha=32, readout=None),
            ),
        ),
        "balanced": Preset(
            "Balanced",
            "up to 5000 images · finer detail, slower",
            Recipe(
                preset="balanced",
                image_size=168,
                epochs=10,
                max_images=5000,
                adapter=ViTAdapterConfig(r=16, alpha=32, readout=None),
            ),
        ),
        "best": Preset(
            "Best",
            "all images · finest detail, slowest",
            Recipe(
                preset="best",
                image_size=224,
                epochs=16,
                adapter=ViTAdapterConfig(r=16, alpha=32, blocks=6, readout=None),
            ),
        ),
    }
)


def preset_recipe(name: str, **overrides: Any) -> Recipe:
    """Return the recipe of a preset with some fields overridden.

    Args:
        name: Name of the preset.
        **overrides: Fields of the recipe or of its adapter's configuration. None keeps the preset's value.

    Raises:
        RecipeError: If the preset is unknown, or a value is invalid.
        AdapterConfigError: If a value of the adapter's configuration is invalid.
    """
    if name not in PRESETS:
        raise RecipeError(f"Preset {name} is unknown. Choose one of {', '.join(PRESETS)}.")
    recipe = PRESETS[name].recipe
    changed = {key: value for key, value in overrides.items() if value is not None}
    adapter_fields = {f.name for f in fields(ViTAdapterConfig)}
    adapter = replace(recipe.adapter, **{k: v for k, v in changed.items() if k in adapter_fields})
    return replace(recipe, adapter=adapter, **{k: v for k, v in changed.items() if k not in adapter_fields})
