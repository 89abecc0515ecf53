"""Numbers in foreign files are checked before they are used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from loravit_web.adapters.adapter import NonFiniteLogits
from loravit_web.adapters.files.bundle import read_bundle_file
from loravit_web.adapters.files.format import TEMPERATURES, json_document
from loravit_web.adapters.files.numbers import InvalidValue, finite_document, integer, number, numbers
from loravit_web.backbones import Base
from loravit_web.catalog.bundled import bundles
from tests.adapters.makers import random_adapter

LARGEST = torch.finfo(torch.float32).max


@pytest.mark.parametrize("value", [0.1, 1, 10, 10.0])
def test_a_number_in_range_is_accepted(value: float) -> None:
    assert number("x", value, 0.1, 10) == value


@pytest.mark.parametrize(
    "value", [0.0, 10.1, float("nan"), float("inf"), True, "1", None, [1], 10**400, -(10**400)]
)
def test_any_other_value_is_rejected_with_its_key_value_and_range(value: Any) -> None:
    with pytest.raises(InvalidValue, match=r"because x is .* instead of a number from 0\.1 to 10\."):
        number("x", value, 0.1, 10)


@pytest.mark.parametrize("value", [0, 11, 1.0, True, "1", None, 10**400])
def test_an_integer_is_not_a_float_a_boolean_or_a_string(value: Any) -> None:
    assert integer("x", 10, 1, 10) == 10
    with pytest.raises(InvalidValue, match="instead of an integer from 1 to 10"):
        integer("x", value, 1, 10)


@pytest.mark.parametrize("values", [[1.0], [1.0] * 3, "12", {"0": 1}, None, [1.0, "2"], [1.0, float("nan")]])
def test_a_list_of_numbers_has_the_required_length_and_only_numbers(values: Any) -> None:
    assert numbers("x", [1, 2.5], 2, 0, 3) == (1.0, 2.5)
    with pytest.raises(InvalidValue, match="because x"):
        numbers("x", values, 2, 0, 3)


def test_the_position_of_a_non_finite_number_is_named() -> None:
    with pytest.raises(InvalidValue, match=r"because a\.1\.b is inf instead of a finite number"):
        finite_document({"a": [0, {"b": float("inf")}]})


@pytest.mark.parametrize("temperature", [*TEMPERATURES, 1.0])
@pytest.mark.parametrize(
    "logits",
    [[0.0, 0.0, 0.0], [1e30, -1e30, 0.0], [LARGEST, -LARGEST, LARGEST], [1e-40, 0.0, 1.0], [-1e38] * 3],
)
def test_scores_are_finite_and_sum_to_one(base: Base, logits: list[float], temperature: float) -> None:
    adapter = replace(random_adapter(base), temperature=temperature)
    scores = adapter.scores(torch.tensor(logits))
    assert bool(torch.isfinite(scores).all())
    assert float(scores.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_non_finite_logits_are_an_error(base: Base, value: float) -> None:
    adapter = random_adapter(base)
    with pytest.raises(NonFiniteLogits, match="not finite"):
        adapter.scores(torch.tensor([value, 0.0, 0.0]))


@pytest.mark.parametrize("slug", sorted(bundles()))
def test_the_descriptions_of_the_bundled_adapters_are_still_read(slug: str) -> None:
    files = read_bundle_file(bundles()[slug]).files
    for name in ("task.json", "adapter_config.json"):
        assert json_document(files, name)
