"""Low-rank layers against the formula written out."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from loravit_web.adapters import Adapter, AdapterConfigError, LoRALayer, ViTAdapterConfig
from loravit_web.adapters.interface import AdapterMismatch
from loravit_web.adapters.lora import LoRA, LoRAChange
from loravit_web.adapters.ops import low_rank, merged_weight
from loravit_web.backbones import Base, wrap_base
from loravit_web.backbones.fingerprint import weights_sha256
from loravit_web.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from loravit_web.backbones.timm_import import import_timm
from tests.adapters.makers import lora_layers, plainly_computed, random_adapter, random_images

FULL = None
Q_AND_V = (slice(0, 3), slice(6, 9))


def random_layer(slices: tuple[slice, ...] | None, *, dtype: torch.dtype = torch.float32) -> LoRALayer:
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(3)
    linear = nn.Linear(6, 9).requires_grad_(False).to(dtype)
    layer = LoRALayer(linear, 2, 1.75, dropout=0.5, slices=slices, generator=generator)
    with torch.no_grad():
        for b in layer.lora_b:
            b.normal_(generator=generator)
    return layer


def written_out(layer: LoRALayer, x: np.ndarray) -> np.ndarray:
    """y[n, i] of W x + b + s B A x, one number at a time."""
    weight, bias = layer.base.weight.double().numpy(), layer.base.bias.double().numpy()
    y = np.zeros((len(x), 9))
    for n in range(len(x)):
        for i in range(9):
            y[n, i] = bias[i] + sum(weight[i, j] * x[n, j] for j in range(6))
        for rows, a, b in zip(layer.slices, layer.lora_a, layer.lora_b, strict=True):
            factors_a, factors_b = a.detach().double().numpy(), b.detach().double().numpy()
            for i in range(rows.start, rows.stop):
                for rank in range(2):
                    inner = sum(factors_a[rank, j] * x[n, j] for j in range(6))
                    y[n, i] += layer.scale * factors_b[i - rows.start, rank] * inner
    return y


@pytest.mark.parametrize("slices", [FULL, Q_AND_V], ids=["all outputs", "q and v"])
def test_a_layer_computes_the_formula(slices: tuple[slice, ...] | None) -> None:
    layer = random_layer(slices)
    x = np.random.default_rng(0).normal(size=(4, 6))
    with torch.no_grad():
        y = layer(torch.from_numpy(x).float())
    np.testing.assert_allclose(y.numpy(), written_out(layer, x), rtol=0, atol=1e-5)


def test_slices_leave_the_outputs_between_them_alone() -> None:
    layer = random_layer(Q_AND_V)
    x = torch.randn(5, 6)
    with torch.no_grad():
        assert torch.equal(layer(x)[:, 3:6], layer.base(x)[:, 3:6])
        assert not torch.equal(layer(x)[:, 6:], layer.base(x)[:, 6:])


@pytest.mark.parametrize("slices", [FULL, Q_AND_V], ids=["all outputs", "q and v"])
def test_fused_factors_are_the_same_change(slices: tuple[slice, ...] | None) -> None:
    layer = random_layer(slices)
    a, b = layer.fused()
    delta = torch.zeros(9, 6)
    for rows, pa, pb in zip(layer.slices, layer.lora_a, layer.lora_b, strict=True):
        delta[rows] += (pb @ pa).detach()
    assert a.shape == (2 * len(layer.slices), 6)
    torch.testing.assert_close(b @ a, delta, rtol=0, atol=1e-6)


def test_a_bfloat16_layer_keeps_float32_factors_and_answers_in_bfloat16() -> None:
    layer = random_layer(Q_AND_V, dtype=torch.bfloat16)
    x = torch.randn(4, 6)
    y = layer(x.bfloat16())
    assert y.dtype is torch.bfloat16
    assert {p.dtype for p in [*layer.lora_a, *layer.lora_b]} == {torch.float32}
    y.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype is torch.float32 for p in layer.lora_b)
    np.testing.assert_allclose(
        y.detach().float().numpy(), written_out(layer, x.double().numpy()), rtol=0.05, atol=0.1
    )


def test_dropout_acts_on_the_factors_input_alone_and_only_when_switched_on() -> None:
    layer = random_layer(FULL).train()
    layer.dropout.eval()
    x = torch.randn(50, 6)
    assert torch.equal(layer(x), layer(x))
    layer.dropout.train()
    assert not torch.equal(layer(x), layer(x))
    with torch.no_grad():
        for b in layer.lora_b:
            b.zero_()
    assert torch.equal(layer(x), layer.base(x))


@pytest.mark.parametrize("targets", [("qkv", "proj", "fc1", "fc2"), ("q", "v"), ("v", "k", "fc1")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_fresh_blocks_compute_exactly_what_the_base_computes(
    targets: tuple[str, ...], dtype: torch.dtype, base: Base
) -> None:
    running = base.cast(dtype)
    config = ViTAdapterConfig(r=4, blocks=2, target_modules=targets, dropout=0.3)
    blocks = LoRA().trainable_blocks(running, config, torch.Generator().manual_seed(0))
    with torch.no_grad():
        tokens = running.advance(running.embed(random_images(2)), 0, 1)
        expected = running.advance(tokens, 1, 3)
        for block in blocks:
            tokens = block(tokens)
    assert torch.equal(tokens, expected)


def test_only_the_factors_are_trained_and_the_frozen_weights_are_shared(base: Base) -> None:
    config = ViTAdapterConfig(r=4, blocks=2, target_modules=("q", "v", "fc2"))
    blocks = LoRA().trainable_blocks(base, config, torch.Generator().manual_seed(0))
    trained = {name for name, p in blocks[0].named_parameters() if p.requires_grad}
    assert trained == {
        f"{layer}.lora_{factor}.{i}"
        for layer, slices in (("attn.qkv", 2), ("mlp.fc2", 1))
        for factor in "ab"
        for i in range(slices)
    }
    shared = {id(p) for p in base.model.parameters()}
    frozen = [p for block in blocks for p in block.parameters() if not p.requires_grad]
    assert frozen
    assert all(id(p) in shared for p in frozen)


def test_the_same_generator_gives_the_same_factors_whatever_the_global_seed(base: Base) -> None:
    def initial(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(torch.seed() % 1000)
        config = ViTAdapterConfig(r=4, blocks=1)
        blocks = LoRA().trainable_blocks(base, config, torch.Generator().manual_seed(seed))
        return [a.detach() for layer in lora_layers(blocks) for a in layer.lora_a]

    assert all(torch.equal(one, other) for one, other in zip(initial(1), initial(1), strict=True))
    assert not torch.equal(initial(1)[0], initial(2)[0])


def test_a_target_that_the_base_lacks_is_refused_with_what_it_has(base: Base) -> None:
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query = nn.Linear(2, 2)

    other = replace(base, model=SimpleNamespace(blocks=[Other()]))
    with pytest.raises(AdapterConfigError, match="Target v matches no linear layer .* have query"):
        LoRA().trainable_blocks(other, ViTAdapterConfig(blocks=1, target_modules=("v",)), torch.Generator())


CONFIGS = {
    "all layers": ViTAdapterConfig(r=3, alpha=6, blocks=2),
    "q and v": ViTAdapterConfig(r=2, alpha=5, blocks=3, target_modules=("q", "v")),
    "rsLoRA over v, q, fc1": ViTAdapterConfig(
        r=3, alpha=7, blocks=1, target_modules=("v", "q", "fc1"), use_rslora=True
    ),
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def adapter(request: pytest.FixtureRequest, base: Base) -> Adapter:
    return random_adapter(base, request.param)


def answered(base: Base, adapter: Adapter, blocks: list[nn.Module], images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        tokens = base.advance(base.embed(images), 0, adapter.first_block)
        for block in blocks:
            tokens = block(tokens)
        return adapter.head(base.features(tokens, adapter.config.pooling))


def test_low_rank_and_merged_blocks_compute_what_changed_weights_compute(
    base: Base, adapter: Adapter
) -> None:
    images = random_images(3)
    expected = plainly_computed(base, adapter, images)
    assert not torch.allclose(expected, answered(base, adapter, base.blocks[adapter.first_block :], images))
    for blocks in (adapter.blocks(base), adapter.merged_blocks(base, base)):
        assert len(blocks) == adapter.config.blocks
        torch.testing.assert_close(answered(base, adapter, blocks, images), expected, rtol=1e-5, atol=1e-5)


def test_putting_an_adapter_on_never_changes_the_base(base: Base, adapter: Adapter) -> None:
    merged = adapter.merged_blocks(base, base)
    answered(base, adapter, merged, random_images(1))
    with torch.no_grad():
        for block in merged:
            block.get_submodule("attn.qkv").weight.zero_()
    assert weights_sha256(base.model.state_dict()) == base.weights_sha256


def test_merging_for_bfloat16_starts_from_the_exact_weights(base: Base) -> None:
    adapter = random_adapter(base, CONFIGS["all layers"])
    half = base.cast(torch.bfloat16)
    merged = adapter.merged_blocks(half, base)[0].get_submodule("attn.qkv").weight
    assert isinstance(adapter.change, LoRAChange)
    (f,) = [f for f in adapter.change.factors if (f.block, f.path) == (1, "attn.qkv")]
    exact = base.blocks[1].get_submodule("attn.qkv").weight + f.scale * f.b @ f.a
    assert torch.equal(merged, exact.bfloat16())


def test_what_is_written_is_read_back_as_the_same_change(base: Base, adapter: Adapter) -> None:
    tensors, fields = LoRA().write(adapter.change, adapter.config)
    again = LoRA().read(tensors, fields, base)
    assert isinstance(adapter.change, LoRAChange)
    assert again.first_block == adapter.first_block
    assert again.parameter_count == adapter.change.parameter_count
    for one, other in zip(adapter.change.factors, again.factors, strict=True):
        assert (one.block, one.path) == (other.block, other.path)
        assert torch.equal(one.a, other.a)
        assert torch.equal(one.b, other.b)
        assert other.scale == pytest.approx(one.scale, rel=1e-12)


def test_target_modules_match_exactly_the_adapted_layers_of_the_timm_model(
    base: Base, adapter: Adapter
) -> None:
    tensors, fields = LoRA().write(adapter.change, adapter.config)
    assert isinstance(adapter.change, LoRAChange)
    adapted = {f"blocks.{f.block}.{f.path}" for f in adapter.change.factors}
    matched = {name for name, _ in base.model.named_modules() if re.fullmatch(fields["target_modules"], name)}
    assert matched == adapted
    assert set(tensors) == {f"{name}.lora_{x}.weight" for name in adapted for x in "AB"}


def test_a_reader_that_follows_pefts_rules_computes_the_same_weights(base: Base, adapter: Adapter) -> None:
    tensors, fields = LoRA().write(adapter.change, adapter.config)

    def by_pattern(patterns: dict[str, float], name: str, default: float) -> float:
        # peft.utils.other.get_pattern_key
        return next((v for key, v in patterns.items() if re.match(rf"(.*\.)?({key})$", name)), default)

    merged = adapter.merged_blocks(base, base)
    for name in {key.removesuffix(".lora_A.weight") for key in tensors if ".lora_A" in key}:
        a, b = tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"]
        r = by_pattern(fields["rank_pattern"], name, fields["r"])
        alpha = by_pattern(fields["alpha_pattern"], name, fields["lora_alpha"])
        assert a.shape[0] == b.shape[1] == r
        scale = alpha / r**0.5 if fields["use_rslora"] else alpha / r
        _, block, path = name.split(".", 2)
        expected = base.model.get_submodule(name).weight + scale * b @ a
        found = merged[int(block) - adapter.first_block].get_submodule(path).weight
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("r", [128, 256])
def test_the_largest_ranks_that_can_be_configured_can_be_read_back(r: int) -> None:
    # Wide enough that the stacked factors of three slices are of that rank indeed.
    model = import_timm().create_model(
        "vit_tiny_patch16_224", img_size=32, embed_dim=384, depth=1, num_heads=1, num_classes=0
    )
    wide = wrap_base(
        model, name="wide", architecture="vit_tiny_patch16_224", mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    config = ViTAdapterConfig(r=r, alpha=8, blocks=1, target_modules=("q", "k", "v"))
    blocks = LoRA().trainable_blocks(wide, config, torch.Generator().manual_seed(0))
    tensors, fields = LoRA().write(LoRA().change(blocks, config, wide), config)
    assert LoRA().read(tensors, fields, wide).factors[0].a.shape == (3 * r, 384)


def test_tensors_of_an_absurd_rank_are_refused(base: Base) -> None:
    tensors, fields = LoRA().write(random_adapter(base).change, ViTAdapterConfig(r=3, alpha=6, blocks=2))
    with pytest.raises(AdapterMismatch, match=r"has shape \(3, 32\), but the base calls for \(100000, 32\)"):
        LoRA().read(tensors, {**fields, "r": 100_000}, base)


def test_low_rank_equals_two_plain_products() -> None:
    x, a, b = torch.randn(2, 5, 6), torch.randn(3, 6), torch.randn(4, 3)
    torch.testing.assert_close(low_rank(x, a, b), x @ a.T @ b.T)
    assert low_rank(x.bfloat16(), a, b).dtype is torch.bfloat16


def test_a_merged_weight_is_a_new_float32_tensor() -> None:
    weight, a, b = torch.randn(4, 6).bfloat16(), torch.randn(3, 6), torch.randn(4, 3)
    before = weight.clone()
    merged = merged_weight(weight, a, b, 0.5)
    assert merged.dtype is torch.float32
    torch.testing.assert_close(merged, weight.float() + 0.5 * b @ a)
    assert torch.equal(weight, before)
