"""Blocks in another layout compute what they computed, with fewer calls."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from loravit_web.backbones.forms import InferenceForm, layouts
from loravit_web.backbones.plain_block import LAYOUTS, Layout, PlainBlock, is_plain
from loravit_web.backbones.structure import with_replaced
from tests.conftest import scaled_base

BASE = scaled_base()
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 3e-2}
OTHER_LAYOUTS = [layout for layout in layouts(BASE) if layout != "loaded"]


def tokens_of(images: int, dtype: torch.dtype) -> torch.Tensor:
    shape = (images, BASE.token_count(BASE.trial_size), BASE.embed_dim)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def test_this_torch_has_every_layout() -> None:
    assert layouts(BASE) == LAYOUTS


@pytest.mark.parametrize("layout", OTHER_LAYOUTS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("images", [1, 3])
def test_a_base_in_another_layout_computes_the_same(layout: Layout, dtype: torch.dtype, images: int) -> None:
    base, tokens = BASE.cast(dtype), tokens_of(images, dtype)
    form = InferenceForm(base, layout).base
    with torch.inference_mode():
        expected, found = base.trunk(tokens, 0, base.depth), form.trunk(tokens, 0, base.depth)
    assert [type(block) for block in form.blocks] == [PlainBlock] * base.depth
    tolerance = TOLERANCE[dtype] * float(expected.tokens.abs().max())
    torch.testing.assert_close(found.tokens, expected.tokens, rtol=0, atol=tolerance)
    torch.testing.assert_close(found.pooled, expected.pooled, rtol=0, atol=tolerance)


@pytest.mark.parametrize("layout", OTHER_LAYOUTS)
def test_an_adapted_block_shares_the_layers_that_it_does_not_change(layout: Layout) -> None:
    block, form = BASE.blocks[0], InferenceForm(BASE, layout)
    changed = nn.Linear(BASE.embed_dim, BASE.embed_dim)
    adapted, frozen = form.block(with_replaced(block, {"attn.proj": changed})), form.base.blocks[0]
    assert isinstance(adapted, PlainBlock)
    assert isinstance(frozen, PlainBlock)
    assert adapted.qkv is frozen.qkv
    assert adapted.fc1 is frozen.fc1
    assert adapted.proj is not frozen.proj
    with torch.inference_mode():
        expected = with_replaced(block, {"attn.proj": changed})(tokens_of(1, torch.float32))
        torch.testing.assert_close(adapted(tokens_of(1, torch.float32)), expected, rtol=1e-4, atol=1e-5)


def test_a_block_of_another_kind_stays_as_it_is() -> None:
    other = with_replaced(BASE.blocks[0], {"attn.q_norm": nn.LayerNorm(8)})
    assert not is_plain(other)
    assert InferenceForm(BASE, "transposed").block(other) is other


def test_a_base_as_loaded_is_not_copied() -> None:
    assert InferenceForm(BASE, "loaded").base is BASE


def test_a_layout_that_this_torch_lacks_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
        raise NotImplementedError

    monkeypatch.setattr("loravit_web.backbones.plain_block.ReorderedLinear", missing)
    assert layouts(BASE) == ("loaded", "transposed")
