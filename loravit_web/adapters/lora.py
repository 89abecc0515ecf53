"""LoRA: a low-rank change to chosen linear layers (Hu et al. 2021, arXiv 2106.09685).

Initialisation follows the authors' loralib and PEFT: A is Kaiming-uniform with a = sqrt(5), B is zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from loravit_web.adapters.config import MAX_RANK, AdapterConfigError, ViTAdapterConfig
from loravit_web.adapters.interface import AdapterDropout, AdapterMismatch, Change, Tensors
from loravit_web.adapters.ops import low_rank, merged_weight
from loravit_web.backbones.base import Base
from loravit_web.backbones.structure import shallow_copy, with_replaced

_TARGETS = re.compile(r"blocks\\\.\((\d+(?:\|\d+)*)\)\\\.\(([\w\\.|]+)\)")
_SLICES = {"q": 0, "k": 1, "v": 2}
_MAX_FUSED_RANK = MAX_RANK * len(_SLICES)


class LoRALayer(nn.Module):
    """A frozen linear layer plus trainable low-rank factors on all or some of its outputs.

    ``y = W x + bias``, and for each slice of outputs ``y[slice] += scale * B A dropout(x)``. The factors
    are float32 whatever the precision of W.
    """

    def __init__(
        self,
        base: nn.Linear,
        r: int,
        scale: float,
        *,
        dropout: float = 0.0,
        slices: Sequence[slice] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        """
        Args:
            base: the frozen layer; shared, never changed.
            r: rank of each slice's factors.
            scale: alpha / r, or alpha / sqrt(r) for rsLoRA.
            dropout: on the input of the factors, while training.
            slices: of the outputs; all outputs when None.
            generator: source of the initial A.
        """
        super().__init__()
        self.base = base
        self.scale = scale
        self.dropout = AdapterDropout(dropout)
        self.slices = tuple(slices) if slices else (slice(0, base.out_features),)
        device = base.weight.device
        self.lora_a = nn.ParameterList()
        self.lora_b = nn.ParameterList()
        for rows in self.slices:
            a = torch.empty(r, base.in_features)
            nn.init.kaiming_uniform_(a, a=math.sqrt(5), generator=generator)
            self.lora_a.append(nn.Parameter(a.to(device)))
            self.lora_b.append(nn.Parameter(torch.zeros(rows.stop - rows.start, r, device=device)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out), in the dtype of ``x``."""
        y: torch.Tensor = self.base(x)
        dropped = self.dropout(x)
        for rows, a, b in zip(self.slices, self.lora_a, self.lora_b, strict=True):
            delta = low_rank(dropped, a, b * self.scale)
            if len(self.slices) == 1 and delta.shape == y.shape:
                return y + delta
            y[..., rows] += delta
        return y

    def fused(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The factors of the whole layer, A (n·r, in) and B (out, n·r) for n slices.

        Slices stack exactly: A on top of each other, B block by block with zeros between, so that
        ``scale * B @ A`` is the same change.
        """
        a = torch.cat([p.detach().float().cpu() for p in self.lora_a])
        b = torch.zeros(self.base.out_features, a.shape[0])
        column = 0
        for rows, p in zip(self.slices, self.lora_b, strict=True):
            b[rows, column : column + p.shape[1]] = p.detach().float().cpu()
            column += p.shape[1]
        return a, b


class FrozenLoRALayer(nn.Module):
    """A linear layer and its fixed low-rank factors, computed side by side: memory for the factors alone."""

    def __init__(self, base: nn.Linear, factors: LoRAFactors) -> None:
        super().__init__()
        self.base = base
        self.register_buffer("a", factors.a.to(base.weight.device, base.weight.dtype))
        self.register_buffer("b", (factors.b * factors.scale).to(base.weight.device, base.weight.dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out), in the dtype of ``x``."""
        y: torch.Tensor = self.base(x)
        return y + low_rank(x, cast(torch.Tensor, self.a), cast(torch.Tensor, self.b))


@dataclass(frozen=True, eq=False)
class LoRAFactors:
    """The change of one linear layer: ``W + scale * b @ a``.

    Attributes:
        block: index of the block.
        path: of the linear layer inside the block, such as ``attn.qkv``.
        a: float32 (r, in).
        b: float32 (out, r).
    """

    block: int
    path: str
    a: torch.Tensor
    b: torch.Tensor
    scale: float


@dataclass(frozen=True, eq=False)
class LoRAChange:
    """All factors of one adapter."""

    factors: tuple[LoRAFactors, ...]

    @property
    def first_block(self) -> int:
        """Index of the first adapted block."""
        return min(f.block for f in self.factors)

    @property
    def parameter_count(self) -> int:
        """Numbers in A and B together."""
        return sum(f.a.numel() + f.b.numel() for f in self.factors)


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
            layers: dict[str, nn.Module] = {}
            for path, slices in _targets(block, config.target_modules).items():
                layers[path] = LoRALayer(
                    cast(nn.Linear, block.get_submodule(path)),
                    config.r,
                    config.scale,
                    dropout=config.dropout,
                    slices=slices,
                    generator=generator,
                )
            result.append(with_replaced(block, layers))
        return result

    def change(self, blocks: Sequence[nn.Module], config: ViTAdapterConfig, base: Base) -> LoRAChange:
        """See `AdapterType`."""
        factors = []
        for index, block in enumerate(blocks, start=base.depth - len(blocks)):
            for path, layer in block.named_modules():
                if isinstance(layer, LoRALayer):
                    a, b = layer.fused()
                    factors.append(LoRAFactors(index, path, a, b, layer.scale))
        return LoRAChange(tuple(factors))

    def write(
        self, change: Change, config: ViTAdapterConfig
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Tensors and fields as PEFT writes them, rank patterns for layers made of several slices."""
        factors = cast(LoRAChange, change).factors
        tensors = {}
        for f in factors:
            prefix = f"blocks.{f.block}.{f.path}"
            tensors[f"{prefix}.lora_A.weight"] = f.a.contiguous()
            tensors[f"{prefix}.lora_B.weight"] = f.b.contiguous()
        paths = sorted({f.path for f in factors})
        blocks = "|".join(str(b) for b in sorted({f.block for f in factors}))
        ranks = {f.path: f.a.shape[0] for f in factors}
        wider = {path: rank for path, rank in sorted(ranks.items()) if rank != config.r}
        power = 0.5 if config.use_rslora else 1.0
        fields = {
            "peft_type": "LORA",
            "r": config.r,
            "lora_alpha": _whole(config.alpha),
            "lora_dropout": config.dropout,
            "use_rslora": config.use_rslora,
            "target_modules": rf"blocks\.({blocks})\.({'|'.join(re.escape(path) for path in paths)})",
            "rank_pattern": wider,
            "alpha_pattern": {p: _whole(config.alpha * (n / config.r) ** power) for p, n in wider.items()},
        }
        return tensors, fields

    def read(self, tensors: Tensors, fields: Mapping[str, Any], base: Base) -> LoRAChange:
        """See `AdapterType`; the fields are those of PEFT's ``LoraConfig``."""
        factors = []
        expected: set[str] = set()
        for block_index, block in enumerate(base.blocks):
            for path, linear in block.named_modules():
                module = f"blocks.{block_index}.{path}"
                if not isinstance(linear, nn.Linear) or not _matches(fields["target_modules"], module):
                    continue
                rank = int(_pattern(fields.get("rank_pattern"), module, fields["r"]))
                alpha = float(_pattern(fields.get("alpha_pattern"), module, fields["lora_alpha"]))
                scale = alpha / (math.sqrt(rank) if fields.get("use_rslora") else rank)
                a_key, b_key = f"{module}.lora_A.weight", f"{module}.lora_B.weight"
                expected |= {a_key, b_key}
                a = _tensor(tensors, a_key, (rank, linear.in_features))
                b = _tensor(tensors, b_key, (linear.out_features, rank))
                factors.append(LoRAFactors(block_index, path, a, b, scale))
        extra = sorted(set(tensors) - expected)
        if extra:
            raise AdapterMismatch(f"The adapter holds {extra[0]}, which its configuration does not call for.")
        if not factors:
            raise AdapterMismatch(f"The adapter's targets match no layer of {base.architecture}.")
        return LoRAChange(tuple(factors))

    def blocks(self, change: Change, base: Base) -> list[nn.Module]:
        """See `AdapterType`."""
        return _replaced(cast(LoRAChange, change), base, FrozenLoRALayer)

    def merged_blocks(self, change: Change, base: Base, master: Base) -> list[nn.Module]:
        """See `AdapterType`; built anew from W each time, so that nothing ever drifts."""

        def merged(linear: nn.Linear, factors: LoRAFactors) -> nn.Module:
            exact = cast(nn.Linear, master.blocks[factors.block].get_submodule(factors.path))
            weight = merged_weight(exact.weight, factors.a, factors.b, factors.scale)
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


def _targets(block: nn.Module, names: Sequence[str]) -> dict[str, list[slice] | None]:
    """Paths of the linear layers to adapt in a block, with the output slices where not all are."""
    linears = {path: m for path, m in block.named_modules() if isinstance(m, nn.Linear)}
    found: dict[str, list[slice] | None] = {}
    for name in names:
        layer_name = "qkv" if name in _SLICES else name
        paths = [path for path in linears if path.rpartition(".")[2] == layer_name]
        if not paths:
            raise AdapterConfigError(
                f"Target {name} matches no linear layer of this base, whose blocks have "
                f"{', '.join(path.rpartition('.')[2] for path in linears)}."
            )
        for path in paths:
            if name in _SLICES:
                width = linears[path].out_features // 3
                start = _SLICES[name] * width
                found[path] = [*(found.get(path) or []), slice(start, start + width)]
            else:
                found[path] = None
    return found


def _matches(target_modules: str | Sequence[str], module: str) -> bool:
    """PEFT's rule: a string describes the whole name, a list holds endings.

    PEFT takes the string as any regular expression. A file may come from anybody and an expression may
    run for ever, so only the form that `LoRA.write` gives is read, and none is executed.
    """
    if not isinstance(target_modules, str):
        return any(module == target or module.endswith(f".{target}") for target in target_modules)
    form = _TARGETS.fullmatch(target_modules)
    if form is None:
        raise AdapterMismatch(
            "The adapter's target_modules is not of the form blocks\\.(8|9)\\.(attn\\.qkv|mlp\\.fc1): "
            "name the modules in a list instead."
        )
    _, block, path = module.split(".", 2)
    return block in form[1].split("|") and path in form[2].replace("\\.", ".").split("|")


def _pattern(patterns: Mapping[str, Any] | None, module: str, default: Any) -> Any:
    """The value of the first key that the name ends with, as in PEFT, but the key is plain text here."""
    for key, value in (patterns or {}).items():
        if module == key or module.endswith(f".{key}"):
            return value
    return default


def _tensor(tensors: Tensors, key: str, shape: tuple[int, int]) -> torch.Tensor:
    tensor = tensors.get(key)
    if tensor is None:
        raise AdapterMismatch(f"The adapter lacks {key}, which its configuration calls for.")
    if tuple(tensor.shape) != shape:
        raise AdapterMismatch(f"{key} has shape {tuple(tensor.shape)}, but the base calls for {shape}.")
    if min(shape) > _MAX_FUSED_RANK:
        raise AdapterMismatch(f"{key} has rank {min(shape)}: ranks above {_MAX_FUSED_RANK} are not loaded.")
    return tensor.float()


def _whole(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value
