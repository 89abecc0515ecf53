"""The adapted blocks as training runs them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.adapters.layers import AdapterDropout
from loravit_web.adapters.types import adapter_type
from loravit_web.backbones.base import Base
from loravit_web.backbones.structure import without_fused_attention


def trainable_blocks(base: Base, config: ViTAdapterConfig, generator: torch.Generator) -> list[nn.Module]:
    """Adapted blocks with their trainable parameters, in the form that trains fastest on ``base``.

    Raises:
        AdapterConfigError: if the configuration does not fit the base.
    """
    blocks = adapter_type(config.adapter_type).trainable_blocks(base, config, generator)
    if base.dtype is torch.bfloat16 and base.device.type == "cpu":
        # There the backward pass of the fused kernel takes twice as long as the plain one.
        blocks = [without_fused_attention(block) for block in blocks]
    return blocks


def trained_parameters(blocks: Sequence[nn.Module], head: nn.Linear) -> list[nn.Parameter]:
    """All that is trained, head last."""
    return [*(p for block in blocks for p in block.parameters() if p.requires_grad), *head.parameters()]


@contextlib.contextmanager
def dropout_on(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Dropout on in the adapters' own layers alone; frozen modules are shared and stay as they are."""
    layers = [module for block in blocks for module in block.modules() if isinstance(module, AdapterDropout)]
    for layer in layers:
        layer.train()
    try:
        yield
    finally:
        for layer in layers:
            layer.eval()
