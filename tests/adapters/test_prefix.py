"""Learned keys and values compute the written-out attention."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from loravit_web.adapters import Adapter, AdapterConfigError, ViTAdapterConfig
from loravit_web.adapters.interface import AdapterMismatch
from loravit_web.adapters.prefix import BlockPrefix, Prefix, PrefixAttention, PrefixChange
from loravit_web.backbones import Base, wrap_base
from loravit_web.backbones.fingerprint import weights_sha256
from loravit_web.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from loravit_web.backbones.timm_import import import_timm
from tests.adapters.makers import (
    SpelledOutAttention,
    prefix_attentions,
    random_adapter,
    random_images,
    reference_logits_of,
)

CONFIG = ViTAdapterConfig("PREFIX", blocks=2, prefix_length=5)
KEYS = "blocks.1.attn.prefix_keys"
VALUES = "blocks.2.attn.prefix_values"


def random_rows(count: int, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(count, 32, generator=generator), torch.randn(count, 32, generator=generator)


def small(architecture: str, **settings: Any) -> Base:
    torch.manual_seed(0)
    model = import_timm().create_model(
        architecture,
        **{"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, **settings},
        num_classes=0,
        dynamic_img_size=True,
    )
    return wrap_base(
        model, name=architecture, architecture=architecture, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )


def strong(attention: Any) -> Any:
    """Return the attention with random weights that are large enough for uneven attention."""
    attention = copy.deepcopy(attention)
    generator = torch.Generator().manual_seed(5)
    for parameter in attention.parameters():
        parameter.data.normal_(0.0, 0.3, generator=generator)
    return attention


def prefix_of(adapter: Adapter) -> PrefixChange:
    assert isinstance(adapter.change, PrefixChange)
    return adapter.change


def logits_of(base: Base, adapter: Adapter, blocks: list[nn.Module], images: torch.Tensor) -> torch.Tensor:
    first = adapter.first_block
    with torch.no_grad():
        tokens = base.run_blocks(blocks, base.advance(base.embed(images), 0, first), first)
        return adapter.head(base.features(tokens, adapter.config.pooling))


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("fused", [True, False], ids=["one kernel", "timm's own steps"])
def test_a_layer_equals_attention_written_out(count: int, fused: bool, base: Base) -> None:
    attention = strong(base.blocks[1].attn)
    keys, values = random_rows(count)
    layer = PrefixAttention(attention, keys, values)
    layer.attention.fused_attn = fused
    x = torch.randn(3, 17, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = SpelledOutAttention(attention, keys, values)(x)
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-5)
        assert not torch.allclose(attention(x), expected, atol=0.1)


def with_rotary_positions(x: torch.Tensor, rope: torch.Tensor, untouched: int) -> torch.Tensor:
    """Return (N, d) with each pair of adjacent values rotated by its angle, except in the first rows."""
    sine, cosine = rope.chunk(2, dim=-1)
    turned = x.clone()
    for n in range(untouched, len(x)):
        for i in range(0, x.shape[1], 2):
            s, c = sine[n - untouched], cosine[n - untouched]
            turned[n, i] = x[n, i] * c[i] - x[n, i + 1] * s[i]
            turned[n, i + 1] = x[n, i + 1] * c[i + 1] + x[n, i] * s[i + 1]
    return turned


def projected(attention: Any, x: torch.Tensor) -> list[torch.Tensor]:
    """Return queries, keys and values (N, D) of one image for any layout of weights and biases."""
    if attention.qkv is None:
        return [layer(x)[0] for layer in (attention.q_proj, attention.k_proj, attention.v_proj)]
    whole = attention.qkv(x)[0]
    if getattr(attention, "q_bias", None) is not None:
        whole = whole + torch.cat([attention.q_bias, torch.zeros(32), attention.v_bias])
    return list(whole.chunk(3, dim=-1))


ATTENTIONS = {
    "separate layers": ("eva02_base_patch16_clip_224", True),
    "one layer": ("vit_small_patch16_rope_224", True),
    "one layer and biases beside it": ("eva02_tiny_patch14_224", True),
    "biases beside it and no rotary positions": ("eva_giant_patch14_224", False),
}


@pytest.mark.parametrize(("architecture", "rotary"), ATTENTIONS.values(), ids=ATTENTIONS.keys())
def test_learned_keys_have_no_rotary_position_and_do_not_shift_the_tokens(
    architecture: str, rotary: bool
) -> None:
    attention = strong(small(architecture).blocks[1].attn)
    keys, values = random_rows(4)
    x = torch.randn(1, 17, 32, generator=torch.Generator().manual_seed(1))
    rope = torch.randn(16, 32, generator=torch.Generator().manual_seed(2)) if rotary else None

    def rotated(rows: torch.Tensor) -> torch.Tensor:
        return rows if rope is None else with_rotary_positions(rows, rope, 1)

    with torch.no_grad():
        q, k, v = projected(attention, x)
        heads = []
        for head in (slice(0, 16), slice(16, 32)):
            seen = torch.cat([keys[:, head], rotated(k[:, head])])
            weights = torch.softmax(rotated(q[:, head]) @ seen.T / 4, dim=-1)
            assert weights.shape == (17, 21)
            heads.append(weights @ torch.cat([values[:, head], v[:, head]]))
        expected = attention.proj(attention.norm(torch.cat(heads, dim=-1)))
        found = PrefixAttention(attention, keys, values)(x, rope=rope)
        torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-5)


def test_separate_biases_are_kept_and_not_trained() -> None:
    base = small("eva02_tiny_patch14_224")
    (block,) = Prefix().trainable_blocks(base, replace(CONFIG, blocks=1), torch.Generator().manual_seed(0))
    assert {name for name, p in block.named_parameters() if p.requires_grad} == {"attn.keys", "attn.values"}
    assert base.blocks[1].attn.q_bias is not None
    assert weights_sha256(base.model.state_dict()) == base.weights_sha256


@pytest.mark.parametrize("pooling", ["cls", "mean", "cls+mean"])
@pytest.mark.parametrize("blocks", [1, 3])
def test_blocks_for_inference_compute_the_written_out_attention(
    blocks: int, pooling: Any, base: Base
) -> None:
    config = ViTAdapterConfig("PREFIX", blocks=blocks, prefix_length=5, pooling=pooling)
    adapter = random_adapter(base, config)
    images = random_images(3)
    expected = reference_logits_of(base, adapter, images)
    assert adapter.first_block == base.depth - blocks
    untouched = logits_of(base, adapter, base.blocks[adapter.first_block :], images)
    assert not torch.allclose(expected, untouched, atol=0.1)
    for served in (adapter.blocks(base), adapter.merged_blocks(base, base)):
        assert len(served) == blocks
        torch.testing.assert_close(logits_of(base, adapter, served, images), expected, rtol=1e-5, atol=1e-5)


def test_a_prefix_has_no_low_rank_factors(base: Base) -> None:
    assert random_adapter(base, CONFIG).change.factors is None


def test_only_keys_and_values_are_trainable_and_frozen_weights_are_shared(base: Base) -> None:
    blocks = Prefix().trainable_blocks(base, CONFIG, torch.Generator().manual_seed(0))
    for block in blocks:
        trained = {name: tuple(p.shape) for name, p in block.named_parameters() if p.requires_grad}
        assert trained == {"attn.keys": (5, 32), "attn.values": (5, 32)}
    shared = {id(p) for p in base.model.parameters()}
    frozen = [p for block in blocks for p in block.parameters() if not p.requires_grad]
    assert len(frozen) == len([p for block in base.blocks[1:] for p in block.parameters()])
    assert all(id(p) in shared for p in frozen)
    blocks[0](torch.randn(2, 17, 32)).square().sum().backward()
    assert all(bool(p.grad.any()) for p in blocks[0].parameters() if p.requires_grad and p.grad is not None)
    assert {n for n, p in blocks[0].named_parameters() if p.grad is not None} == {"attn.keys", "attn.values"}
    assert all(p.grad is None for p in base.model.parameters())


def test_blocks_for_inference_are_frozen_and_share_the_frozen_weights(base: Base) -> None:
    adapter = random_adapter(base, CONFIG)
    shared = {id(p) for p in base.model.parameters()}
    for block in adapter.blocks(base):
        assert not any(p.requires_grad for p in block.parameters())
        own = {name for name, p in block.named_parameters() if id(p) not in shared}
        assert own == {"attn.keys", "attn.values"}
    assert weights_sha256(base.model.state_dict()) == base.weights_sha256


def test_the_attention_of_the_base_is_not_changed() -> None:
    base = small("vit_small_patch16_rope_224")
    before = [dict(block.named_modules()) for block in base.blocks]
    images = random_images(2)
    with torch.no_grad():
        expected = base.advance(base.embed(images), 0, 2)
        adapter = random_adapter(base, CONFIG)
        logits_of(base, adapter, adapter.blocks(base), images)
        assert torch.equal(base.advance(base.embed(images), 0, 2), expected)
    assert [dict(block.named_modules()) for block in base.blocks] == before
    assert [block.attn.num_prefix_tokens for block in base.blocks] == [1, 1]


def test_initial_keys_depend_on_the_generator_and_not_on_the_global_seed(base: Base) -> None:
    def initial(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(torch.seed() % 1000)
        blocks = Prefix().trainable_blocks(base, CONFIG, torch.Generator().manual_seed(seed))
        return [t.detach() for layer in prefix_attentions(blocks) for t in (layer.keys, layer.values)]

    assert all(torch.equal(one, other) for one, other in zip(initial(1), initial(1), strict=True))
    assert not torch.equal(initial(1)[0], initial(2)[0])


def test_keys_and_values_are_float32_on_a_bfloat16_base(base: Base) -> None:
    half = base.cast(torch.bfloat16)
    blocks = Prefix().trainable_blocks(half, CONFIG, torch.Generator().manual_seed(0))
    assert {p.dtype for block in blocks for p in block.parameters() if p.requires_grad} == {torch.float32}
    adapter = random_adapter(base, CONFIG)
    images = random_images(2)
    exact = logits_of(base, adapter, adapter.blocks(base), images)
    found = logits_of(half, adapter, adapter.blocks(half), images)
    assert found.dtype is torch.float32
    torch.testing.assert_close(found, exact, rtol=0.05, atol=0.2)


def test_a_change_survives_a_round_trip_through_files(base: Base) -> None:
    adapter = random_adapter(base, CONFIG)
    tensors, fields = Prefix().write(adapter.change, adapter.config)
    assert set(tensors) == {f"blocks.{i}.attn.prefix_{part}" for i in (1, 2) for part in ("keys", "values")}
    assert fields == {"peft_type": "PREFIX", "prefix_length": 5}
    again = Prefix().read(tensors, fields, adapter.config, base)
    assert again.first_block == adapter.first_block == 1
    for one, other in zip(prefix_of(adapter).rows, again.rows, strict=True):
        assert one.block == other.block
        assert torch.equal(one.keys, other.keys)
        assert torch.equal(one.values, other.values)
    assert adapter.parameter_count == 2 * 2 * 5 * 32 + 3 * 32 + 3


def test_a_change_is_a_copy_of_the_trained_parameters(base: Base) -> None:
    blocks = Prefix().trainable_blocks(base, CONFIG, torch.Generator().manual_seed(0))
    change = Prefix().change(blocks, CONFIG, base)
    (first, _) = prefix_attentions(blocks)
    assert torch.equal(change.rows[0].keys, first.keys)
    with torch.no_grad():
        first.keys.zero_()
    assert bool(change.rows[0].keys.any())
    assert not change.rows[0].keys.requires_grad


@pytest.mark.parametrize(
    ("changes", "fields", "sentence"),
    [
        ({KEYS: None}, {}, rf"{KEYS} should have shape \(5, 32\), but the file contains nothing."),
        ({VALUES: None}, {}, rf"{VALUES} should have shape \(5, 32\), but the file contains nothing."),
        (
            {KEYS: torch.zeros(4, 32)},
            {},
            rf"{KEYS} should have shape \(5, 32\), but the file contains \(4, 32\)",
        ),
        (
            {KEYS: torch.zeros(5, 31)},
            {},
            rf"{KEYS} should have shape \(5, 32\), but the file contains \(5, 31\)",
        ),
        ({}, {"prefix_length": 6}, rf"{KEYS} should have shape \(6, 32\), but the file contains \(5, 32\)"),
        (
            {
                f"blocks.{i}.attn.prefix_{part}": torch.zeros(65, 32)
                for i in (1, 2)
                for part in ("keys", "values")
            },
            {"prefix_length": 65},
            "Prefix length 65 is out of range",
        ),
        (
            {"blocks.1.attn.prefix_queries": torch.zeros(5, 32)},
            {},
            "An adapter of type PREFIX cannot contain blocks.1.attn.prefix_queries",
        ),
        (
            {"blocks.3.attn.prefix_keys": torch.zeros(5, 32)},
            {},
            "An adapter of type PREFIX cannot contain blocks.3.attn.prefix_keys",
        ),
        (
            {"blocks.1.attn.qkv.lora_A.weight": torch.zeros(3, 32)},
            {},
            "An adapter of type PREFIX cannot contain blocks.1.attn.qkv.lora_A.weight",
        ),
        (
            {VALUES: None, VALUES.replace("values", "keys"): None},
            {},
            "keys and values for each of the last blocks",
        ),
        (
            {f"blocks.{i}.attn.prefix_{part}": None for i in (1, 2) for part in ("keys", "values")},
            {},
            "keys and values for each of the last blocks",
        ),
    ],
    ids=[
        "no keys",
        "no values",
        "too few rows",
        "too narrow",
        "another length",
        "too many rows",
        "queries",
        "a block that is not there",
        "factors",
        "no last block",
        "nothing",
    ],
)
def test_tensors_that_are_not_a_prefix_of_the_last_blocks_are_rejected(
    changes: dict[str, torch.Tensor | None], fields: dict[str, Any], sentence: str, base: Base
) -> None:
    tensors, written = Prefix().write(random_adapter(base, CONFIG).change, CONFIG)
    changed = {name: t for name, t in {**tensors, **changes}.items() if t is not None}
    with pytest.raises(AdapterMismatch, match=sentence):
        Prefix().read(changed, {**written, **fields}, CONFIG, base)


UNFIT = {
    "blocks with two attentions": "vit_small_patch16_18x2_224",
    "parallel blocks": "vit_base_patch16_xp_224",
}


@pytest.mark.parametrize("architecture", UNFIT.values(), ids=UNFIT.keys())
def test_an_attention_without_support_for_a_prefix_is_rejected_by_name(architecture: str) -> None:
    base = small(architecture)
    sentence = (
        f"The attention of {base.architecture} does not support a prefix. Choose the adapter type LORA."
    )
    with pytest.raises(AdapterConfigError, match=sentence):
        Prefix().trainable_blocks(base, ViTAdapterConfig("PREFIX", blocks=1), torch.Generator())
    with pytest.raises(AdapterConfigError, match=sentence):
        Prefix().blocks(PrefixChange((BlockPrefix(1, *random_rows(3)),)), base)


def test_more_blocks_than_the_base_has_are_rejected(base: Base) -> None:
    with pytest.raises(
        AdapterConfigError, match="The base has 3 blocks, so 4 cannot be adapted. Choose 1 to 3."
    ):
        Prefix().trainable_blocks(base, ViTAdapterConfig("PREFIX", blocks=4), torch.Generator())
