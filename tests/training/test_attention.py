"""The attention of trainings is timm's: the same outputs and the same gradients, with fewer copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import nn

from loravit_web.adapters import ViTAdapterConfig
from loravit_web.adapters.lora import LoRA
from loravit_web.backbones import Base
from loravit_web.backbones.timm_import import import_timm
from loravit_web.training.attention import (
    PackedAttention,
    attend,
    is_plain,
    with_first_query,
    with_packed_attention,
)
from loravit_web.training.blocks import blocks_to_read

CONFIG = ViTAdapterConfig(r=2, alpha=4, blocks=2)


def adapted(base: Base, config: ViTAdapterConfig = CONFIG) -> list[nn.Module]:
    """Adapted blocks whose factors are not zero."""
    generator = torch.Generator().manual_seed(0)
    blocks = LoRA().trainable_blocks(base, config.resolved(base), generator)
    for parameter in trained(blocks):
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    return blocks


def trained(blocks: Sequence[nn.Module]) -> list[nn.Parameter]:
    return [p for block in blocks for p in block.parameters() if p.requires_grad]


def tokens_of(base: Base) -> torch.Tensor:
    return torch.randn(3, 17, base.embed_dim, generator=torch.Generator().manual_seed(1))


def output_and_gradients(
    base: Base, blocks: Sequence[nn.Module], shared: Sequence[nn.Module]
) -> list[torch.Tensor]:
    """The first token of the output, and the gradients of the tokens and of all parameters."""
    tokens = tokens_of(base).requires_grad_()
    output = base.run_blocks(blocks, tokens, base.depth - len(blocks))[:, :1]
    return [output, *torch.autograd.grad(output.square().sum(), [tokens, *trained(shared)])]


def test_its_written_gradients_are_right() -> None:
    generator = torch.Generator().manual_seed(0)
    packed = torch.randn(2, 3, 12, generator=generator, dtype=torch.float64, requires_grad=True)
    queries = torch.randn(2, 1, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: attend(None, x, 2), packed)
    assert torch.autograd.gradcheck(lambda q, x: attend(q, x[..., 4:], 2), (queries, packed))


def test_packed_blocks_have_the_outputs_and_gradients_of_their_originals(base: Base) -> None:
    blocks = adapted(base)
    packed = [with_packed_attention(block) for block in blocks]
    assert all(isinstance(block.get_submodule("attn"), PackedAttention) for block in packed)
    found = output_and_gradients(base, packed, blocks)
    torch.testing.assert_close(found, output_and_gradients(base, blocks, blocks))


def test_blocks_that_read_one_query_have_the_first_token_and_the_gradients_of_their_originals(
    base: Base,
) -> None:
    blocks = adapted(base)
    read = blocks_to_read(base, "cls", blocks)
    rows: list[int] = []
    handle = (
        read[-1]
        .get_submodule("block.attn.proj")
        .register_forward_hook(lambda _m, args, _y: rows.append(args[0].shape[1]))
    )
    found = output_and_gradients(base, read, blocks)
    handle.remove()
    assert rows == [1]
    torch.testing.assert_close(found, output_and_gradients(base, blocks, blocks))


def test_an_evaluation_gives_the_same_as_a_step(base: Base) -> None:
    blocks = [with_packed_attention(block) for block in adapted(base)]
    read = blocks_to_read(base, "cls", blocks)
    for path in (blocks, read):
        step = base.run_blocks(path, tokens_of(base), base.depth - 2)[:, :1]
        with torch.inference_mode():
            evaluation = base.run_blocks(path, tokens_of(base), base.depth - 2)[:, :1]
        torch.testing.assert_close(evaluation, step.detach())


def test_copies_share_all_parameters_under_the_same_names_and_in_the_same_order(base: Base) -> None:
    (block,) = adapted(base, replace(CONFIG, blocks=1))
    for copy in (with_packed_attention(block), with_first_query(block)):
        names = [(name, id(p)) for name, p in copy.named_parameters()]
        assert names == [(name, id(p)) for name, p in block.named_parameters()]


@pytest.mark.parametrize("config", [replace(CONFIG, dropout=0.5), replace(CONFIG, target_modules=("v",))])
def test_all_queries_are_computed_if_the_factors_do_not_allow_less(
    base: Base, config: ViTAdapterConfig
) -> None:
    *_others, last = adapted(base, config)
    assert with_first_query(last) is last


def test_all_tokens_are_computed_if_they_are_read(base: Base) -> None:
    blocks = adapted(base)
    assert blocks_to_read(base, "mean", blocks) is blocks
    assert blocks_to_read(base, "cls", []) == []


@pytest.mark.parametrize("options", [{"qk_norm": True}, {"gated": True}, {"attn_drop": 0.1}])
def test_an_attention_with_more_to_it_stays_as_it_is(options: dict[str, object]) -> None:
    layers = import_timm().layers
    attention = layers.Attention(8, 2, norm_layer=nn.LayerNorm, **options)
    assert not is_plain(attention)
    assert is_plain(layers.Attention(8, 2))
