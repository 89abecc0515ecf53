"""The last block for heads that read only the first token: the MLP, most of its work, runs on that token."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from loravit_web.backbones.structure import with_replaced


class FirstTokenBlock(nn.Module):
    """A block that computes only the first token.

    All tokens go through the attention, and ``norm2`` passes only the first one on to the MLP. Whether this
    is correct for a kind of block has to be tested.

    Args:
        block: Block of timm with a ``norm2`` between attention and MLP; its weights are shared.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = with_replaced(block, {"norm2": _FirstToken(block.get_submodule("norm2"))})

    def forward(self, tokens: torch.Tensor, **options: Any) -> torch.Tensor:
        """Return the first token (B, 1, D) of the block's output for tokens (B, N, D)."""
        # The block adds the MLP of the first token to every token; only the first result is correct.
        result: torch.Tensor = self.block(tokens, **options)[:, :1]
        return result


class _FirstToken(nn.Module):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        normed: torch.Tensor = self.norm(tokens[:, :1])
        return normed
