"""Adapters with random factors and heads, which serve as well as trained ones in tests of the arithmetic."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load, save
from torch import nn

from loravit_web.adapters import Adapter, LoRALayer, ViTAdapterConfig, adapter_type
from loravit_web.adapters.adapter import compute_reference_logits
from loravit_web.adapters.files.format import TASK_FILE, WEIGHTS_FILE
from loravit_web.adapters.lora import LoRAChange
from loravit_web.adapters.prefix import PrefixAttention, PrefixChange
from loravit_web.backbones import Base


def random_adapter(
    base: Base,
    config: ViTAdapterConfig | None = None,
    *,
    classes: tuple[str, ...] = ("cat", "dog", "hen"),
    seed: int = 0,
    image_size: int = 32,
) -> Adapter:
    """Return an adapter whose change and head are far from zero."""
    config = (config or ViTAdapterConfig(r=3, alpha=6, blocks=2)).resolved(base)
    generator = torch.Generator().manual_seed(seed)
    kind = adapter_type(config.adapter_type)
    blocks = kind.trainable_blocks(base, config, generator)
    with torch.no_grad():
        for layer in lora_layers(blocks):
            for b in layer.lora_b:
                b.normal_(0.0, 0.3, generator=generator)
        for attention in prefix_attentions(blocks):
            attention.keys.normal_(0.0, 3.0, generator=generator)
            attention.values.normal_(generator=generator)
    width = config.head_width(base)
    adapter = Adapter(
        config=config,
        base_name=base.name,
        base_sha256=base.weights_sha256,
        preprocessing=base.preprocessing(image_size),
        class_names=classes,
        change=kind.change(blocks, config, base),
        head_weight=torch.randn(len(classes), width, generator=generator),
        head_bias=torch.randn(len(classes), generator=generator),
        temperature=1.5,
        reference_logits=torch.empty(0),
        thresholds=(0.5,) * len(classes) if config.labels == "many" else (),
    )
    return replace(adapter, reference_logits=compute_reference_logits(base, adapter))


def lora_layers(blocks: Sequence[nn.Module]) -> list[LoRALayer]:
    return [module for block in blocks for module in block.modules() if isinstance(module, LoRALayer)]


def prefix_attentions(blocks: Sequence[nn.Module]) -> list[PrefixAttention]:
    return [module for block in blocks for module in block.modules() if isinstance(module, PrefixAttention)]


def random_images(count: int, *, side: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


class SpelledOutAttention(nn.Module):
    """The attention of a plain timm ViT with learned keys and values, computed head by head."""

    def __init__(self, attention: Any, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        assert type(attention).__name__ == "Attention"
        assert all(isinstance(norm, nn.Identity) for norm in (attention.q_norm, attention.k_norm))
        self.base, self.keys, self.values = attention, keys, values

    def forward(self, x: torch.Tensor, **mask: Any) -> torch.Tensor:
        assert not any(mask.values())
        queries, keys, values = self.base.qkv(x).chunk(3, dim=-1)
        keys = torch.cat([self.keys.expand(len(x), -1, -1), keys], dim=1)
        values = torch.cat([self.values.expand(len(x), -1, -1), values], dim=1)
        width = queries.shape[-1] // self.base.num_heads
        heads = []
        for start in range(0, queries.shape[-1], width):
            head = slice(start, start + width)
            weights = torch.softmax(queries[..., head] @ keys[..., head].mT / width**0.5, dim=-1)
            assert weights.shape[-1] == len(self.keys) + x.shape[1]
            heads.append(weights @ values[..., head])
        return self.base.proj(torch.cat(heads, dim=-1))


def reference_logits_of(base: Base, adapter: Adapter, images: torch.Tensor) -> torch.Tensor:
    """Return logits (B, C) computed on a changed copy of the whole model: slow and simple."""
    model = copy.deepcopy(base.model)
    change = adapter.change
    if isinstance(change, LoRAChange):
        for f in change.factors:
            linear = model.blocks[f.block].get_submodule(f.path)
            linear.weight.data += f.scale * f.b @ f.a
    elif isinstance(change, PrefixChange):
        for row in change.rows:
            block = model.blocks[row.block]
            block.attn = SpelledOutAttention(block.attn, row.keys, row.values)
    else:
        assert adapter.config.adapter_type == "LINEAR"
    with torch.no_grad():
        tokens = model.forward_features(images)
        patches = tokens[:, model.num_prefix_tokens :].mean(dim=1)
        read = {"cls": [tokens[:, 0]], "mean": [patches], "cls+mean": [tokens[:, 0], patches]}
        features = torch.cat([model.fc_norm(part) for part in read[adapter.config.pooling or ""]], dim=-1)
        return features @ adapter.head_weight.T + adapter.head_bias


def with_document(files: Mapping[str, bytes], name: str, **changes: Any) -> dict[str, bytes]:
    """Return the files with some fields of a JSON document changed."""
    return {**files, name: json.dumps({**json.loads(files[name]), **changes}).encode()}


def with_tensors(files: Mapping[str, bytes], changes: Mapping[str, torch.Tensor | None]) -> dict[str, bytes]:
    """Return the files with changed, added or removed (None) tensors and a matching stored hash."""
    tensors = {**load(files[WEIGHTS_FILE]), **changes}
    weights = save({name: t.contiguous() for name, t in tensors.items() if t is not None}, {"format": "pt"})
    changed = {**files, WEIGHTS_FILE: weights}
    return with_document(changed, TASK_FILE, weights_sha256=hashlib.sha256(weights).hexdigest())
