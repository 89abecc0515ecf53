"""Sweeps: settings become runs of one group, as a grid or drawn at random."""

from __future__ import annotations

from contextlib import suppress

import pytest

from loravit_web.runs.sweeps import Between, SweepError, changed_text, parse_choices, tries
from loravit_web.training.command_line import OPTIONS
from loravit_web.training.recipe import RecipeError


def test_a_grid_has_every_combination_and_runs_of_one_trunk_follow_each_other() -> None:
    choices = parse_choices(["lr=0.001,0.01", "blocks=2,4", "epochs=6"])
    planned = tries("quick", choices, draws=None)
    assert [one.changed for one in planned] == [
        {"blocks": 2, "lr": 0.001},
        {"blocks": 2, "lr": 0.01},
        {"blocks": 4, "lr": 0.001},
        {"blocks": 4, "lr": 0.01},
    ]
    assert [one.recipe.adapter.blocks for one in planned] == [2, 2, 4, 4]
    assert {one.recipe.epochs for one in planned} == {6}


def test_draws_are_different_within_their_ranges_and_the_same_for_a_seed() -> None:
    choices = parse_choices(["lr=0.0001..0.01", "rank=2..16", "mirror=yes,no"])
    planned = tries("quick", choices, draws=8, seed=3)
    assert len({str(one.changed) for one in planned}) == 8
    for one in planned:
        assert 1e-4 <= one.recipe.lr <= 1e-2
        assert 2 <= one.recipe.adapter.r <= 16
    assert planned == tries("quick", choices, draws=8, seed=3)
    assert planned != tries("quick", choices, draws=8, seed=4)


def test_more_draws_than_combinations_give_each_combination_once() -> None:
    planned = tries("quick", parse_choices(["rank=2,4"]), draws=9)
    assert [one.changed for one in planned] == [{"rank": 2}, {"rank": 4}]


def test_lists_inside_of_a_value_are_joined_by_plus_signs() -> None:
    planned = tries("quick", parse_choices(["targets=q+v,qkv", "readout=auto,cls@12"]), draws=None)
    assert planned[0].recipe.adapter.target_modules == ("q", "v")
    assert len(planned) == 4


@pytest.mark.parametrize("option", ["rslora", "mirror", "floor", "average", "refit"])
def test_what_is_on_or_off_is_yes_or_no(option: str) -> None:
    assert parse_choices([f"{option}=yes,no"]) == {option: (True, False)}


@pytest.mark.parametrize("option", OPTIONS.values())
def test_every_option_of_a_training_takes_a_value(option: str) -> None:
    taken = []
    for text in ("no", "1", "mean"):
        with suppress(SweepError):
            taken += [*parse_choices([f"{option}={text}"]).values()]
    assert taken


def test_a_range_has_whole_numbers_for_options_that_count() -> None:
    assert parse_choices(["rank=16..2"])["rank"] == Between(2, 16, is_whole=True)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["speed=1,2"], "'speed=1,2' is not OPTION=VALUES"),
        (["lr"], "'lr' is not OPTION=VALUES"),
        (["lr=0.1", "lr=0.2"], "lr is given twice"),
        (["lr=0.1,,0.2"], "empty value"),
        (["lr=fast,0.1"], "'fast' is not a value of lr. Use a number"),
        (["rank=2.5,4"], "Use a whole number"),
        (["mirror=true,no"], "Use yes or no"),
        (["seed=1,2"], "cannot try several values of seed"),
    ],
)
def test_what_cannot_be_tried_is_said(texts: list[str], told: str) -> None:
    with pytest.raises(SweepError, match=told):
        parse_choices(texts)


def test_a_sweep_needs_something_to_compare_and_a_range_a_number_of_draws() -> None:
    with pytest.raises(SweepError, match="option with several values"):
        tries("quick", parse_choices(["lr=0.001"]), draws=None)
    with pytest.raises(SweepError, match="--random N"):
        tries("quick", parse_choices(["lr=0.001..0.1"]), draws=None)
    with pytest.raises(RecipeError, match="out of range"):
        tries("quick", parse_choices(["lr=0.001,99"]), draws=None)


def test_changes_are_told_in_words() -> None:
    assert changed_text({"lr": 0.0005, "rank": 8, "mirror": False}) == "lr 0.0005, rank 8, mirror no"
