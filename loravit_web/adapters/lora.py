"""LoRA (Hu et al. 2021, arXiv 2106.09685) on linear layers of the last blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from loravit_web.adapters.config import AdapterConfigError, ViTAdapterConfig
from loravit_web.adapters.interface import Change, Tensors
from loravit_web.adapters.layers import FrozenLoRALayer, LoRAFactors, LoRALayer, OutputSlice
from loravit_web.adapters.ops import merged_weight
from loravit_web.adapters.peft_lora import read_factors, write_factors
from loravit_web.backbones.base import Base
from loravit_web.backbones.structure import shallow_copy, with_replaced

_SLICES = {"q": 0, "k": 1, "v": 2}
# Names in timm of the layers of a target, if they differ from the target's name.
_NAMES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "q": (("q_proj",),),
    "k": (("k_proj",),),
    "v": (("v_proj",),),
    "qkv": (("qkv",), ("q_proj", "k_proj", "v_proj")),
    "fc1": (("fc1",), ("fc1_g", "fc1_x")),
}


@dataclass(frozen=True, eq=False)
class LoRAChange:
    """All low-rank factors of an adapter.

    Attributes:
        factors: Factors of each adapted layer.
    """

    factors: tuple[LoRAFactors, ...]

    @property
    def first_block(self) -> int:
        """Index of the first adapted block."""
        return min(f.block for f in self.factors)

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All factors A and B."""
        return tuple(t for f in self.factors for t in (f.a, f.b))


class LoRA:
    """The adapter type ``LORA``: low-rank factors on linear layers."""

    def trainable_blocks(
        self, base: Base, config: ViTAdapterConfig, generator: torch.Generator
    ) -> list[nn.Module]:
        """Return blocks with `LoRALayer` for each target; see `AdapterType.trainable_blocks`.

        Raises:
            AdapterConfigError: If a target matches no linear layer.
        """
        result = []
        for block in base.blocks[config.first_block(base.depth) :]:
            layers: dict[str, nn.Module] = {
                path: LoRALayer(
                    cast(nn.Linear, block.get_submodule(path)),
                    parts,
                    dropout=config.dropout,
                    generator=generator,
                )
                for path, parts in _targets(block, config).items()
            }
            result.append(with_replaced(block, layers))
        return result

    def change(self, blocks: Sequence[nn.Module], config: ViTAdapterConfig, base: Base) -> LoRAChange:
        """Return the trained factors; see `AdapterType.change`."""
        factors = []
        for index, block in enumerate(blocks, start=base.depth - len(blocks)):
            for path, layer in block.named_modules():
                if isinstance(layer, LoRALayer):
                    factors.append(LoRAFactors(index, path, *layer.fused()))
        return LoRAChange(tuple(factors))

    def write(
        self, change: Change, config: ViTAdapterConfig
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return the factors and the fields of PEFT's ``LoraConfig``; see `AdapterType.write`."""
        return write_factors(cast(LoRAChange, change).factors, config)

    def read(
        self, tensors: Tensors, fields: Mapping[str, Any], config: ViTAdapterConfig, base: Base
    ) -> LoRAChange:
        """Return the factors from files with the fields of PEFT's ``LoraConfig``; see `AdapterType.read`."""
        return LoRAChange(read_factors(tensors, fields, base))

    def blocks(self, change: Change, base: Base) -> list[nn.Module]:
        """Return blocks with `FrozenLoRALayer`; see `AdapterType.blocks`."""
        return _replaced(cast(LoRAChange, change), base, FrozenLoRALayer)

    def merged_blocks(self, change: Change, base: Base, master: Base) -> list[nn.Module]:
        """Return blocks with merged weights; see `AdapterType.merged_blocks`.

        Merging always starts from the frozen W, so rounding errors do not accumulate.
        """

        def merged(linear: nn.Linear, factors: LoRAFactors) -> nn.Module:
            exact = cast(nn.Linear, master.blocks[factors.block].get_submodule(factors.path))
            a, b = (t.to(exact.weight.device) for t in (factors.a, factors.b))
            weight = merged_weight(exact.weight, a, b, factors.scale)
            layer = shallow_copy(linear)
            layer.weight = nn.Parameter(weight.to(linear.weight), requires_grad=False)
            return layer

        return _replaced(cast(LoRAChange, change), base, merged)


def _replaced(change: LoRAChange, base: Base, layer: Any) -> list[nn.Module]:
    """Return blocks from the first adapted one on, with adapted layers made by ``layer(linear, factors)``."""
    blocks = base.blocks[change.first_block :]
    replacements: list[dict[str, nn.Module]] = [{} for _ in blocks]
    for f in change.factors:
        index = f.block - change.first_block
        replacements[index][f.path] = layer(blocks[index].get_submodule(f.path), f)
    return [with_replaced(block, new) for block, new in zip(blocks, replacements, strict=True)]


def _targets(block: nn.Module, config: ViTAdapterConfig) -> dict[str, list[OutputSlice]]:
    """Return the slices of each linear layer to adapt in a block, by the layer's path."""
    linears = {path: m for path, m in block.named_modules() if isinstance(m, nn.Linear)}
    found: dict[str, list[OutputSlice]] = {}
    for target in config.target_modules:
        r, scale = config.rank(target), config.scale(target)
        separate = _named(linears, _NAMES.get(target, ((target,),)))
        for path in separate:
            found[path] = [OutputSlice(0, linears[path].out_features, r, scale)]
        fused = _named(linears, (("qkv",),)) if target in _SLICES and not separate else []
        for path in fused:
            width = linears[path].out_features // 3
            start = _SLICES[target] * width
            found.setdefault(path, []).append(OutputSlice(start, start + width, r, scale))
        if not separate and not fused:
            raise AdapterConfigError(
                f"Target {target} matches no linear layer of this base. Choose a target among "
                f"{', '.join(path.rpartition('.')[2] for path in linears)}."
            )
    return found


def _named(linears: Mapping[str, nn.Linear], choices: Sequence[Sequence[str]]) -> list[str]:
    """Return the paths of the layers of the first choice of names that all exist."""
    for names in choices:
        paths = [path for name in names for path in linears if path.rpartition(".")[2] == name]
        if {path.rpartition(".")[2] for path in paths} == set(names):
            return paths
    return []
