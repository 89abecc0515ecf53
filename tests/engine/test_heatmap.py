"""A heat-map attributes the logit of a class to patches."""

from dataclasses import replace

import pytest
import torch

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.readout import parse_readout
from loravit_web.backbones import Base
from loravit_web.backbones.base import TrunkOutput
from loravit_web.engine import MultiLoRAViT
from loravit_web.engine.heatmap import (
    attributed,
    attributed_depth,
    gradient_and_tokens,
    heatmap,
    prefix_depth,
)
from loravit_web.engine.multilora import MixedInput
from tests.adapters.makers import random_adapter, random_images

CONFIGS = [
    ViTAdapterConfig(r=3, alpha=6, blocks=1),
    ViTAdapterConfig(r=3, alpha=6, blocks=3),
    ViTAdapterConfig(adapter_type="PREFIX", blocks=2),
    ViTAdapterConfig(adapter_type="LINEAR"),
    ViTAdapterConfig(r=3, alpha=6, blocks=2, pooling="mean"),
    ViTAdapterConfig(adapter_type="PROBE", pooling="none", readout=parse_readout(["2-3"])),
    ViTAdapterConfig(r=3, alpha=6, blocks=1, readout=parse_readout(["1-2", "mean@3"])),
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_contributions_add_up_to_the_derivative_of_the_logit(
    base: Base, config: ViTAdapterConfig
) -> None:
    adapter = random_adapter(base, config)
    start = attributed(base, adapter, _prefix(base, adapter, random_images(1)))
    gradient, values = gradient_and_tokens(base, adapter, start, 1)
    step = 1e-3
    more, less = (
        _logits(base, adapter, start._replace(tokens=start.tokens * factor))[1]
        for factor in (1 + step, 1 - step)
    )
    assert float((gradient * values).sum()) == pytest.approx(float((more - less) / (2 * step)), rel=0.02)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_attributed_tokens_lead_to_the_logits_of_the_task(base: Base, config: ViTAdapterConfig) -> None:
    adapter, image = random_adapter(base, config), random_images(1)
    trunk = base.trunk(base.embed(image), 0, adapter.first_block)
    expected = adapter.logits(base, adapter.blocks(base), *trunk)[0]
    found = _logits(base, adapter, attributed(base, adapter, _prefix(base, adapter, image)))
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_heat_map_has_one_value_from_0_to_1_per_patch(base: Base) -> None:
    side = 32 // base.patch_size
    found = _heatmap(base, random_adapter(base), 0)
    assert found.shape == (side, side)
    assert float(found.min()) >= 0
    assert float(found.max()) == 1


def test_a_class_without_contributing_patches_has_a_zero_map(base: Base) -> None:
    adapter = random_adapter(base)
    constant = replace(adapter, head_weight=torch.zeros_like(adapter.head_weight))
    assert not _heatmap(base, constant, 2).any()


def test_a_heat_map_leaves_the_base_without_gradients(base: Base) -> None:
    _heatmap(base, random_adapter(base), 0)
    assert all(p.grad is None and not p.requires_grad for p in base.model.parameters())


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_engine_gives_the_same_map_and_reuses_the_cached_prefix(
    base: Base, config: ViTAdapterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, image = random_adapter(base, config), random_images(1)
    engine = MultiLoRAViT(base, torch.float32, load=lambda _key: adapter)
    expected = _heatmap(base, adapter, 1, image)
    assert torch.allclose(engine.heatmap("a", image, 1), expected, atol=1e-5)
    monkeypatch.setattr(Base, "embed", None)
    assert torch.allclose(engine.heatmap("a", image, 1), expected, atol=1e-5)


def test_a_heat_map_of_another_size_is_refused(base: Base) -> None:
    engine = MultiLoRAViT(base, torch.float32, load=lambda _key: random_adapter(base))
    with pytest.raises(MixedInput, match="takes images of 32 px"):
        engine.heatmap("a", torch.zeros(1, 3, 48, 48), 0)


def _heatmap(base: Base, adapter: Adapter, label: int, image: torch.Tensor | None = None) -> torch.Tensor:
    return heatmap(base, adapter, _prefix(base, adapter, random_images(1) if image is None else image), label)


def _prefix(base: Base, adapter: Adapter, image: torch.Tensor) -> TrunkOutput:
    with torch.inference_mode():
        return base.trunk(base.embed(image), 0, prefix_depth(base, adapter))


def _logits(base: Base, adapter: Adapter, start: TrunkOutput) -> torch.Tensor:
    depth = attributed_depth(base, adapter)
    frozen = base.blocks[depth : max(depth, min(adapter.first_block, adapter.config.last_block(base)))]
    blocks = [*frozen, *adapter.blocks(base)[max(0, depth - adapter.first_block) :]]
    own: list[torch.Tensor] = []
    with torch.no_grad():
        tokens = base.run_blocks(blocks, start.tokens, depth, pooled=own)
        below = [start.pooled[:, : depth - 1], base.pool(start.tokens)[:, None]]
        pooled = torch.cat([*below, *(part[:, None] for part in own)], dim=1)
        return adapter.head_of(base, tokens, pooled)[0]
