"""In a mixed batch each row is computed with its own adapter only, in this thread only."""

from __future__ import annotations

import threading
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from loravit_web.adapters.ops import add_low_rank_
from loravit_web.backbones import Base, wrap_base
from loravit_web.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from loravit_web.backbones.timm_import import import_timm
from loravit_web.engine import MultiLoRALayer, Segment, routed
from loravit_web.engine.routing import called_layers, multi_lora_blocks
from tests.conftest import tiny_base

KEY = (0, "fc")


def tensors(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(counts=st.lists(st.integers(1, 3), max_size=5), ranks=st.lists(st.integers(1, 4), min_size=5))
@settings(deadline=None, max_examples=50)
def test_every_row_equals_its_own_adapter_alone(counts: list[int], ranks: list[int]) -> None:
    linear = nn.Linear(6, 4)
    layer, plain_rows = MultiLoRALayer(linear, KEY), 2
    x = tensors(plain_rows + sum(counts), 3, 6, seed=0)
    segments, weights, start = [], [linear.weight.detach()] * plain_rows, plain_rows
    for index, count in enumerate(counts):
        a, b = tensors(ranks[index], 6, seed=2 * index), tensors(4, ranks[index], seed=2 * index + 1)
        segments.append(Segment(start, start + count, {KEY: (a, b)}))
        weights += [linear.weight.detach() + b @ a] * count
        start += count
    with torch.inference_mode(), routed(segments):
        found = layer(x)
    expected = torch.stack([row @ w.T + linear.bias.detach() for row, w in zip(x, weights, strict=True)])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_factors_of_other_layers_and_other_threads_have_no_effect() -> None:
    linear = nn.Linear(6, 4)
    layer, x = MultiLoRALayer(linear, KEY), tensors(2, 3, 6, seed=0)
    plain, seen = linear(x), []
    own = Segment(0, 2, {KEY: (tensors(1, 6, seed=1), tensors(4, 1, seed=2))})
    other = Segment(0, 2, {(1, "fc"): (tensors(1, 6, seed=1), tensors(4, 1, seed=2))})
    with torch.inference_mode():
        with routed([other]):
            assert torch.equal(layer(x), plain)
        with routed([own]):
            assert not torch.equal(layer(x), plain)
            thread = threading.Thread(target=lambda: seen.append(layer(x)))
            thread.start()
            thread.join()
        assert torch.equal(layer(x), plain)
    assert torch.equal(seen[0], plain)


def test_adding_in_place_follows_the_formula() -> None:
    y, x, a, b = (tensors(*shape, seed=i) for i, shape in enumerate([(2, 3, 4), (2, 3, 6), (2, 6), (4, 2)]))
    expected = y + (x @ a.T) @ b.T
    add_low_rank_(y, x, a, b)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-6)


def test_blocks_for_mixed_batches_share_every_weight_and_call_all_layers_of_a_plain_vit() -> None:
    base = tiny_base()
    blocks = multi_lora_blocks(base)
    assert {id(p) for b in blocks for p in b.parameters()} == {id(p) for p in base.model.blocks.parameters()}
    layers = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    assert called_layers(base, blocks) == {(index, path) for index in range(3) for path in layers}


def eva(architecture: str, **settings: Any) -> Base:
    settings = {"img_size": 28, "embed_dim": 32, "depth": 1, "num_heads": 2, "num_classes": 0, **settings}
    model = import_timm().create_model(architecture, **settings)
    return wrap_base(model, name="eva", architecture="eva", mean=IMAGENET_MEAN, std=IMAGENET_STD)


def test_called_layers_are_found_on_a_base_with_a_fixed_image_size() -> None:
    base = eva("eva02_base_patch14_224", img_size=42)
    blocks = multi_lora_blocks(base)
    assert len(called_layers(base, blocks)) == 7


def test_a_layer_whose_weight_is_used_without_a_call_is_detected() -> None:
    base = eva("eva_giant_patch14_224", mlp_ratio=2)
    called = called_layers(base, multi_lora_blocks(base))
    assert (0, "attn.qkv") not in called
    assert {(0, "attn.proj"), (0, "mlp.fc1"), (0, "mlp.fc2")} <= called
