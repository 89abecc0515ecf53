"""A ViT split into embedding, blocks and pooling computes the same as the whole timm model."""

from __future__ import annotations

import functools
import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loravit_web.backbones import Base, UnsupportedBase, wrap_base
from loravit_web.backbones.base import (
    MAX_CACHED,
    MAX_SIZES,
    Pooling,
    UnsupportedImageSize,
    UnsupportedPooling,
)
from loravit_web.backbones.fingerprint import weights_sha256
from loravit_web.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from loravit_web.backbones.timm_import import import_timm
from tests.conftest import tiny_base


def wrapped(architecture: str = "vit_tiny_patch16_224", **changes: Any) -> Base:
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "img_size": 32,
        "patch_size": 8,
        "embed_dim": 32,
        "depth": 2,
        "num_heads": 2,
        "dynamic_img_size": True,
    }
    model = import_timm().create_model(architecture, **{**settings, **changes})
    return wrap_base(model, name="odd", architecture=architecture, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def pooled_by_timm(base: Base, images: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    tokens = base.model.forward_features(images)
    patches = tokens[:, base.model.num_prefix_tokens :].mean(dim=1)
    return {"cls": tokens[:, 0], "mean": patches, "cls+mean": torch.cat([tokens[:, 0], patches], -1)}[pooling]


@pytest.mark.parametrize("pooling", ["cls", "mean", "cls+mean"])
@pytest.mark.parametrize("side", [32, 56])
@pytest.mark.parametrize(
    "variant", [{}, {"reg_tokens": 2, "no_embed_class": True}, {"init_values": 0.5, "num_classes": 7}]
)
def test_the_parts_in_sequence_equal_timm_at_every_size(
    variant: dict[str, Any], side: int, pooling: Pooling
) -> None:
    base = wrapped(**variant)
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = pooled_by_timm(base, images, pooling)
        tokens = base.advance(base.embed(images), 0, 1)
        found = base.features(base.advance(tokens, 1, base.depth), pooling)
    assert tokens.shape == (2, base.token_count(side), base.embed_dim)
    assert found.shape == (2, base.feature_dim(pooling))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_model_with_average_pooling_applies_its_norm_after_the_pooling() -> None:
    base = wrapped(global_pool="avg", num_classes=5)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = base.features(base.advance(base.embed(images), 0, 2), "mean")
        torch.testing.assert_close(found, base.model(images), rtol=0, atol=1e-5)


def test_two_image_sizes_in_turn_do_not_affect_each_other(base: Base) -> None:
    small, large = torch.ones(1, 3, 32, 32), torch.ones(1, 3, 48, 48)
    with torch.no_grad():
        first = base.embed(small)
        base.embed(large)
        assert torch.equal(base.embed(small), first)


@given(side=st.integers(-10, 3000))
def test_an_unsupported_size_is_rejected_with_a_supported_one(side: int) -> None:
    base = _BASE
    try:
        assert base.preprocessing(side).image_size == side
    except UnsupportedImageSize as error:
        (suggestion,) = re.findall(r"such as (\d+)\.", str(error))
        assert base.preprocessing(int(suggestion)).image_size == int(suggestion)
        assert f"Image size {side} " in str(error)
        return
    assert side % base.patch_size == 0


_BASE = tiny_base(depth=1)


def test_casting_gives_another_precision_and_keeps_the_original(base: Base) -> None:
    half = base.cast(torch.bfloat16)
    assert half.dtype is torch.bfloat16
    assert base.dtype is torch.float32
    assert half.weights_sha256 == base.weights_sha256 == weights_sha256(base.model.state_dict())
    assert base.cast(torch.float32) is base
    with torch.no_grad():
        features = half.features(half.advance(half.embed(torch.ones(1, 3, 32, 32)), 0, 3), "cls")
        exact = base.features(base.advance(base.embed(torch.ones(1, 3, 32, 32)), 0, 3), "cls")
    assert features.dtype is torch.float32
    torch.testing.assert_close(features, exact, rtol=0, atol=0.1)


def test_casting_moves_a_base_only_if_a_device_is_given(base: Base) -> None:
    elsewhere = base.cast(torch.bfloat16, "meta")
    assert (elsewhere.device.type, elsewhere.dtype) == ("meta", torch.bfloat16)
    assert elsewhere.cast(torch.float32).device.type == "meta"
    assert base.cast(torch.float32, "cpu") is base


def test_a_base_is_frozen_without_a_head_and_in_evaluation_mode() -> None:
    base = wrapped(num_classes=9, proj_drop_rate=0.5, drop_path_rate=0.5)
    assert not any(p.requires_grad for p in base.model.parameters())
    assert not any(module.training for module in base.model.modules())
    assert not any(name.startswith("head.") for name in base.model.state_dict())


def test_the_head_of_a_model_is_not_part_of_the_identity() -> None:
    model = import_timm().create_model(
        "vit_tiny_patch16_224", embed_dim=16, depth=1, num_heads=1, num_classes=5
    )
    backbone = {name: t for name, t in model.state_dict().items() if not name.startswith("head.")}
    base = wrap_base(
        model, name="with-head", architecture="vit_tiny_patch16_224", mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    assert len(backbone) == len(model.state_dict()) - 2
    assert base.weights_sha256 == weights_sha256(backbone)


def test_other_weights_give_another_identity() -> None:
    assert tiny_base(seed=0).weights_sha256 == tiny_base(seed=0).weights_sha256
    assert tiny_base(seed=0).weights_sha256 != tiny_base(seed=1).weights_sha256


def test_a_base_without_a_class_token_only_supports_mean_pooling() -> None:
    base = wrapped(class_token=False, global_pool="avg", num_classes=5)
    images = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    assert base.prefix_token_count == 0
    assert (base.poolings, base.native_pooling) == (("mean",), "mean")
    assert base.token_count(48) == 36
    with torch.no_grad():
        tokens = base.advance(base.embed(images), 0, 2)
        torch.testing.assert_close(base.features(tokens, None), base.model(images), rtol=0, atol=1e-5)
    for pooling in ("cls", "cls+mean", "map"):
        with pytest.raises(UnsupportedPooling, match=f"pooling {re.escape(pooling)}. Choose mean."):
            base.feature_dim(pooling)


def test_the_default_pooling_is_the_native_one(base: Base) -> None:
    with torch.no_grad():
        tokens = base.advance(base.embed(torch.ones(1, 3, 32, 32)), 0, base.depth)
        assert torch.equal(base.features(tokens, None), base.features(tokens, "cls"))
    assert base.feature_dim(None) == base.embed_dim


def test_a_resnet_is_rejected_by_name() -> None:
    model = import_timm().create_model("resnet18")
    with pytest.raises(UnsupportedBase, match="odd-one .* has no patch_embed, .* Choose a plain ViT"):
        wrap_base(model, name="odd-one", architecture="resnet18", mean=IMAGENET_MEAN, std=IMAGENET_STD)


@pytest.mark.parametrize("architecture", ["vit_tiny_patch16_224", "vit_small_patch16_rope_224"])
def test_position_embeddings_are_kept_for_a_bounded_number_of_image_sizes(architecture: str) -> None:
    base = wrapped(architecture)
    with torch.no_grad():
        first, *_ = [
            base.advance(base.embed(torch.ones(1, 3, side, side)), 0, 1)
            for side in range(16, 16 + 8 * (MAX_SIZES + 2), 8)
        ]
        assert len(base._stems) == MAX_SIZES
        assert len(base._ropes) == (MAX_SIZES if "rope" in architecture else 0)
        assert torch.equal(base.advance(base.embed(torch.ones(1, 3, 16, 16)), 0, 1), first)


def test_the_last_results_are_cached_by_key(base: Base) -> None:
    computed = []

    def compute(key: int) -> torch.Tensor:
        computed.append(key)
        return torch.tensor(key)

    keys = [*range(MAX_CACHED + 1), MAX_CACHED, 0]
    assert [int(base.cached(key, functools.partial(compute, key))) for key in keys] == keys
    assert computed == [*range(MAX_CACHED + 1), 0]
