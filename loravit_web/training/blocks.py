"""Adapted blocks in the form that training runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.adapters.layers import AdapterDropout
from loravit_web.adapters.types import adapter_type
from loravit_web.backbones.base import Base, Pooling
from loravit_web.backbones.structure import without_fused_attention
from loravit_web.training.attention import with_first_query, with_packed_attention


def trainable_blocks(base: Base, config: ViTAdapterConfig, generator: torch.Generator) -> list[nn.Module]:
    """Return adapted blocks with trainable parameters in the form that trains fastest on ``base``.

    Args:
        base: Frozen base in the precision of the training.
        config: Configuration of the adapter.
        generator: Source of randomness for the initial parameters.

    Raises:
        AdapterConfigError: If the configuration does not fit the base.
    """
    blocks = adapter_type(config.adapter_type).trainable_blocks(base, config, generator)
    if base.dtype is torch.bfloat16 and base.device.type == "cpu":
        # Here the backward pass of the fused kernel takes twice as long as an explicit one.
        blocks = [without_fused_attention(with_packed_attention(block)) for block in blocks]
    return blocks


def blocks_to_read(base: Base, pooling: Pooling | None, blocks: Sequence[nn.Module]) -> Sequence[nn.Module]:
    """Return trainable blocks without the computations that the head does not read.

    Args:
        base: Base of the blocks.
        pooling: What the head reads of the last block.
        blocks: Result of `trainable_blocks`, or its last blocks.
    """
    made = base.fastest_blocks([pooling], blocks)
    if made is blocks:
        return blocks
    return base.fastest_blocks([pooling], [*blocks[:-1], with_first_query(blocks[-1])])


def trained_parameters(blocks: Sequence[nn.Module], head: nn.Linear) -> list[nn.Parameter]:
    """Return all trained parameters, the head's last."""
    return [*(p for block in blocks for p in block.parameters() if p.requires_grad), *head.parameters()]


@contextlib.contextmanager
def adapter_dropout(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Activate the dropout of the adapter's layers. Frozen modules are shared and stay in evaluation mode."""
    layers = [module for block in blocks for module in block.modules() if isinstance(module, AdapterDropout)]
    for layer in layers:
        layer.train()
    try:
        yield
    finally:
        for layer in layers:
            layer.eval()
