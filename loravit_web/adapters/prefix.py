"""Prefix tuning (Li and Liang 2021, arXiv 2101.00190): learned keys and values in the adapted blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from loravit_web.adapters.config import MAX_PREFIX, AdapterConfigError, ViTAdapterConfig
from loravit_web.adapters.files.numbers import ANY, whole
from loravit_web.adapters.interface import AdapterMismatch, Change, Tensors
from loravit_web.backbones.base import Base
from loravit_web.backbones.structure import shallow_copy, with_replaced

_INITIAL_KEYS = 0.02


@dataclass(frozen=True, eq=False)
class PrefixRows:
    """What one block's attention sees besides its tokens.

    Attributes:
        block: index of the block.
        keys, values: float32 (m, D).
    """

    block: int
    keys: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True, eq=False)
class PrefixChange:
    """The rows of all adapted blocks."""

    rows: tuple[PrefixRows, ...]
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

    The attention runs on m more tokens, put before the others, whose keys and values are the learned ones
    whatever they hold; what it gives for them is dropped. So it need not be written anew for each kind of
    attention, and rotary positions leave the rows alone as they leave class tokens.
    """

    def __init__(self, attention: nn.Module, keys: torch.Tensor, values: torch.Tensor) -> None:
        """
        Args:
            attention: of timm, with a layer ``qkv`` or layers ``q_proj``, ``k_proj`` and ``v_proj``.
            keys, values: (m, D), copied; trainable parameters.
        """
        super().__init__()
        self.keys = nn.Parameter(keys.clone())
        self.values = nn.Parameter(values.clone())
        rows: dict[str, nn.Module] = {}
        if _is_linear(attention, "qkv"):
            rows["qkv"] = _FusedRows(_whole_qkv(attention), self.keys, self.values)
        else:
            rows["k_proj"] = _Rows(cast(nn.Linear, attention.k_proj), self.keys)
            rows["v_proj"] = _Rows(cast(nn.Linear, attention.v_proj), self.values)
        longer: Any = with_replaced(attention, rows)
        if hasattr(longer, "q_bias"):
            longer.q_bias = None  # else EVA uses the layer's weight without calling it
        if hasattr(longer, "num_prefix_tokens"):
            longer.num_prefix_tokens += len(keys)
        self.attention = longer

    def forward(self, x: torch.Tensor, **options: Any) -> torch.Tensor:
        """(B, N, D) to (B, N, D)."""
        m = len(self.keys)
        y: torch.Tensor = self.attention(F.pad(x, (0, 0, m, 0)), **options)
        return y[:, m:]


class _Rows(nn.Module):
    """A linear layer that gives learned rows for the first tokens."""

    def __init__(self, base: nn.Linear, rows: nn.Parameter) -> None:
        super().__init__()
        self.base, self.rows = base, rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        m = len(self.rows)
        y: torch.Tensor = self.base(x[:, m:])
        return torch.cat([self.rows.to(y.dtype).expand(len(x), -1, -1), y], dim=1)


class _FusedRows(nn.Module):
    """The same for queries, keys and values in one layer; the queries of the learned rows are zero."""

    def __init__(self, base: nn.Linear, keys: nn.Parameter, values: nn.Parameter) -> None:
        super().__init__()
        self.base, self.keys, self.values = base, keys, values

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        m = len(self.keys)
        y: torch.Tensor = self.base(x[:, m:])
        rows = torch.cat([torch.zeros_like(self.keys), self.keys, self.values], dim=1)
        return torch.cat([rows.to(y.dtype).expand(len(x), -1, -1), y], dim=1)


def _whole_qkv(attention: Any) -> nn.Linear:
    """The layer ``qkv`` with its bias, which EVA's attention keeps beside it in three parts."""
    linear: nn.Linear = attention.qkv
    if getattr(attention, "q_bias", None) is not None:
        linear = shallow_copy(linear)
        bias = torch.cat([attention.q_bias, attention.k_bias, attention.v_bias])
        linear.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return linear


class Prefix:
    """The adapter type ``PREFIX``."""

    def trainable_blocks(
        self, base: Base, config: ViTAdapterConfig, generator: torch.Generator
    ) -> list[nn.Module]:
        """See `AdapterType`.

        Raises:
            AdapterConfigError: if the base's attention can't take learned keys and values.
        """
        first = config.first_block(base.depth)
        result = []
        for index, block in enumerate(base.blocks[first:], start=first):
            shape = (config.prefix_length, _width(base, block))
            keys = _INITIAL_KEYS * torch.randn(shape, generator=generator)
            result.append(_with_rows(base, PrefixRows(index, keys, torch.zeros(shape))))
        return result

    def change(self, blocks: Sequence[nn.Module], config: ViTAdapterConfig, base: Base) -> PrefixChange:
        """See `AdapterType`."""
        rows = []
        for index, block in enumerate(blocks, start=base.depth - len(blocks)):
            (layer,) = (m for m in block.modules() if isinstance(m, PrefixAttention))
            keys, values = (p.detach().float().cpu().clone() for p in (layer.keys, layer.values))
            rows.append(PrefixRows(index, keys, values))
        return PrefixChange(tuple(rows))

    def write(
        self, change: Change, config: ViTAdapterConfig
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """See `AdapterType`; PEFT has no such type for timm and refuses the folder by its ``peft_type``."""
        tensors = {}
        for row in cast(PrefixChange, change).rows:
            tensors[f"blocks.{row.block}.attn.prefix_keys"] = row.keys
            tensors[f"blocks.{row.block}.attn.prefix_values"] = row.values
        return tensors, {"peft_type": "PREFIX", "prefix_length": config.prefix_length}

    def read(self, tensors: Tensors, fields: Mapping[str, Any], base: Base) -> PrefixChange:
        """See `AdapterType`."""
        rows, expected = [], set()
        for index, block in enumerate(base.blocks):
            names = [f"blocks.{index}.attn.prefix_{part}" for part in ("keys", "values")]
            if not any(name in tensors for name in names):
                continue
            expected |= set(names)
            length = whole("prefix_length", fields["prefix_length"], -ANY, ANY)
            shape = (length, _width(base, block))
            for name in names:
                found = tuple(tensors[name].shape) if name in tensors else "nothing"
                if found != shape or not 1 <= length <= MAX_PREFIX:
                    raise AdapterMismatch(f"{name} should have shape {shape}, the file holds {found}.")
            rows.append(PrefixRows(index, *(tensors[name].float() for name in names)))
        extra = sorted(set(tensors) - expected)
        if extra:
            raise AdapterMismatch(f"The adapter holds {extra[0]}, which a prefix does not have.")
        if [row.block for row in rows] != list(range(base.depth - len(rows), base.depth)) or not rows:
            raise AdapterMismatch("A prefix has keys and values for each of the last blocks.")
        return PrefixChange(tuple(rows))

    def blocks(self, change: Change, base: Base) -> list[nn.Module]:
        """See `AdapterType`."""
        blocks = [_with_rows(base, row) for row in cast(PrefixChange, change).rows]
        return [block.requires_grad_(False) for block in blocks]

    def merged_blocks(self, change: Change, base: Base, master: Base) -> list[nn.Module]:
        """See `AdapterType`; the rows touch no weight, so this is `blocks`."""
        return self.blocks(change, base)


def _with_rows(base: Base, rows: PrefixRows) -> nn.Module:
    block = base.blocks[rows.block]
    path = _attention_path(base, block)
    attention = block.get_submodule(path)
    longer = PrefixAttention(attention, rows.keys.to(base.device), rows.values.to(base.device))
    return with_replaced(block, {path: longer})


def _width(base: Base, block: nn.Module) -> int:
    """Width of a key."""
    attention: Any = block.get_submodule(_attention_path(base, block))
    if _is_linear(attention, "qkv"):
        return int(attention.qkv.out_features) // 3
    return int(attention.k_proj.out_features)


def _attention_path(base: Base, block: nn.Module) -> str:
    """Where the block's one attention is.

    Raises:
        AdapterConfigError: if there is none, or more than one.
    """
    paths: list[str] = [
        path
        for path, module in block.named_modules()
        if path and (_is_linear(module, "qkv") or _is_linear(module, "k_proj", "v_proj"))
    ]
    if len(paths) != 1:
        raise AdapterConfigError(
            f"The attention of {base.architecture} can't take a prefix: choose the adapter type LORA."
        )
    return paths[0]


def _is_linear(module: nn.Module, *names: str) -> bool:
    return all(isinstance(getattr(module, name, None), nn.Linear) for name in names)
