"""Sweeps: runs that try several settings of one training, as a grid or drawn at random.

The runs of a sweep are ordinary runs in the queue, with the id of a group in common. What compares them is
`loravit_web.worker.sweeps`.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args, get_type_hints
from uuid import uuid4

from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.errors import LoraVitError
from loravit_web.runs.queueing import create_run
from loravit_web.training.command_line import OPTIONS, recipe_from_options
from loravit_web.training.recipe import Recipe
from registry import Registry, Run

if TYPE_CHECKING:
    from loravit_web.backbones import Base
    from loravit_web.datasets import ImageDataset

Value = str | int | float | bool
KEPT = 0.5
"""Fraction of the runs that continue at each comparison, unless a user chooses another one."""
SAME_FOR_ALL = ("seed", "max-images", "validation-fraction")
"""Options that decide which images the runs are compared on, so a sweep has one value for them."""
_TRUNK_FIRST = ("image-size", "blocks", "adapter-type", "mirror")
"""Options that change the prefix tokens. Runs that agree in them come one after the other and share these."""
_DRAWS_PER_RUN = 100


class SweepError(LoraVitError):
    """A sweep that cannot be queued as it was described."""


@dataclass(frozen=True)
class Between:
    """All values from a lowest to a highest one, drawn on a logarithmic scale if the lowest is positive."""

    low: float
    high: float
    is_whole: bool

    def draw(self, chance: random.Random) -> Value:
        """Return a random value; with two significant digits if it is not a whole number."""
        if self.low > 0:
            value = math.exp(chance.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = chance.uniform(self.low, self.high)
        value = min(max(value, self.low), self.high)
        return round(value) if self.is_whole else float(f"{value:.2g}")


Choice = tuple[Value, ...] | Between


def _kinds() -> dict[str, type]:
    """Return the type of each option's values, as the fields of a recipe have it: bool, int, float or str."""
    hints = {**get_type_hints(ViTAdapterConfig), **get_type_hints(Recipe)}
    kinds: dict[str, type] = {}
    for field, option in OPTIONS.items():
        types = (hints[field], *get_args(hints[field]))
        kinds[option] = next((kind for kind in (bool, int, float) if kind in types), str)
    return kinds


_KINDS: Mapping[str, type] = _kinds()


@dataclass(frozen=True)
class Try:
    """One run of a sweep.

    Attributes:
        recipe: Its settings.
        changed: The settings that the sweep tries, by the name of the option.
    """

    recipe: Recipe
    changed: Mapping[str, Value]


def parse_choices(texts: Sequence[str]) -> dict[str, Choice]:
    """Return the values of each option from texts such as ``lr=0.001,0.003`` and ``rank=2..16``.

    Raises:
        SweepError: If an option is unknown or given twice, or a value is invalid.
    """
    choices: dict[str, Choice] = {}
    for text in texts:
        option, equals, values = text.partition("=")
        option = option.strip().removeprefix("--").replace("_", "-")
        if not equals or option not in OPTIONS.values():
            known = ", ".join(sorted(OPTIONS.values()))
            raise SweepError(f"{text!r} is not OPTION=VALUES. The options are {known}.")
        if option in choices:
            raise SweepError(f"The option {option} is given twice. List all its values in one place.")
        choices[option] = _choice(option, values)
        if option in SAME_FOR_ALL and _is_tried(choices[option]):
            raise SweepError(
                f"A sweep cannot try several values of {option}, because all runs are compared on the same "
                "images. Give one value."
            )
    return choices


def tries(preset: str, choices: Mapping[str, Choice], *, draws: int | None, seed: int = 0) -> list[Try]:
    """Return the runs of a sweep, each with different settings.

    Args:
        preset: Name of the preset that all start from.
        choices: Values by option; see `parse_choices`.
        draws: Number of runs to draw at random, or None for every combination.
        seed: Seed of the draws.

    Raises:
        SweepError: If there is nothing to compare, or a range without a number of draws.
        LoraVitError: If a setting is invalid.
    """
    names = sorted(choices, key=lambda name: (name not in _TRUNK_FIRST, [*choices].index(name)))
    if not any(map(_is_tried, choices.values())):
        raise SweepError("A sweep needs an option with several values, such as --try lr=0.001,0.003.")
    if draws is None:
        combinations = list(itertools.product(*(_listed(name, choices[name]) for name in names)))
    else:
        combinations = _drawn([choices[name] for name in names], draws, random.Random(seed))
    tried = [name for name in names if _is_tried(choices[name])]
    found = []
    for values in combinations:
        settings = dict(zip(names, values, strict=True))
        options = {name.replace("-", "_"): value for name, value in settings.items()}
        found.append(Try(recipe_from_options(preset, **options), {name: settings[name] for name in tried}))
    return found


def queue_tries(
    registry: Registry,
    base: Base,
    dataset: ImageDataset,
    name: str,
    tries: Sequence[Try],
    *,
    actor: str,
    keep: float = KEPT,
) -> list[Run]:
    """Queue the runs of a sweep and return them.

    Args:
        registry: Registry for the runs.
        base: Base of the adapters, in float32.
        dataset: Training images.
        name: Title or slug of the adapter, of which the best run publishes a version.
        tries: Settings of the runs.
        actor: Name of the user who requested the sweep.
        keep: Fraction of the runs that continue at each comparison.

    Raises:
        LoraVitError: If a setting is invalid.
        RegistryError: If the name is invalid.
    """
    group = uuid4().hex
    queued = []
    for one in tries:
        sweep = {"tries": dict(one.changed), "keep": keep}
        queued.append(
            create_run(registry, base, dataset, name, one.recipe, actor=actor, group=group, sweep=sweep)
        )
    return queued


def changed_text(changed: Mapping[str, Value]) -> str:
    """Return the settings that a run of a sweep tries, such as ``lr 0.003, rank 8``."""
    return ", ".join(f"{name} {_shown(value)}" for name, value in changed.items())


def _drawn(choices: Sequence[Choice], draws: int, chance: random.Random) -> list[tuple[Value, ...]]:
    """Return different combinations, in the order in which runs share most; fewer if there are no more."""
    found: set[tuple[Value, ...]] = set()
    for _ in range(_DRAWS_PER_RUN * draws):
        if len(found) == draws:
            break
        found.add(
            tuple(one.draw(chance) if isinstance(one, Between) else chance.choice(one) for one in choices)
        )
    return sorted(found, key=lambda values: [(str(type(value)), value) for value in values])


def _is_tried(choice: Choice) -> bool:
    return isinstance(choice, Between) or len(choice) > 1


def _listed(name: str, choice: Choice) -> tuple[Value, ...]:
    if isinstance(choice, Between):
        raise SweepError(f"{name} has a range. List its values, or draw some with --random N.")
    return choice


def _choice(option: str, text: str) -> Choice:
    low, dots, high = text.partition("..")
    kind = _KINDS[option]
    if dots and kind in (int, float):
        ends = sorted(float(_value(option, end)) for end in (low, high))
        return Between(ends[0], ends[1], kind is int)
    return tuple(dict.fromkeys(_value(option, part) for part in _parts(text)))


def _parts(text: str) -> Iterator[str]:
    for part in text.split(","):
        if not part.strip():
            raise SweepError(f"{text!r} has an empty value. Separate values by single commas.")
        yield part.strip()


def _value(option: str, text: str) -> Value:
    """Return a value of an option. Lists inside of a value are separated by ``+``."""
    kind = _KINDS[option]
    if kind is str:
        return text.replace("+", ",")
    if kind is bool:
        if text not in ("yes", "no"):
            raise SweepError(f"{text!r} is not a value of {option}. Use yes or no.")
        return text == "yes"
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (kind is int and number != int(number)):
        needed = "whole number" if kind is int else "number"
        raise SweepError(f"{text!r} is not a value of {option}. Use a {needed}.")
    return int(number) if kind is int else number


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
