"""The first-token block is used if its result is correct and only the first token is read."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from loravit_web.backbones import Base, wrap_base
from loravit_web.backbones.base import Pooling
from loravit_web.backbones.first_token import FirstTokenBlock
from loravit_web.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD


def tokens_of(base: Base) -> torch.Tensor:
    return torch.randn(2, 17, base.embed_dim, generator=torch.Generator().manual_seed(0))


def test_only_the_first_token_is_returned_and_runs_through_the_mlp(base: Base) -> None:
    block, tokens = base.blocks[-1], tokens_of(base)
    seen: list[tuple[int, ...]] = []
    handle = block.get_submodule("mlp").register_forward_hook(lambda _m, args, _y: seen.append(args[0].shape))
    with torch.no_grad():
        found = FirstTokenBlock(block)(tokens)
        handle.remove()
        torch.testing.assert_close(found, block(tokens)[:, :1], rtol=0, atol=1e-5)
    assert seen == [(2, 1, base.embed_dim)]


def test_its_gradients_equal_those_of_the_whole_block(base: Base) -> None:
    gradients = []
    for block in (base.blocks[-1], FirstTokenBlock(base.blocks[-1])):
        tokens = tokens_of(base).requires_grad_()
        block(tokens)[:, 0].square().sum().backward()
        gradients.append(tokens.grad)
    assert gradients[0] is not None
    torch.testing.assert_close(gradients[1], gradients[0])


def test_the_original_block_is_not_changed_and_shares_its_weights(base: Base) -> None:
    block = base.blocks[-1]
    modules = dict(block.named_modules())
    assert {id(p) for p in FirstTokenBlock(block).parameters()} == {id(p) for p in block.parameters()}
    assert dict(block.named_modules()) == modules


@pytest.mark.parametrize("poolings", [["mean"], ["cls", "mean"], ["cls+mean"], []])
def test_blocks_are_not_replaced_if_more_tokens_are_read(poolings: list[Pooling], base: Base) -> None:
    blocks = base.blocks
    assert base.fastest_blocks(poolings, blocks) is blocks


def test_the_native_pooling_is_used_if_none_is_given(base: Base) -> None:
    *lower, last = base.fastest_blocks([None, "cls"], base.blocks)
    assert lower == base.blocks[:-1]
    assert isinstance(last, FirstTokenBlock)
    assert base.fastest_blocks(["cls"], ()) == ()


class MixesTokens(nn.Module):
    """An MLP in which every token depends on all others."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens.cumsum(dim=1).flip(1)


class NeedsAllTokens(nn.Module):
    """An MLP for a fixed number of tokens."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        if tokens.shape[1] == 1:
            raise ValueError("too few tokens")
        return tokens


@pytest.mark.parametrize("mlp", [MixesTokens(), NeedsAllTokens()])
def test_a_block_with_a_wrong_result_is_detected(mlp: nn.Module, base: Base) -> None:
    model: Any = copy.deepcopy(base.model)
    model.blocks[-1].mlp = mlp
    odd = wrap_base(model, name="odd", architecture="odd", mean=IMAGENET_MEAN, std=IMAGENET_STD)
    assert not odd.supports_first_token_block
    assert odd.fastest_blocks(["cls"], odd.blocks) == odd.blocks
    assert base.supports_first_token_block
