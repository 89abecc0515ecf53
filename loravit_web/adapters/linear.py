"""No change to the base at all: a classification head on its frozen features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.adapters.interface import AdapterMismatch, Change, Tensors
from loravit_web.adapters.layers import LoRAFactors
from loravit_web.backbones.base import Base


@dataclass(frozen=True)
class NoChange:
    """The base as it is."""

    first_block: int
    tensors: tuple[torch.Tensor, ...] = ()
    factors: tuple[LoRAFactors, ...] = ()


class Linear:
    """The adapter type ``LINEAR``: the linear probe, trained by the same loop and kept as an adapter."""

    def trainable_blocks(
        self, base: Base, config: ViTAdapterConfig, generator: torch.Generator
    ) -> list[nn.Module]:
        """See `AdapterType`."""
        return []

    def change(self, blocks: Sequence[nn.Module], config: ViTAdapterConfig, base: Base) -> NoChange:
        """See `AdapterType`."""
        return NoChange(base.depth)

    def write(
        self, change: Change, config: ViTAdapterConfig
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """See `AdapterType`; PEFT has no such type and refuses the folder by its ``peft_type``."""
        return {}, {"peft_type": "LINEAR"}

    def read(self, tensors: Tensors, fields: Mapping[str, Any], base: Base) -> NoChange:
        """See `AdapterType`."""
        if tensors:
            raise AdapterMismatch(f"A head-only adapter holds {min(tensors)}, which it should not.")
        return NoChange(base.depth)

    def blocks(self, change: Change, base: Base) -> list[nn.Module]:
        """See `AdapterType`."""
        return []

    def merged_blocks(self, change: Change, base: Base, master: Base) -> list[nn.Module]:
        """See `AdapterType`."""
        return []
