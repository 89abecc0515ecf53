"""Copies that share every parameter except the replaced ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from loravit_web.backbones import Base
from loravit_web.backbones.structure import shallow_copy, with_replaced, without_fused_attention


def test_only_replaced_modules_differ_and_the_original_is_not_changed(base: Base) -> None:
    block = base.blocks[0]
    before = dict(block.named_modules())
    new_qkv, new_fc2 = nn.Linear(32, 96), nn.Linear(128, 32)
    clone = with_replaced(block, {"attn.qkv": new_qkv, "mlp.fc2": new_fc2})
    assert dict(block.named_modules()) == before
    assert clone.get_submodule("attn.qkv") is new_qkv
    assert clone.get_submodule("mlp.fc2") is new_fc2
    own = {"attn.qkv.weight", "attn.qkv.bias", "mlp.fc2.weight", "mlp.fc2.bias"}
    originals = dict(block.named_parameters())
    for name, parameter in clone.named_parameters():
        assert (parameter is originals[name]) == (name not in own), name
    assert set(originals) == {name for name, _ in clone.named_parameters()}


@pytest.mark.parametrize("path", ["attn.q", "attention", "mlp.fc1.weight.deep", "attn.qkv.x"])
def test_a_path_that_does_not_exist_raises(path: str, base: Base) -> None:
    with pytest.raises(KeyError):
        with_replaced(base.blocks[0], {path: nn.Identity()})


def test_setting_a_parameter_of_a_copy_does_not_change_the_original() -> None:
    layer = nn.Linear(2, 2)
    weight = layer.weight
    copy = shallow_copy(layer)
    copy.weight = nn.Parameter(torch.zeros(2, 2))
    copy.register_buffer("extra", torch.ones(1))
    assert layer.weight is weight
    assert not hasattr(layer, "extra")
    assert copy.bias is layer.bias


def test_explicit_attention_computes_the_same_with_the_same_weights(base: Base) -> None:
    block = base.blocks[1]
    plain = without_fused_attention(block)
    assert plain.attn.fused_attn is False
    assert block.attn.fused_attn == base.blocks[0].attn.fused_attn
    assert all(a is b for a, b in zip(block.parameters(), plain.parameters(), strict=True))
    tokens = torch.randn(2, 17, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(plain(tokens), block(tokens), rtol=0, atol=1e-5)
