"""Adapters that nobody trained, for timings: as much work as trained ones."""

from __future__ import annotations

from dataclasses import replace

import torch

from loravit_web.adapters import Adapter, ViTAdapterConfig, adapter_type
from loravit_web.adapters.adapter import compute_reference_logits
from loravit_web.backbones import Base
from loravit_web.catalog.publishing import Origin, publish
from registry import NewBase, Registry, Version


def random_adapter(
    base: Base, config: ViTAdapterConfig, seed: int, *, classes: int = 10, image_size: int = 224
) -> Adapter:
    """An adapter of random factors and a random head whose logits are of ordinary size."""
    config, generator = config.resolved(base), torch.Generator().manual_seed(seed)
    kind = adapter_type(config.adapter_type)
    blocks = kind.trainable_blocks(base, config, generator)
    with torch.no_grad():
        for parameter in (p for block in blocks for p in block.parameters() if p.requires_grad):
            parameter.normal_(std=0.02, generator=generator)
    width = base.feature_dim(config.pooling)
    return Adapter(
        config=config,
        base_name=base.name,
        base_sha256=base.weights_sha256,
        preprocessing=base.preprocessing(image_size),
        class_names=tuple(str(i) for i in range(classes)),
        change=kind.change(blocks, config, base),
        head_weight=torch.randn(classes, width, generator=generator) / width**0.5,
        head_bias=torch.zeros(classes),
        temperature=1.0,
        reference_logits=torch.empty(0),
    )


def publish_random(
    registry: Registry, base: Base, slug: str, seed: int, config: ViTAdapterConfig, *, image_size: int = 224
) -> Version:
    """Publish an adapter that nobody trained, with its true logits."""
    record = registry.bases.ensure(
        NewBase(base.name, base.weights_sha256, base.architecture, base.embed_dim, base.depth)
    )
    adapter = random_adapter(base, config, seed, image_size=image_size)
    adapter = replace(adapter, reference_logits=compute_reference_logits(base, adapter))
    return publish(registry, adapter, base, Origin(slug, slug, record.id, "benchmarks"))
