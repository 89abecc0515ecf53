"""An invalid configuration is rejected when it is created."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from loravit_web.adapters import ADAPTER_TYPES, AdapterConfigError, ViTAdapterConfig, adapter_type
from loravit_web.adapters.interface import AdapterType
from loravit_web.backbones import Base
from loravit_web.backbones.base import UnsupportedPooling


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"r": 0}, "Rank 0 is out of range. Choose 1 to 256."),
        ({"r": 257}, "Rank 257 is out of range. Choose 1 to 256."),
        ({"rank_pattern": {"qkv": 257}}, "Rank 257 is out of range. Choose 1 to 256."),
        ({"alpha": 0}, "Alpha 0 is out of range"),
        ({"alpha": math.nan}, "Alpha nan is out of range"),
        ({"alpha": 1025}, "Alpha 1025 is out of range"),
        ({"alpha_pattern": {"qkv": 0}}, "Alpha 0 is out of range"),
        (
            {"rank_pattern": {"q": 4}},
            "A pattern names q, which is not a target module. Add it to the target modules.",
        ),
        ({"alpha_pattern": {"fc3": 4}}, "A pattern names fc3, which is not a target module"),
        ({"prefix_length": 0}, "Prefix length 0 is out of range. Choose 1 to 64."),
        ({"prefix_length": 65}, "Prefix length 65 is out of range"),
        ({"dropout": 1.0}, "Dropout 1 is out of range"),
        ({"dropout": -0.1}, "Dropout -0.1 is out of range"),
        ({"blocks": 0}, "Number of blocks 0 is out of range"),
        ({"pooling": "max"}, r"Pooling max is unknown. Choose one of cls, mean, cls\+mean, map."),
        ({"target_modules": ()}, "No target module is chosen. Choose from q, k, v"),
        ({"target_modules": ("qkv", "head")}, "Target head is unknown. Choose from q, k, v"),
        ({"target_modules": ("q", "q")}, "A target module is named twice"),
        ({"target_modules": ("qkv", "v")}, "Target qkv already includes q, k and v"),
    ],
    ids=str,
)
def test_an_invalid_value_is_rejected(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AdapterConfigError, match=sentence):
        ViTAdapterConfig(**fields)


def test_more_blocks_than_the_base_has_are_rejected_with_its_depth() -> None:
    config = ViTAdapterConfig(blocks=4)
    assert config.first_block(12) == 8
    assert config.first_block(4) == 0
    with pytest.raises(
        AdapterConfigError, match="The base has 3 blocks, so 4 cannot be adapted. Choose 1 to 3."
    ):
        config.first_block(3)


def test_rslora_divides_by_the_square_root_of_the_rank() -> None:
    assert ViTAdapterConfig(r=16, alpha=8).scale("qkv") == 0.5
    assert ViTAdapterConfig(r=16, alpha=8, use_rslora=True).scale("qkv") == 2.0


def test_patterns_set_the_rank_or_alpha_of_single_targets() -> None:
    config = ViTAdapterConfig(r=16, alpha=8, rank_pattern={"fc1": 4}, alpha_pattern={"fc1": 2, "proj": 32})
    assert [config.rank(target) for target in config.target_modules] == [16, 16, 4, 16]
    assert [config.scale(target) for target in config.target_modules] == [0.5, 2.0, 0.5, 0.5]
    stable = replace(config, use_rslora=True)
    assert [stable.scale(target) for target in config.target_modules] == [2.0, 8.0, 1.0, 2.0]


def test_patterns_are_hashable_and_independent_of_their_order() -> None:
    one = ViTAdapterConfig(rank_pattern={"qkv": 2, "fc1": 4})
    other = ViTAdapterConfig(rank_pattern=(("fc1", 4), ("qkv", 2)))
    assert one == other
    assert hash(one) == hash(other)


def test_the_pooling_defaults_to_that_of_the_base(base: Base) -> None:
    assert ViTAdapterConfig().resolved(base) == ViTAdapterConfig(pooling="cls")
    assert ViTAdapterConfig(pooling="mean").resolved(base) == ViTAdapterConfig(pooling="mean")
    with pytest.raises(UnsupportedPooling, match="does not support pooling map. Choose mean or cls or cls"):
        ViTAdapterConfig(pooling="map").resolved(base)


def test_a_configuration_survives_a_round_trip_through_json() -> None:
    config = ViTAdapterConfig(
        "PREFIX", 3, 5.5, 0.1, ("q", "fc2"), 7, True, "cls+mean", {"q": 2}, {"fc2": 0.5}, 5
    )
    assert ViTAdapterConfig.from_json(json.loads(json.dumps(config.as_json()))) == config
    assert {ViTAdapterConfig.from_json({})} == {ViTAdapterConfig()}


def test_an_unknown_field_is_rejected_by_name() -> None:
    with pytest.raises(AdapterConfigError, match="unknown field lora_r"):
        ViTAdapterConfig.from_json({**ViTAdapterConfig().as_json(), "lora_r": 8})


def test_an_unknown_type_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(
        AdapterConfigError, match="Adapter type DORA is unknown. Choose one of LORA, PREFIX, LINEAR."
    ):
        adapter_type("DORA")


def test_every_type_implements_the_interface() -> None:
    assert all(isinstance(kind, AdapterType) for kind in ADAPTER_TYPES.values())
