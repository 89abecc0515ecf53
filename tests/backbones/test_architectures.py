"""Small models of real timm architectures with random weights are accepted, or rejected with a reason."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn

from loravit_web.adapters import Adapter, AdapterConfigError, ViTAdapterConfig
from loravit_web.adapters.adapter import compute_reference_logits
from loravit_web.adapters.lora import LoRA
from loravit_web.backbones import Base, UnsupportedBase, wrap_base
from loravit_web.backbones.base import Pooling
from loravit_web.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from loravit_web.backbones.timm_import import import_timm
from tests.adapters.makers import random_adapter

SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}


@dataclass(frozen=True)
class Case:
    """One architecture.

    Attributes:
        name: in timm.
        pooling: how timm itself pools it.
        prefix_tokens: class and register tokens.
        linears: of a block, in order.
        prefix: whether its attention can take learned keys and values.
        apart: whether the first token can be had alone from its last block.
        pooled_as_timm: False where timm pools in a way that is none of ours.
        settings: to make it small.
    """

    name: str
    pooling: Pooling = "cls"
    prefix_tokens: int = 1
    linears: tuple[str, ...] = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    prefix: bool = True
    first_token: bool = True
    pooled_as_timm: bool = True
    settings: dict[str, Any] = field(default_factory=dict)


SEPARATE = ("attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.proj", "mlp.fc1_g", "mlp.fc1_x", "mlp.fc2")
CASES = {
    "plain ViT": Case("vit_tiny_patch16_224"),
    "AugReg ViT of 8 px patches": Case("vit_small_patch8_224"),
    "ViT without class token": Case("vit_base_patch16_gap_224", "mean", 0),
    "ViT of registers alone": Case("vit_little_patch16_reg4_gap_256", "mean", 4),
    "ViT with attention pooling over registers": Case("vit_so150m_patch16_reg4_map_256", "map", 4),
    "parallel ViT": Case(
        "vit_small_patch16_18x2_224",
        linears=(
            *(f"attns.{i}.attn.{layer}" for i in (0, 1) for layer in ("qkv", "proj")),
            *(f"ffns.{i}.mlp.{layer}" for i in (0, 1) for layer in ("fc1", "fc2")),
        ),
        prefix=False,
        first_token=False,
    ),
    "DeiT": Case("deit_tiny_patch16_224"),
    "DeiT-3": Case("deit3_small_patch16_224"),
    "distilled DeiT": Case("deit_tiny_distilled_patch16_224", prefix_tokens=2, pooled_as_timm=False),
    "DINOv2": Case("vit_small_patch14_dinov2"),
    "DINOv2 with registers": Case("vit_small_patch14_reg4_dinov2", prefix_tokens=5),
    "DINOv2 giant, packed SwiGLU": Case("vit_giant_patch14_dinov2"),
    "SigLIP": Case("vit_base_patch16_siglip_224", "map", 0),
    "CLIP": Case("vit_base_patch16_clip_224"),
    "EVA-01": Case("eva_giant_patch14_224", "mean"),
    "EVA-02 tiny, fused": Case("eva02_tiny_patch14_224", "mean"),
    "EVA-02": Case("eva02_base_patch14_224", "mean", linears=SEPARATE),
    "EVA-02 CLIP": Case("eva02_base_patch16_clip_224", linears=SEPARATE),
    "ViT with rotary positions": Case("vit_small_patch16_rope_224"),
    "ViT with mixed rotary positions": Case("vit_small_patch16_rope_mixed_224"),
    "ViT with mixed rotary and absolute positions": Case("vit_small_patch16_rope_mixed_ape_224"),
    "DINOv3": Case("vit_small_patch16_dinov3", "mean", 5),
    "perception encoder": Case("vit_pe_core_tiny_patch16_384", "map"),
}


def architecture(case: str, **settings: Any) -> nn.Module:
    """Return a model with random weights that are strong enough for every part to have an effect."""
    c = CASES[case]
    torch.manual_seed(0)
    model = import_timm().create_model(c.name, **{**SMALL, **c.settings, **settings}).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and name.rpartition(".")[2] == "weight":
                parameter.normal_(0.0, 1 / math.sqrt(parameter[0].numel()), generator=generator)
            elif parameter.ndim > 1:
                parameter.normal_(0.0, 0.5, generator=generator)
            else:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def wrapped(case: str, **settings: Any) -> Base:
    name = CASES[case].name
    model = architecture(case, **settings)
    return wrap_base(model, name=name, architecture=name, mean=IMAGENET_MEAN, std=IMAGENET_STD)


@functools.cache
def flexible(case: str) -> Base:
    """Return the base as `load_base` creates it, for images of any size."""
    return wrapped(case, dynamic_img_size=True)


def random_images(side: int) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))


def logits_of(base: Base, adapter: Adapter, blocks: list[nn.Module], images: torch.Tensor) -> torch.Tensor:
    first = adapter.first_block
    with torch.no_grad():
        tokens = base.run_blocks(blocks, base.advance(base.embed(images), 0, first), first)
        return adapter.head(base.features(tokens, adapter.config.pooling))


@pytest.mark.parametrize("side", [32, 56])
@pytest.mark.parametrize("case", CASES)
def test_the_parts_in_sequence_equal_timm_at_every_size(case: str, side: int) -> None:
    base = flexible(case)
    images = random_images(side)
    with torch.no_grad():
        whole = base.model.forward_features(images)
        tokens = base.advance(base.embed(images), 0, 1)
        tokens = base.advance(tokens, 1, base.depth)
        torch.testing.assert_close(base.model.norm(tokens), whole, rtol=0, atol=1e-4)
        assert tokens.shape == (2, base.token_count(side), base.embed_dim)
        pooled = base.features(tokens, None)
        assert torch.equal(pooled, base.features(tokens, base.native_pooling))
        assert pooled.shape == (2, base.feature_dim(None))
        if CASES[case].pooled_as_timm:
            expected = base.model.forward_head(whole, pre_logits=True)
            torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_a_model_with_a_fixed_size_is_a_base_with_that_size(case: str) -> None:
    base = wrapped(case)
    images = random_images(32)
    with torch.no_grad():
        tokens = base.advance(base.embed(images), 0, base.depth)
        torch.testing.assert_close(
            base.model.norm(tokens), base.model.forward_features(images), rtol=0, atol=1e-4
        )
    assert base.weights_sha256 == flexible(case).weights_sha256


@pytest.mark.parametrize("case", CASES)
def test_the_base_has_the_expected_tokens_layers_and_poolings(case: str) -> None:
    base, c = flexible(case), CASES[case]
    assert base.prefix_token_count == c.prefix_tokens
    assert base.native_pooling == c.pooling
    assert (base.depth, base.embed_dim, base.patch_size) == (2, 32, 8)
    has_class_token = base.model.cls_token is not None
    assert ("cls" in base.poolings) == ("cls+mean" in base.poolings) == has_class_token
    assert ("map" in base.poolings) == (c.pooling == "map")
    linears = tuple(path for path, m in base.blocks[-1].named_modules() if isinstance(m, nn.Linear))
    assert linears == c.linears


@pytest.mark.parametrize("kind", ["LORA", "PREFIX"])
@pytest.mark.parametrize("case", CASES)
def test_the_first_token_block_gives_the_same_class_token(case: str, kind: str) -> None:
    base, images = flexible(case), random_images(48)
    assert (
        base.supports_first_token_block
        is base.cast(torch.bfloat16).supports_first_token_block
        is CASES[case].first_token
    )
    if (kind == "PREFIX" and not CASES[case].prefix) or "cls" not in base.poolings:
        return
    adapter = random_adapter(base, ViTAdapterConfig(kind, r=3, alpha=6, blocks=2, pooling="cls"))
    blocks = adapter.blocks(base)
    made = list(base.fastest_blocks(["cls"], blocks))
    assert (made != blocks) is CASES[case].first_token
    expected = logits_of(base, adapter, blocks, images)
    torch.testing.assert_close(logits_of(base, adapter, made, images), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("side", [32, 48])
@pytest.mark.parametrize("case", CASES)
def test_low_rank_blocks_change_the_logits_and_equal_merged_ones(case: str, side: int) -> None:
    base, images = flexible(case), random_images(side)
    adapter = random_adapter(base, ViTAdapterConfig(r=3, alpha=6, blocks=1), image_size=side)
    assert len(adapter.change.factors or ()) == len(CASES[case].linears)
    low_rank = logits_of(base, adapter, adapter.blocks(base), images)
    merged = logits_of(base, adapter, adapter.merged_blocks(base, base), images)
    untouched = logits_of(base, adapter, base.blocks[-1:], images)
    torch.testing.assert_close(low_rank, merged, rtol=0, atol=1e-4)
    assert float((low_rank - untouched).abs().max()) > 0.1


@pytest.mark.parametrize("target", ["qkv", "v", "proj", "fc1", "fc2"])
@pytest.mark.parametrize("case", CASES)
def test_each_target_alone_changes_the_logits(case: str, target: str) -> None:
    base, images = flexible(case), random_images(32)
    adapter = random_adapter(base, ViTAdapterConfig(r=3, alpha=6, blocks=1, target_modules=(target,)))
    found = logits_of(base, adapter, adapter.blocks(base), images)
    merged = logits_of(base, adapter, adapter.merged_blocks(base, base), images)
    torch.testing.assert_close(found, merged, rtol=0, atol=1e-4)
    assert float((found - logits_of(base, adapter, base.blocks[-1:], images)).abs().max()) > 0.01


@pytest.mark.parametrize("case", CASES)
def test_a_linear_probe_reads_the_features_of_the_base(case: str) -> None:
    base, images = flexible(case), random_images(32)
    adapter = random_adapter(base, ViTAdapterConfig("LINEAR"))
    assert adapter.config.pooling == CASES[case].pooling
    with torch.no_grad():
        features = base.features(base.advance(base.embed(images), 0, 2), None)
    expected = features @ adapter.head_weight.T + adapter.head_bias
    torch.testing.assert_close(logits_of(base, adapter, [], images), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", [case for case in CASES if CASES[case].prefix])
def test_learned_keys_and_values_change_the_logits(case: str) -> None:
    base, images = flexible(case), random_images(48)
    adapter = random_adapter(base, ViTAdapterConfig("PREFIX", blocks=2, prefix_length=3))
    found = logits_of(base, adapter, adapter.blocks(base), images)
    assert float((found - logits_of(base, adapter, base.blocks, images)).abs().max()) > 0.1
    again = logits_of(base, adapter, adapter.merged_blocks(base, base), images)
    assert torch.equal(again, found)


@pytest.mark.parametrize("case", [case for case in CASES if not CASES[case].prefix])
def test_an_attention_without_support_for_a_prefix_is_rejected_by_name(case: str) -> None:
    with pytest.raises(
        AdapterConfigError, match=f"The attention of {CASES[case].name} does not support a prefix"
    ):
        random_adapter(flexible(case), ViTAdapterConfig("PREFIX", blocks=1))


@pytest.mark.parametrize("kind", ["LORA", "PREFIX", "LINEAR"])
@pytest.mark.parametrize("case", CASES)
def test_the_base_runs_in_bfloat16(case: str, kind: str) -> None:
    if kind == "PREFIX" and not CASES[case].prefix:
        return
    base, images = flexible(case), random_images(48)
    half = base.cast(torch.bfloat16)
    adapter = random_adapter(base, ViTAdapterConfig(kind, r=3, alpha=6, blocks=1))
    exact = logits_of(base, adapter, adapter.blocks(base), images)
    for blocks in (adapter.blocks(half), adapter.merged_blocks(half, base)):
        found = logits_of(half, adapter, blocks, images)
        assert found.dtype is torch.float32
        assert float((found - exact).abs().max()) < 0.1 * float(exact.abs().max())


@pytest.mark.parametrize("case", CASES)
def test_factors_can_be_trained_on_the_base(case: str) -> None:
    base, images = flexible(case), random_images(32)
    config = ViTAdapterConfig(r=3, alpha=6, blocks=1)
    blocks = LoRA().trainable_blocks(base, config, torch.Generator().manual_seed(0))
    tokens = base.run_blocks(blocks, base.advance(base.embed(images), 0, 1), 1)
    base.features(tokens, None).square().sum().backward()
    trained = {name: p for name, p in blocks[0].named_parameters() if p.requires_grad}
    assert len(trained) == 2 * len(CASES[case].linears)
    silent = {name for name, p in trained.items() if ".lora_b." in name and not bool(p.grad.any())}
    assert silent == set()


@pytest.mark.parametrize("case", ["DINOv3", "ViT with mixed rotary positions", "SigLIP"])
def test_the_reference_logits_are_the_same_on_a_second_wrapped_base(case: str) -> None:
    adapter = random_adapter(flexible(case))
    again = compute_reference_logits(wrapped(case, dynamic_img_size=True), adapter)
    assert torch.equal(again, adapter.reference_logits)


UNSUPPORTED = {
    "a ResNet": (
        "resnet18",
        {},
        "has no patch_embed, _pos_embed, norm_pre, blocks, norm, fc_norm, embed_dim",
    ),
    "a Swin": (
        "swin_tiny_patch4_window7_224",
        {"embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2)},
        "has no _pos_embed, norm_pre, blocks, fc_norm",
    ),
    "a BEiT": ("beit_base_patch16_224", SMALL, "has no _pos_embed, norm_pre"),
    "a ViT with relative positions": ("vit_srelpos_small_patch16_224", SMALL, "has no _pos_embed, norm_pre"),
    "a SAM": (
        "samvit_base_patch16",
        {**SMALL, "global_attn_indexes": ()},
        "has no _pos_embed, norm, fc_norm",
    ),
    "a CaiT": ("cait_xxs24_224", SMALL, "has no _pos_embed, norm_pre, fc_norm"),
    "a hybrid of ResNet and ViT": (
        "vit_tiny_r_s16_p8_224",
        {"embed_dim": 32, "depth": 1, "num_heads": 2},
        "cannot be run block by block",
    ),
}


@pytest.mark.parametrize(("name", "settings", "reason"), UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
def test_a_model_that_is_not_a_plain_vit_is_rejected_with_the_reason(
    name: str, settings: dict[str, Any], reason: str
) -> None:
    model = import_timm().create_model(name, **settings)
    with pytest.raises(UnsupportedBase) as caught:
        wrap_base(model, name=name, architecture=name, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    sentence = str(caught.value)
    assert sentence.startswith(f"{name} ")
    assert reason in sentence
    assert sentence.endswith(". Choose a plain ViT such as ViT, DeiT, DINOv2, SigLIP, CLIP or EVA-02.")


def test_a_model_that_is_more_than_its_parts_is_rejected() -> None:
    model: Any = architecture("plain ViT")
    whole = model.forward_features
    model.forward_features = lambda images: whole(images) + 0.1
    with pytest.raises(UnsupportedBase, match="odd is more than an embedding and a sequence of blocks"):
        wrap_base(model, name="odd", architecture="odd", mean=IMAGENET_MEAN, std=IMAGENET_STD)
