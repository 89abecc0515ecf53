"""The last block for a head that reads the first token alone: its MLP, most of its work, runs on that one."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from loravit_web.backbones.structure import with_replaced


class FirstTokenBlock(nn.Module):
    """A block of which only the first token is wanted: (B, N, D) to (B, 1, D).

    All tokens go through the attention, and ``norm2`` lets the first one alone on to the MLP. Whether that
    is right for a kind of block has to be tried out.
    """

    def __init__(self, block: nn.Module) -> None:
        """
        Args:
            block: of timm, with a ``norm2`` between attention and MLP; its weights are shared.
        """
        super().__init__()
        self.block = with_replaced(block, {"norm2": _FirstToken(block.get_submodule("norm2"))})

    def forward(self, tokens: torch.Tensor, **options: Any) -> torch.Tensor:
        """(B, N, D) to (B, 1, D)."""
        # The block adds the first token's MLP to every token, which is right for the first alone.
        result: torch.Tensor = self.block(tokens, **options)[:, :1]
        return result


class _FirstToken(nn.Module):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        normed: torch.Tensor = self.norm(tokens[:, :1])
        return normed
