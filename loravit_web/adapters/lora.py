"""Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on the linear layers of the last blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from loravit_web.adapters.config import AdapterConfigError, ViTAdapterConfig
from loravit_web.adapters.interface import Change, Tensors
from loravit_web.adapters.layers import FrozenLoRALayer, LoRAFactors, LoRALayer, Part
from loravit_web.adapters.ops import merged_weight
from loravit_web.adapters.peft_lora import read_factors, write_factors
from loravit_web.backbones.base import Base
from loravit_web.backbones.structure import shallow_copy, with_replaced

_SLICES = {"q": 0, "k": 1, "v": 2}
# What timm calls the layers that a target stands for, where it is not the target's own name.
_NAMES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "q": (("q_proj",),),
    "k": (("k_proj",),),
    "v": (("v_proj",),),
    "qkv": (("qkv",), ("q_proj", "k_proj", "v_proj")),
    "fc1": (("fc1",), ("fc1_g", "fc1_x")),
}


@dataclass(frozen=True, eq=False)
class LoRAChange:
    """All factors of one adapter."""

    factors: tuple[LoRAFactors, ...]

    @property
    def first_block(self) -> int:
        """Index of the first adapted block."""
        return min(f.block for f in self.factors)

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All A and B."""
        return tuple(t for f in self.factors for t in (f.a, f.b))


class LoRA:
    """The adapter type ``LORA``."""

    def trainable_blocks(
        self, base: Base, config: ViTAdapterConfig, generator: torch.Generator
    ) -> list[nn.Module]:
        """See `AdapterType`.

        Raises:
            AdapterConfigError: if a target matches no linear layer.
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
        """See `AdapterType`."""
        factors = []
        for index, block in enumerate(blocks, start=base.depth - len(blocks)):
            for path, layer in block.named_modules():
                if isinstance(layer, LoRALayer):
                    factors.append(LoRAFactors(index, path, *layer.fused()))
        return LoRAChange(tuple(factors))

    def write(
        self, change: Change, config: ViTAdapterConfig
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """See `AdapterType`; the fields are those of PEFT's ``LoraConfig``."""
        return write_factors(cast(LoRAChange, change).factors, config)

    def read(self, tensors: Tensors, fields: Mapping[str, Any], base: Base) -> LoRAChange:
        """See `AdapterType`; the fields are those of PEFT's ``LoraConfig``."""
        return LoRAChange(read_factors(tensors, fields, base))

    def blocks(self, change: Change, base: Base) -> list[nn.Module]:
        """See `AdapterType`."""
        return _replaced(cast(LoRAChange, change), base, FrozenLoRALayer)

    def merged_blocks(self, change: Change, base: Base, master: Base) -> list[nn.Module]:
        """See `AdapterType`; built anew from W each time, so that nothing ever drifts."""

        def merged(linear: nn.Linear, factors: LoRAFactors) -> nn.Module:
            exact = cast(nn.Linear, master.blocks[factors.block].get_submodule(factors.path))
            a, b = (t.to(exact.weight.device) for t in (factors.a, factors.b))
            weight = merged_weight(exact.weight, a, b, factors.scale)
            layer = shallow_copy(linear)
            layer.weight = nn.Parameter(weight.to(linear.weight), requires_grad=False)
            return layer

        return _replaced(cast(LoRAChange, change), base, merged)


def _replaced(change: LoRAChange, base: Base, layer: Any) -> list[nn.Module]:
    """Blocks from the first adapted one on, their adapted layers made by ``layer(linear, factors)``."""
    blocks = base.blocks[change.first_block :]
    replacements: list[dict[str, nn.Module]] = [{} for _ in blocks]
    for f in change.factors:
        at = f.block - change.first_block
        replacements[at][f.path] = layer(blocks[at].get_submodule(f.path), f)
    return [with_replaced(block, new) for block, new in zip(blocks, replacements, strict=True)]


def _targets(block: nn.Module, config: ViTAdapterConfig) -> dict[str, list[Part]]:
    """Paths of the linear layers to adapt in a block, with the parts of their outputs."""
    linears = {path: m for path, m in block.named_modules() if isinstance(m, nn.Linear)}
    found: dict[str, list[Part]] = {}
    for target in config.target_modules:
        r, scale = config.rank(target), config.scale(target)
        whole = _named(linears, _NAMES.get(target, ((target,),)))
        for path in whole:
            found[path] = [Part(0, linears[path].out_features, r, scale)]
        fused = _named(linears, (("qkv",),)) if target in _SLICES and not whole else []
        for path in fused:
            width = linears[path].out_features // 3
            start = _SLICES[target] * width
            found.setdefault(path, []).append(Part(start, start + width, r, scale))
        if not whole and not fused:
            raise AdapterConfigError(
                f"Target {target} matches no linear layer of this base, whose blocks have "
                f"{', '.join(path.rpartition('.')[2] for path in linears)}."
            )
    return found


def _named(linears: Mapping[str, nn.Linear], choices: Sequence[Sequence[str]]) -> list[str]:
    """Paths of the layers of the first choice of names that are all there."""
    for names in choices:
        paths = [path for name in names for path in linears if path.rpartition(".")[2] == name]
        if {path.rpartition(".")[2] for path in paths} == set(names):
            return paths
    return []
