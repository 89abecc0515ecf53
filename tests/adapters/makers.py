"""Adapters with random factors and heads: as good as trained ones wherever only the arithmetic counts."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from safetensors.torch import load, save
from torch import nn

from loravit_web.adapters import Adapter, ViTAdapterConfig, adapter_type
from loravit_web.adapters.adapter import run_probe
from loravit_web.adapters.format import TASK_FILE, WEIGHTS_FILE
from loravit_web.adapters.lora import LoRAChange, LoRALayer
from loravit_web.backbones import Base


def random_adapter(
    base: Base,
    config: ViTAdapterConfig | None = None,
    *,
    classes: tuple[str, ...] = ("cat", "dog", "hen"),
    seed: int = 0,
    image_size: int = 32,
) -> Adapter:
    """An adapter whose change and head are far from zero."""
    config = config or ViTAdapterConfig(r=3, alpha=6, blocks=2)
    generator = torch.Generator().manual_seed(seed)
    kind = adapter_type(config.adapter_type)
    blocks = kind.trainable_blocks(base, config, generator)
    with torch.no_grad():
        for layer in lora_layers(blocks):
            for b in layer.lora_b:
                b.normal_(0.0, 0.3, generator=generator)
    width = base.feature_dim(config.pooling)
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
        probe_logits=torch.empty(0),
    )
    return replace(adapter, probe_logits=run_probe(base, adapter))


def lora_layers(blocks: list[nn.Module]) -> list[LoRALayer]:
    return [module for block in blocks for module in block.modules() if isinstance(module, LoRALayer)]


def random_images(count: int, *, side: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def plainly_computed(base: Base, adapter: Adapter, images: torch.Tensor) -> torch.Tensor:
    """Logits (B, C) by changing the weights of a whole copy of the model: slow, and plainly right.

    For class-token pooling alone, which is what timm's own forward gives.
    """
    assert adapter.config.pooling == "cls"
    model = copy.deepcopy(base.model)
    if isinstance(adapter.change, LoRAChange):
        for f in adapter.change.factors:
            linear = model.blocks[f.block].get_submodule(f.path)
            linear.weight.data += f.scale * f.b @ f.a
    with torch.no_grad():
        features = cast(torch.Tensor, model(images))
        return features @ adapter.head_weight.T + adapter.head_bias


def with_document(files: Mapping[str, bytes], name: str, **changes: Any) -> dict[str, bytes]:
    """The files with some fields of one JSON document changed."""
    return {**files, name: json.dumps({**json.loads(files[name]), **changes}).encode()}


def with_tensors(files: Mapping[str, bytes], changes: Mapping[str, torch.Tensor | None]) -> dict[str, bytes]:
    """The files with tensors changed, added, or removed by None, and the stored hash put right."""
    tensors = {**load(files[WEIGHTS_FILE]), **changes}
    weights = save({name: t.contiguous() for name, t in tensors.items() if t is not None}, {"format": "pt"})
    changed = {**files, WEIGHTS_FILE: weights}
    return with_document(changed, TASK_FILE, weights_sha256=hashlib.sha256(weights).hexdigest())
