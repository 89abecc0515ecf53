"""The command that the page shows trains exactly what the page would train."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import typer

from loravit_web.adapters.readout import parse_readout
from loravit_web.cli import train
from loravit_web.cli.main import main
from loravit_web.training.command_line import train_command
from loravit_web.training.recipe import PRESETS, Recipe, preset_recipe

Parsed = Callable[[str], Recipe]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Parsed:
    """Return the recipe with which the shell would train on a line."""
    recipes: list[Recipe] = []

    def trained(_service: object, _data: str, _name: str, recipe: Recipe, **_more: object) -> None:
        recipes.append(recipe)
        raise typer.Exit

    monkeypatch.setattr(train, "open_service", lambda *, base, device: nullcontext((base, device)))
    monkeypatch.setattr(train, "trained", trained)

    def parse(line: str) -> Recipe:
        words = shlex.split(line)
        assert words[:3] == ["python", "-m", "loravit_web"]
        assert main(words[3:]) == 0
        return recipes.pop()

    return parse


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_needs_no_further_options(parsed: Parsed, preset: str) -> None:
    line = train_command("dataset:12ab", "my-task", preset_recipe(preset))
    assert line == f"python -m loravit_web train dataset:12ab --name my-task --preset {preset}"
    assert parsed(line) == preset_recipe(preset)


@pytest.mark.parametrize(
    "changes",
    [
        {"mirror": False},
        {"epochs": 3},
        {"epochs": 3, "min_steps": 0},
        {"lr": 0.00123456789, "weight_decay": 0.0, "label_smoothing": 0.05, "clip": 0.5},
        {"r": 2, "alpha": 5.5, "dropout": 0.25, "blocks": 1, "target_modules": ("q", "v")},
        {"adapter_type": "PREFIX", "prefix_length": 4, "pooling": "mean"},
        {"adapter_type": "PROBE", "pooling": "none", "readout": parse_readout(["6-8", "cls@10", "mean@12"])},
        {"readout": (), "floor": False},
        {"use_rslora": True, "seed": 7, "batch_size": 16, "patience": 2, "validation_fraction": 0.3},
        {"max_images": 100, "image_size": 64, "min_steps": 10},
    ],
    ids=str,
)
def test_every_changed_setting_survives_a_round_trip_through_the_command(
    parsed: Parsed, changes: dict[str, Any]
) -> None:
    recipe = preset_recipe("quick", **changes)
    assert parsed(train_command("sample:digits", "my-task", recipe)) == recipe


def test_an_unlimited_number_of_images_survives_a_round_trip(parsed: Parsed) -> None:
    recipe = replace(preset_recipe("quick"), max_images=None)
    assert parsed(train_command("sample:digits", "my-task", recipe)) == recipe


def test_names_are_quoted_for_the_shell() -> None:
    recipe = preset_recipe("quick")
    assert "--base" not in shlex.split(train_command("sample:digits", "x", recipe))
    words = shlex.split(train_command("sample:digits", "it's; rm -rf", recipe, base="my vit"))
    assert words[words.index("--base") + 1] == "my vit"
    assert words[words.index("--name") + 1] == "it's; rm -rf"
