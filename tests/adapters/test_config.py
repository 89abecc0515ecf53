"""A configuration that can't work is refused where it is written down."""

from __future__ import annotations

import math
from typing import Any

import pytest

from loravit_web.adapters import ADAPTER_TYPES, AdapterConfigError, ViTAdapterConfig, adapter_type
from loravit_web.adapters.interface import AdapterType


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"r": 0}, "Rank 0 is out of range: choose 1 to 256."),
        ({"r": 257}, "Rank 257 is out of range: choose 1 to 256."),
        ({"alpha": 0}, "Alpha 0 is out of range"),
        ({"alpha": math.nan}, "Alpha nan is out of range"),
        ({"alpha": 1025}, "Alpha 1025 is out of range"),
        ({"dropout": 1.0}, "Dropout 1 is out of range"),
        ({"dropout": -0.1}, "Dropout -0.1 is out of range"),
        ({"blocks": 0}, "0 adapted blocks make no adapter"),
        ({"pooling": "max"}, "Pooling max is unknown: choose cls, mean, cls\\+mean"),
        ({"target_modules": ()}, "No target is named: choose from q, k, v"),
        ({"target_modules": ("qkv", "head")}, "Target head is unknown: choose from q, k, v"),
        ({"target_modules": ("q", "q")}, "A target is named twice"),
        ({"target_modules": ("qkv", "v")}, "qkv already covers q, k and v"),
    ],
    ids=str,
)
def test_a_value_that_can_not_work_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AdapterConfigError, match=sentence):
        ViTAdapterConfig(**fields)


def test_more_blocks_than_the_base_has_are_refused_with_the_number_there_is() -> None:
    config = ViTAdapterConfig(blocks=4)
    assert config.first_block(12) == 8
    assert config.first_block(4) == 0
    with pytest.raises(AdapterConfigError, match="the base has 3: choose 1 to 3"):
        config.first_block(3)


def test_rank_stabilised_scaling_divides_by_the_root_of_the_rank() -> None:
    assert ViTAdapterConfig(r=16, alpha=8).scale == 0.5
    assert ViTAdapterConfig(r=16, alpha=8, use_rslora=True).scale == 2.0


def test_it_comes_back_from_json_unchanged() -> None:
    config = ViTAdapterConfig("LINEAR", 3, 5.5, 0.1, ("q", "fc2"), 7, True, "cls+mean")
    assert ViTAdapterConfig.from_json(config.as_json()) == config


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(AdapterConfigError, match="unknown field lora_r"):
        ViTAdapterConfig.from_json({**ViTAdapterConfig().as_json(), "lora_r": 8})


def test_an_unknown_type_is_refused_with_those_there_are() -> None:
    with pytest.raises(AdapterConfigError, match="Adapter type DORA is unknown: choose LORA or LINEAR"):
        adapter_type("DORA")


def test_every_type_does_what_a_type_must_do() -> None:
    assert all(isinstance(kind, AdapterType) for kind in ADAPTER_TYPES.values())
