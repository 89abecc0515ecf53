"""Prefix tuning (Li and Liang 2021, arXiv 2101.00190): learned keys and values in the adapted blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from loravit_web.adapters.config import MAX_PREFIX, AdapterConfigError, ViTAdapterConfig
from loravit_web.adapters.files.numbers import ANY, integer
from loravit_web.adapters.interface import AdapterMismatch, Change, Tensors
from loravit_web.backbones.base import Base
from loravit_web.backbones.structure import shallow_copy, with_replaced

_INITIAL_KEYS = 0.02


@dataclass(frozen=True, eq=False)
class BlockPrefix:
    """Learned keys and values of one block.

    Attributes:
        block: Index of the block.
        keys: Float32 keys (m, D).
        values: Float32 values (m, D).
    """

    block: int
    keys: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True, eq=False)
class PrefixChange:
    """Learned keys and values of all adapted blocks.

    Attributes:
        rows: Prefix of each adapted block.
        factors: None, because the change is not low-rank.
    """

    rows: tuple[BlockPrefix, ...]
    factors: None = None

    @property
    def first_block(self) -> int:
        """Index of the first adapted block."""
        return min(row.block for row in self.rows)

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All keys and values."""
        return tuple(t for row in self.rows for t in (row.keys, row.values))


class PrefixAttention(nn.Module):
    """A frozen attention whose tokens also attend to learned keys and values.

    The attention runs on m additional tokens before the others, whose keys and values are replaced by the
    learned ones, and their outputs are dropped. This works for every kind of attention in timm, and rotary
    positions skip the additional tokens as they skip class tokens.

    Args:
        attention: Attention module of timm with a layer ``qkv``, or layers ``q_proj``, ``k_proj`` and
            ``v_proj``.
        keys: Initial keys (m, D); copied into a trainable parameter.
        values: Initial values (m, D); copied into a trainable parameter.
    """

    def __init__(self, attention: nn.Module, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.keys = nn.Parameter(keys.clone())
        self.values = nn.Parameter(values.clone())
        rows: dict[str, nn.Module] = {}
        if _is_linear(attention, "qkv"):
            rows["qkv"] = _FusedRows(_qkv_with_bias(attention), self.keys, self.values)
        else:
            rows["k_proj"] = _Rows(cast(nn.Linear, attention.k_proj), self.keys)
            rows["v_proj"] = _Rows(cast(nn.Linear, attention.v_proj), self.values)
        extended: Any = with_replaced(attention, rows)
        if hasattr(extended, "q_bias"):
            extended.q_bias = None  # otherwise EVA uses the layer's weight without calling it
        if hasattr(extended, "num_prefix_tokens"):
            extended.num_prefix_tokens += len(keys)
        self.attention = extended

    def forward(self, x: torch.Tensor, **options: Any) -> torch.Tensor:
        """Return the attention's outputs (B, N, D) for tokens (B, N, D)."""
        m = len(self.keys)
        y: torch.Tensor = self.attention(F.pad(x, (0, 0, m, 0)), **options)
        return y[:, m:]


class _Rows(nn.Module):
    """A linear layer that returns learned rows for the first tokens."""

    def __init__(self, base: nn.Linear, rows: nn.Parameter) -> None:
        super().__init__()
        self.base, self.rows = base, rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        m = len(self.rows)
        y: torch.Tensor = self.base(x[:, m:])
        return torch.cat([self.rows.to(y.dtype).expand(len(x), -1, -1), y], dim=1)


class _FusedRows(nn.Module):
    """A fused ``qkv`` layer that returns learned keys and values, and zero queries, for the first tokens."""

    def __init__(self, base: nn.Linear, keys: nn.Parameter, values: nn.Parameter) -> None:
        super().__init__()
        self.base, self.keys, self.values = base, keys, values

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        m = len(self.keys)
        y: torch.Tensor = self.base(x[:, m:])
        rows = torch.cat([torch.zeros_like(self.keys), self.keys, self.values], dim=1)
        return torch.cat([rows.to(y.dtype).expand(len(x), -1, -1), y], dim=1)


def _qkv_with_bias(attention: Any) -> nn.Linear:
    """Return the layer ``qkv`` with its bias, which EVA's attention stores in three separate parts."""
    linear: nn.Linear = attention.qkv
    if getattr(attention, "q_bias", None) is not None:
        linear = shallow_copy(linear)
        bias = torch.cat([attention.q_bias, attention.k_bias, attention.v_bias])
        linear.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return linear


class Prefix:
    """The adapter type ``PREFIX``: prefix tuning."""

    def trainable_blocks(
        self, base: Base, config: ViTAdapterConfig, generator: torch.Generator
    ) -> list[nn.Module]:
        """Return blocks with `PrefixAttention`; see `AdapterType.trainable_blocks`.

        Raises:
            AdapterConfigError: If the base's attention does not support learned keys and values.
        """
        first = config.first_block(base.depth)
        result = []
        for index, block in enumerate(base.blocks[first:], start=first):
            shape = (config.prefix_length, _width(base, block))
            keys = _INITIAL_KEYS * torch.randn(shape, generator=generator)
            result.append(_with_rows(base, BlockPrefix(index, keys, torch.zeros(shape))))
        return result

    def change(self, blocks: Sequence[nn.Module], config: ViTAdapterConfig, base: Base) -> PrefixChange:
        """Return the learned keys and values; see `AdapterType.change`."""
        rows = []
        for index, block in enumerate(blocks, start=base.depth - len(blocks)):
            (layer,) = (m for m in block.modules() if isinstance(m, PrefixAttention))
            keys, values = (p.detach().float().cpu().clone() for p in (layer.keys, layer.values))
            rows.append(BlockPrefix(index, keys, values))
        return PrefixChange(tuple(rows))

    def write(
        self, change: Change, config: ViTAdapterConfig
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return keys and values; see `AdapterType.write`. PEFT rejects the folder by its ``peft_type``."""
        tensors = {}
        for row in cast(PrefixChange, change).rows:
            tensors[f"blocks.{row.block}.attn.prefix_keys"] = row.keys
            tensors[f"blocks.{row.block}.attn.prefix_values"] = row.values
        return tensors, {"peft_type": "PREFIX", "prefix_length": config.prefix_length}

    def read(
        self, tensors: Tensors, fields: Mapping[str, Any], config: ViTAdapterConfig, base: Base
    ) -> PrefixChange:
        """Return keys and values from files; see `AdapterType.read`."""
        rows, expected = [], set()
        for index, block in enumerate(base.blocks):
            names = [f"blocks.{index}.attn.prefix_{part}" for part in ("keys", "values")]
            if not any(name in tensors for name in names):
                continue
            expected |= set(names)
            length = integer("prefix_length", fields["prefix_length"], -ANY, ANY)
            if not 1 <= length <= MAX_PREFIX:
                raise AdapterMismatch(
                    f"Prefix length {length} is out of range. Lengths from 1 to {MAX_PREFIX} can be loaded."
                )
            shape = (length, _width(base, block))
            for name in names:
                found = tuple(tensors[name].shape) if name in tensors else "nothing"
                if found != shape:
                    raise AdapterMismatch(
                        f"{name} should have shape {shape}, but the file contains {found}. Export the "
                        "adapter again."
                    )
            rows.append(BlockPrefix(index, *(tensors[name].float() for name in names)))
        extra = sorted(set(tensors) - expected)
        if extra:
            raise AdapterMismatch(f"An adapter of type PREFIX cannot contain {extra[0]}. Export it again.")
        if [row.block for row in rows] != list(range(base.depth - len(rows), base.depth)) or not rows:
            raise AdapterMismatch(
                "The adapter does not have keys and values for each of the last blocks. Export it again."
            )
        return PrefixChange(tuple(rows))

    def blocks(self, change: Change, base: Base) -> list[nn.Module]:
        """Return frozen blocks with `PrefixAttention`; see `AdapterType.blocks`."""
        blocks = [_with_rows(base, row) for row in cast(PrefixChange, change).rows]
        return [block.requires_grad_(False) for block in blocks]

    def merged_blocks(self, change: Change, base: Base, master: Base) -> list[nn.Module]:
        """Return the same as `blocks`, because a prefix changes no weight."""
        return self.blocks(change, base)


def _with_rows(base: Base, rows: BlockPrefix) -> nn.Module:
    block = base.blocks[rows.block]
    path = _attention_path(base, block)
    attention = block.get_submodule(path)
    extended = PrefixAttention(attention, rows.keys.to(base.device), rows.values.to(base.device))
    return with_replaced(block, {path: extended})


def _width(base: Base, block: nn.Module) -> int:
    """Return the width of a key."""
    attention: Any = block.get_submodule(_attention_path(base, block))
    if _is_linear(attention, "qkv"):
        return int(attention.qkv.out_features) // 3
    return int(attention.k_proj.out_features)


def _attention_path(base: Base, block: nn.Module) -> str:
    """Return the path of the block's only attention.

    Raises:
        AdapterConfigError: If there is no attention, or more than one.
    """
    paths: list[str] = [
        path
        for path, module in block.named_modules()
        if path and (_is_linear(module, "qkv") or _is_linear(module, "k_proj", "v_proj"))
    ]
    if len(paths) != 1:
        raise AdapterConfigError(
            f"The attention of {base.architecture} does not support a prefix. Choose the adapter type LORA."
        )
    return paths[0]


def _is_linear(module: nn.Module, *names: str) -> bool:
    return all(isinstance(getattr(module, name, None), nn.Linear) for name in names)
