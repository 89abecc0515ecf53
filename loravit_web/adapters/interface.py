"""Interface of an adapter type. A new type is a module that implements it."""

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
"""Tensors by module path in the base."""


class AdapterMismatch(LoraVitError):
    """Tensors that do not match the adapter's configuration and base."""


class Change(Protocol):
    """What an adapter changes in its base, as plain float32 tensors."""

    @property
    def first_block(self) -> int:
        """Index of the first block that differs from the base, or the base's depth if none does."""

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All trained tensors without the head."""

    @property
    def factors(self) -> Sequence[LoRAFactors] | None:
        """The whole change as low-rank factors of linear layers, or None if it is anything else."""


@runtime_checkable
class AdapterType(Protocol):
    """A kind of change to a frozen ViT, from training to inference."""

    def trainable_blocks(
        self, base: Base, config: ViTAdapterConfig, generator: torch.Generator
    ) -> list[nn.Module]:
        """Return copies of the adapted blocks that share the frozen weights and have trainable parameters.

        Only trainable parameters have ``requires_grad``.

        Args:
            base: Frozen base.
            config: Configuration of the adapter.
            generator: Source of randomness for the initial parameters.
        """

    def change(self, blocks: Sequence[nn.Module], config: ViTAdapterConfig, base: Base) -> Change:
        """Return a float32 copy of the parameters that were trained in `trainable_blocks`.

        Args:
            blocks: Blocks of `trainable_blocks`.
            config: Configuration of the adapter.
            base: Frozen base.
        """

    def write(
        self, change: Change, config: ViTAdapterConfig
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return the files' content for a change.

        Args:
            change: Trained change.
            config: Configuration of the adapter.

        Returns:
            Tensors by module path in the base, and the type's fields of ``adapter_config.json``.
        """

    def read(
        self, tensors: Tensors, fields: Mapping[str, Any], config: ViTAdapterConfig, base: Base
    ) -> Change:
        """Return the change that `write` wrote; strict about names and shapes.

        Args:
            tensors: Tensors by module path in the base.
            fields: Fields of ``adapter_config.json``.
            config: Configuration of the adapter.
            base: Frozen base.

        Raises:
            AdapterMismatch: If tensors are missing, unknown or of a wrong shape.
        """

    def blocks(self, change: Change, base: Base) -> list[nn.Module]:
        """Return the adapted blocks for inference; all frozen weights are shared with ``base``."""

    def merged_blocks(self, change: Change, base: Base, master: Base) -> list[nn.Module]:
        """Return the adapted blocks in their fastest form, with copies of the changed weights.

        Args:
            change: Trained change.
            base: Base that runs; the blocks share its other weights.
            master: The same base in float32, from which the copies are computed.
        """
