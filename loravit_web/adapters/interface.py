"""What a type of adapter must be able to do. A new type is one module that does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.adapters.layers import LoRAFactors
from loravit_web.backbones.base import Base
from loravit_web.errors import LoraVitError

Tensors = Mapping[str, torch.Tensor]


class AdapterMismatch(LoraVitError):
    """The tensors of an adapter are not those that its configuration and base call for."""


class Change(Protocol):
    """What an adapter does to its base, as plain float32 tensors in memory."""

    @property
    def first_block(self) -> int:
        """Index of the first block that differs from the base; the depth when none does."""

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All that was learned, the head apart."""

    @property
    def factors(self) -> Sequence[LoRAFactors] | None:
        """The whole change as low-rank factors of linear layers, where it is nothing else; or None."""


@runtime_checkable
class AdapterType(Protocol):
    """One kind of change to a frozen ViT, from training to serving."""

    def trainable_blocks(
        self, base: Base, config: ViTAdapterConfig, generator: torch.Generator
    ) -> list[nn.Module]:
        """Copies of the adapted blocks that share the frozen weights and carry trainable parameters.

        Only what is trained has ``requires_grad``.
        """

    def change(self, blocks: Sequence[nn.Module], config: ViTAdapterConfig, base: Base) -> Change:
        """A float32 copy of what the blocks of `trainable_blocks` have learned."""

    def write(
        self, change: Change, config: ViTAdapterConfig
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Tensors by module path in the base, and the type's fields of ``adapter_config.json``."""

    def read(self, tensors: Tensors, fields: Mapping[str, Any], base: Base) -> Change:
        """The inverse of `write`, strict in keys and shapes.

        Raises:
            AdapterMismatch: naming what was expected and found.
        """

    def blocks(self, change: Change, base: Base) -> list[nn.Module]:
        """The adapted blocks for serving, all frozen weights shared with ``base``."""

    def merged_blocks(self, change: Change, base: Base, master: Base) -> list[nn.Module]:
        """The adapted blocks in their fastest form, with copies of the weights that the change touches.

        Args:
            base: the base that runs, whose other weights the blocks share.
            master: the same base in float32, from which the copies are computed.
        """
