"""Adapters that leave their base unchanged: a head on frozen features."""

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
    """The change of an adapter that leaves its base unchanged.

    Attributes:
        first_block: Number of blocks that have to be run for the head, all of them frozen.
        tensors: Empty.
        factors: Empty.
    """

    first_block: int
    tensors: tuple[torch.Tensor, ...] = ()
    factors: tuple[LoRAFactors, ...] = ()


@dataclass(frozen=True)
class Frozen:
    """The adapter types ``LINEAR``, whose head is trained, and ``PROBE``, whose head has a closed form.

    Attributes:
        name: Name of the type, which PEFT rejects.
    """

    name: str

    def trainable_blocks(
        self, base: Base, config: ViTAdapterConfig, generator: torch.Generator
    ) -> list[nn.Module]:
        """Return no blocks; see `AdapterType.trainable_blocks`."""
        return []

    def change(self, blocks: Sequence[nn.Module], config: ViTAdapterConfig, base: Base) -> NoChange:
        """Return the empty change; see `AdapterType.change`."""
        return NoChange(config.last_block(base))

    def write(
        self, change: Change, config: ViTAdapterConfig
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return no tensors; see `AdapterType.write`. PEFT rejects the folder by its ``peft_type``."""
        return {}, {"peft_type": self.name}

    def read(
        self, tensors: Tensors, fields: Mapping[str, Any], config: ViTAdapterConfig, base: Base
    ) -> NoChange:
        """Return the empty change; see `AdapterType.read`."""
        if tensors:
            raise AdapterMismatch(
                f"An adapter of type {self.name} cannot contain {min(tensors)}. Export it again."
            )
        return NoChange(config.last_block(base))

    def blocks(self, change: Change, base: Base) -> list[nn.Module]:
        """Return no blocks; see `AdapterType.blocks`."""
        return []

    def merged_blocks(self, change: Change, base: Base, master: Base) -> list[nn.Module]:
        """Return no blocks; see `AdapterType.merged_blocks`."""
        return []
