"""Choices of the preset, with the time that each takes where that is known."""

from __future__ import annotations

from collections.abc import Mapping

from loravit_web.errors import LoraVitError
from loravit_web.training.recipe import PRESETS
from loravit_web.ui.language.texts import _
from loravit_web.ui.train.fields import preset_values, recipe_of
from loravit_web.util.text import duration
from loravit_web.visibility import Seen


def preset_choices(patch_size: int, times: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return text and key of each preset.

    Args:
        patch_size: Patch size of the base.
        times: Estimated seconds of those presets that were measured before.
    """
    choices = []
    for key, preset in PRESETS.items():
        about = [_("about {duration}", duration=duration(times[key]))] if key in times else []
        size = f"{preset.recipe.fitted(patch_size).image_size} px"
        choices.append((" · ".join([preset.title, *about, size, _(preset.summary)]), key))
    return choices


def preset_times(seen: Seen, fingerprint: str | None, mirror: bool, patch_size: int) -> dict[str, float]:
    """Return the estimated seconds of each preset that was measured before.

    Args:
        seen: What the visitor sees.
        fingerprint: Fingerprint of the dataset, or None.
        mirror: Whether to augment with horizontal flips.
        patch_size: Patch size of the base.
    """
    if fingerprint is None:
        return {}
    try:
        dataset = seen.datasets.load(fingerprint)
        recipes = {key: recipe_of(key, mirror, preset_values(key, patch_size)) for key in PRESETS}
        found = {key: seen.known_estimate(dataset, recipe) for key, recipe in recipes.items()}
    except LoraVitError:  # the cost says what is wrong
        return {}
    return {key: cost.seconds for key, cost in found.items() if cost is not None}
