"""Low-rank layers compute the written-out formula."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from loravit_web.adapters import Adapter, AdapterConfigError, LoRALayer, ViTAdapterConfig
from loravit_web.adapters.interface import AdapterMismatch
from loravit_web.adapters.layers import FrozenLoRALayer, LoRAFactors, OutputSlice
from loravit_web.adapters.lora import LoRA, LoRAChange
from loravit_web.adapters.ops import adapted_linear, low_rank, merged_weight
from loravit_web.backbones import Base, wrap_base
from loravit_web.backbones.fingerprint import weights_sha256
from loravit_web.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from loravit_web.backbones.timm_import import import_timm
from tests.adapters.makers import lora_layers, random_adapter, random_images, reference_logits_of

FULL = (OutputSlice(0, 9, 2, 1.75),)
Q_AND_V = (OutputSlice(0, 3, 2, 1.75), OutputSlice(6, 9, 2, 1.75))
UNEQUAL = (OutputSlice(6, 9, 4, 0.5), OutputSlice(0, 3, 1, 3.0))
PARTS = pytest.mark.parametrize(
    "slices", [FULL, Q_AND_V, UNEQUAL], ids=["all outputs", "q and v", "v and q of other ranks and scales"]
)


def random_layer(slices: tuple[OutputSlice, ...], *, dtype: torch.dtype = torch.float32) -> LoRALayer:
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(3)
    linear = nn.Linear(6, 9).requires_grad_(False).to(dtype)
    layer = LoRALayer(linear, slices, dropout=0.5, generator=generator)
    with torch.no_grad():
        for b in layer.lora_b:
            b.normal_(generator=generator)
    return layer


def written_out(layer: LoRALayer, x: np.ndarray) -> np.ndarray:
    """Return y[n, i] of W x + b + s B A x, computed value by value."""
    weight, bias = layer.base.weight.double().numpy(), layer.base.bias.double().numpy()
    y = np.zeros((len(x), 9))
    for n in range(len(x)):
        for i in range(9):
            y[n, i] = bias[i] + sum(weight[i, j] * x[n, j] for j in range(6))
        for part, a, b in zip(layer.slices, layer.lora_a, layer.lora_b, strict=True):
            factors_a, factors_b = a.detach().double().numpy(), b.detach().double().numpy()
            for i in range(part.start, part.stop):
                for rank in range(part.r):
                    inner = sum(factors_a[rank, j] * x[n, j] for j in range(6))
                    y[n, i] += part.scale * factors_b[i - part.start, rank] * inner
    return y


@PARTS
def test_a_layer_computes_the_formula(slices: tuple[OutputSlice, ...]) -> None:
    layer = random_layer(slices)
    x = np.random.default_rng(0).normal(size=(4, 6))
    with torch.no_grad():
        y = layer(torch.from_numpy(x).float())
    np.testing.assert_allclose(y.numpy(), written_out(layer, x), rtol=0, atol=1e-5)


@PARTS
def test_the_weight_of_a_layer_is_the_adapted_weight(slices: tuple[OutputSlice, ...]) -> None:
    layer = random_layer(slices)
    before = layer.base.weight.clone()
    frozen = FrozenLoRALayer(layer.base, LoRAFactors(0, "attn.qkv", *layer.fused()))
    x = np.random.default_rng(0).normal(size=(4, 6))
    for one in (layer, frozen):
        assert one.bias is layer.base.bias
        with torch.no_grad():
            y = nn.functional.linear(torch.from_numpy(x).float(), one.weight, one.bias)
        np.testing.assert_allclose(y.numpy(), written_out(layer, x), rtol=0, atol=1e-5)
    assert torch.equal(layer.base.weight, before)


def test_factors_get_the_same_gradients_through_the_weight_and_the_layer() -> None:
    x = torch.randn(4, 6)
    gradients = []
    for through_weight in (True, False):
        layer = random_layer(UNEQUAL)
        y = nn.functional.linear(x, layer.weight, layer.bias) if through_weight else layer(x)
        y.square().sum().backward()
        gradients.append([p.grad for p in (*layer.lora_a, *layer.lora_b)])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_slices_do_not_change_other_outputs() -> None:
    layer = random_layer(Q_AND_V)
    x = torch.randn(5, 6)
    with torch.no_grad():
        assert torch.equal(layer(x)[:, 3:6], layer.base(x)[:, 3:6])
        assert not torch.equal(layer(x)[:, 6:], layer.base(x)[:, 6:])


@PARTS
def test_fused_factors_are_the_same_change(slices: tuple[OutputSlice, ...]) -> None:
    layer = random_layer(slices)
    a, b, scale = layer.fused()
    delta = torch.zeros(9, 6)
    for part, pa, pb in zip(layer.slices, layer.lora_a, layer.lora_b, strict=True):
        delta[part.start : part.stop] += part.scale * (pb @ pa).detach()
    assert a.shape == (sum(part.r for part in slices), 6)
    torch.testing.assert_close(scale * b @ a, delta, rtol=0, atol=1e-6)


def test_a_bfloat16_layer_has_float32_factors_and_bfloat16_outputs() -> None:
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


def test_dropout_only_affects_the_factors_input_and_only_when_active() -> None:
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
def test_new_blocks_compute_exactly_what_the_base_computes(
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


def test_only_factors_are_trainable_and_frozen_weights_are_shared(base: Base) -> None:
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


def test_initial_factors_depend_on_the_generator_and_not_on_the_global_seed(base: Base) -> None:
    def initial(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(torch.seed() % 1000)
        config = ViTAdapterConfig(r=4, blocks=1)
        blocks = LoRA().trainable_blocks(base, config, torch.Generator().manual_seed(seed))
        return [a.detach() for layer in lora_layers(blocks) for a in layer.lora_a]

    assert all(torch.equal(one, other) for one, other in zip(initial(1), initial(1), strict=True))
    assert not torch.equal(initial(1)[0], initial(2)[0])


def test_a_target_that_the_base_lacks_is_rejected_with_its_layers(base: Base) -> None:
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query = nn.Linear(2, 2)

    other = replace(base, model=SimpleNamespace(blocks=[Other()]))
    with pytest.raises(
        AdapterConfigError, match="Target v matches no linear layer of this base. Choose a target among query"
    ):
        LoRA().trainable_blocks(other, ViTAdapterConfig(blocks=1, target_modules=("v",)), torch.Generator())


CONFIGS = {
    "all layers": ViTAdapterConfig(r=3, alpha=6, blocks=2),
    "q and v": ViTAdapterConfig(r=2, alpha=5, blocks=3, target_modules=("q", "v")),
    "rsLoRA over v, q, fc1": ViTAdapterConfig(
        r=3, alpha=7, blocks=1, target_modules=("v", "q", "fc1"), use_rslora=True
    ),
    "a rank and alpha for each target": ViTAdapterConfig(
        r=3,
        alpha=6,
        blocks=2,
        rank_pattern={"qkv": 2, "fc2": 5},
        alpha_pattern={"fc2": 0.7, "proj": 9},
        pooling="mean",
    ),
    "q and v of unlike ranks and alphas": ViTAdapterConfig(
        r=3,
        alpha=6,
        blocks=2,
        target_modules=("v", "q", "proj"),
        rank_pattern={"v": 5, "proj": 1},
        alpha_pattern={"q": 1.3},
        use_rslora=True,
    ),
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def adapter(request: pytest.FixtureRequest, base: Base) -> Adapter:
    return random_adapter(base, request.param)


def logits_of(
    base: Base, adapter: Adapter, blocks: Sequence[nn.Module], images: torch.Tensor
) -> torch.Tensor:
    first = adapter.first_block
    with torch.no_grad():
        tokens = base.run_blocks(blocks, base.advance(base.embed(images), 0, first), first)
        return adapter.head(base.features(tokens, adapter.config.pooling))


def test_low_rank_and_merged_blocks_compute_what_changed_weights_compute(
    base: Base, adapter: Adapter
) -> None:
    images = random_images(3)
    expected = reference_logits_of(base, adapter, images)
    assert not torch.allclose(expected, logits_of(base, adapter, base.blocks[adapter.first_block :], images))
    for blocks in (adapter.blocks(base), adapter.merged_blocks(base, base)):
        assert len(blocks) == adapter.config.blocks
        torch.testing.assert_close(logits_of(base, adapter, blocks, images), expected, rtol=1e-5, atol=1e-5)


def test_applying_an_adapter_does_not_change_the_base(base: Base, adapter: Adapter) -> None:
    merged = adapter.merged_blocks(base, base)
    logits_of(base, adapter, merged, random_images(1))
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


def test_a_change_survives_a_round_trip_through_files(base: Base, adapter: Adapter) -> None:
    tensors, fields = LoRA().write(adapter.change, adapter.config)
    again = LoRA().read(tensors, fields, adapter.config, base)
    assert isinstance(adapter.change, LoRAChange)
    assert again.first_block == adapter.first_block
    assert [t.shape for t in again.tensors] == [t.shape for t in adapter.change.tensors]
    assert adapter.parameter_count == sum(t.numel() for t in adapter.change.tensors) + 3 * 32 + 3
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


def test_a_reader_with_the_rules_of_peft_computes_the_same_weights(base: Base, adapter: Adapter) -> None:
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
def test_the_largest_configurable_ranks_can_be_read_back(r: int) -> None:
    # Wide enough for the stacked factors of three slices to have that rank.
    model = import_timm().create_model(
        "vit_tiny_patch16_224", img_size=32, embed_dim=384, depth=1, num_heads=1, num_classes=0
    )
    wide = wrap_base(
        model, name="wide", architecture="vit_tiny_patch16_224", mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    config = ViTAdapterConfig(r=r, alpha=8, blocks=1, target_modules=("q", "k", "v"))
    blocks = LoRA().trainable_blocks(wide, config, torch.Generator().manual_seed(0))
    tensors, fields = LoRA().write(LoRA().change(blocks, config, wide), config)
    assert LoRA().read(tensors, fields, config, wide).factors[0].a.shape == (3 * r, 384)


def test_tensors_with_a_rank_out_of_range_are_rejected(base: Base) -> None:
    config = ViTAdapterConfig(r=3, alpha=6, blocks=2)
    tensors, fields = LoRA().write(random_adapter(base).change, config)
    with pytest.raises(AdapterMismatch, match="blocks.1.attn.qkv has rank 3 instead of 100000"):
        LoRA().read(tensors, {**fields, "r": 100_000}, config, base)
    absurd = {
        "blocks.1.attn.qkv.lora_A.weight": torch.zeros(769, 32),
        "blocks.1.attn.qkv.lora_B.weight": torch.zeros(96, 769),
    }
    with pytest.raises(AdapterMismatch, match="qkv has rank 769. Ranks from 1 to 768 can be loaded."):
        LoRA().read({**tensors, **absurd}, {**fields, "rank_pattern": {"qkv": 769}}, config, base)


def test_each_target_gets_its_own_rank_and_alpha(base: Base) -> None:
    adapter = random_adapter(base, CONFIGS["a rank and alpha for each target"])
    assert isinstance(adapter.change, LoRAChange)
    assert [(f.path, f.a.shape[0], f.scale) for f in adapter.change.factors if f.block == 2] == [
        ("attn.qkv", 2, 3.0),
        ("attn.proj", 3, 3.0),
        ("mlp.fc1", 3, 2.0),
        ("mlp.fc2", 5, 0.7 / 5),
    ]
    _, fields = LoRA().write(adapter.change, adapter.config)
    assert (fields["r"], fields["lora_alpha"]) == (3, 6)
    assert fields["rank_pattern"] == {"attn.qkv": 2, "mlp.fc2": 5}
    assert fields["alpha_pattern"] == {"attn.proj": 9, "mlp.fc2": 0.7}


def test_slices_of_one_layer_keep_their_own_ranks_and_alphas(base: Base) -> None:
    config = ViTAdapterConfig(
        r=3, alpha=6, blocks=1, target_modules=("q", "v"), rank_pattern={"v": 5}, alpha_pattern={"q": 1.5}
    )
    (layer,) = lora_layers(LoRA().trainable_blocks(base, config, torch.Generator()))
    assert layer.slices == (OutputSlice(0, 32, 3, 0.5), OutputSlice(64, 96, 5, 1.2))
    adapter = random_adapter(base, config)
    assert isinstance(adapter.change, LoRAChange)
    (f,) = adapter.change.factors
    assert f.a.shape == (8, 32)
    assert not bool((f.b @ f.a)[32:64].any())


def eva(**settings: Any) -> Base:
    """Return a tiny EVA: SwiGLU, rotary positions, separate layers for queries, keys and values."""
    torch.manual_seed(0)
    model = import_timm().create_model(
        "eva02_base_patch16_clip_224",
        **{"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, **settings},
        num_classes=0,
        dynamic_img_size=True,
    )
    return wrap_base(model, name="eva", architecture="eva02", mean=IMAGENET_MEAN, std=IMAGENET_STD)


@pytest.mark.parametrize(
    ("targets", "paths"),
    [
        (("fc1",), ["mlp.fc1_g", "mlp.fc1_x"]),
        (("fc2", "proj"), ["attn.proj", "mlp.fc2"]),
        (("qkv",), ["attn.q_proj", "attn.k_proj", "attn.v_proj"]),
        (("v", "q"), ["attn.q_proj", "attn.v_proj"]),
        (("k", "fc1"), ["attn.k_proj", "mlp.fc1_g", "mlp.fc1_x"]),
    ],
    ids=str,
)
def test_a_target_includes_all_layers_with_its_function(targets: tuple[str, ...], paths: list[str]) -> None:
    base = eva()
    config = ViTAdapterConfig(
        r=3,
        alpha=6,
        blocks=1,
        target_modules=targets,
        rank_pattern={targets[0]: 2},
        alpha_pattern={targets[0]: 5},
    )
    adapter = random_adapter(base, config)
    images = random_images(3)
    assert isinstance(adapter.change, LoRAChange)
    assert [f.path for f in adapter.change.factors] == paths
    expected = reference_logits_of(base, adapter, images)
    assert not torch.allclose(expected, logits_of(base, adapter, base.blocks[1:], images))
    for blocks in (adapter.blocks(base), adapter.merged_blocks(base, base)):
        torch.testing.assert_close(logits_of(base, adapter, blocks, images), expected, rtol=1e-5, atol=1e-5)
    again = LoRA().read(*LoRA().write(adapter.change, adapter.config), adapter.config, base)
    for one, other in zip(adapter.change.factors, again.factors, strict=True):
        assert (one.path, other.scale) == (other.path, pytest.approx(one.scale, rel=1e-12))
        assert torch.equal(one.b, other.b)


def test_all_layers_of_a_target_have_its_rank_and_alpha() -> None:
    config = ViTAdapterConfig(
        r=3,
        alpha=6,
        blocks=1,
        target_modules=("fc1", "q", "v"),
        rank_pattern={"fc1": 2},
        alpha_pattern={"v": 3},
    )
    adapter = random_adapter(eva(), config)
    assert isinstance(adapter.change, LoRAChange)
    assert {f.path: (f.a.shape[0], f.scale) for f in adapter.change.factors} == {
        "attn.q_proj": (3, 2.0),
        "attn.v_proj": (3, 1.0),
        "mlp.fc1_g": (2, 3.0),
        "mlp.fc1_x": (2, 3.0),
    }


def test_low_rank_equals_two_plain_products() -> None:
    x, a, b = torch.randn(2, 5, 6), torch.randn(3, 6), torch.randn(4, 3)
    torch.testing.assert_close(low_rank(x, a, b), x @ a.T @ b.T)
    assert low_rank(x.bfloat16(), a, b).dtype is torch.bfloat16


def _linear(dtype: torch.dtype, *, bias: bool = True) -> list[torch.Tensor | None]:
    """Return inputs (2, 3, 5), a weight (7, 5), its bias, and factors of rank 2; the factors are trained."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 3, 5), (7, 5), (7,), (2, 5), (7, 2))
    x, weight, offset, a, b = (torch.randn(shape, dtype=dtype, generator=generator) for shape in shapes)
    return [x, weight, offset if bias else None, a.requires_grad_(), b.requires_grad_()]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_the_written_gradients_of_an_adapted_linear_layer_are_right(bias: bool, first: bool) -> None:
    tensors = _linear(torch.float64, bias=bias)
    assert tensors[0] is not None
    tensors[0].requires_grad_(not first)  # the inputs of the first adapted layer need none
    assert torch.autograd.gradcheck(adapted_linear, tensors)


def test_an_adapted_linear_layer_is_its_formula() -> None:
    x, weight, bias, a, b = _linear(torch.float32)
    assert x is not None and weight is not None and bias is not None and a is not None and b is not None
    torch.testing.assert_close(adapted_linear(x, weight, bias, a, b), x @ (weight + b @ a).T + bias)


def test_factors_stay_float32_beside_a_half_precision_weight() -> None:
    x, weight, bias, _a, _b = (t if t is None else t.detach().bfloat16() for t in _linear(torch.float32))
    assert x is not None and weight is not None
    *_rest, a, b = _linear(torch.float32)
    assert a is not None and b is not None
    result = adapted_linear(x, weight, bias, a, b)
    result.sum().backward()  # type: ignore[no-untyped-call]
    assert result.dtype is torch.bfloat16
    assert a.grad is not None and b.grad is not None
    assert (a.grad.dtype, b.grad.dtype) == (torch.float32, torch.float32)


def test_a_merged_weight_is_a_new_float32_tensor() -> None:
    weight, a, b = torch.randn(4, 6).bfloat16(), torch.randn(3, 6), torch.randn(4, 3)
    before = weight.clone()
    merged = merged_weight(weight, a, b, 0.5)
    assert merged.dtype is torch.float32
    torch.testing.assert_close(merged, weight.float() + 0.5 * b @ a)
    assert torch.equal(weight, before)
