"""Heat-maps weigh patches by what they add to a class."""

from dataclasses import replace

import pytest
import torch

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.backbones import Base
from loravit_web.engine import MultiLoRAViT
from loravit_web.engine.heatmap import heatmap, prefix_depth, tokens_at, weighed, weighed_depth
from loravit_web.engine.multilora import MixedInput
from tests.adapters.makers import random_adapter, random_images

CONFIGS = [
    ViTAdapterConfig(r=3, alpha=6, blocks=1),
    ViTAdapterConfig(r=3, alpha=6, blocks=3),
    ViTAdapterConfig(adapter_type="PREFIX", blocks=2),
    ViTAdapterConfig(adapter_type="LINEAR"),
    ViTAdapterConfig(r=3, alpha=6, blocks=2, pooling="mean"),
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_weights_add_up_to_what_the_tokens_do_to_the_logit(base: Base, config: ViTAdapterConfig) -> None:
    adapter, image, at = random_adapter(base, config), random_images(1), weighed_depth(base)
    tokens = tokens_at(base, adapter, _prefix(base, adapter, image), at)
    gradient, values = weighed(base, adapter, tokens, at, 1)
    step = 1e-3
    more, less = (_logits(base, adapter, tokens * factor, at)[1] for factor in (1 + step, 1 - step))
    assert float((gradient * values).sum()) == pytest.approx(float((more - less) / (2 * step)), rel=0.02)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_tokens_lead_to_the_answer_of_the_task(base: Base, config: ViTAdapterConfig) -> None:
    adapter, image, at = random_adapter(base, config), random_images(1), weighed_depth(base)
    whole = base.through(
        adapter.blocks(base), base.advance(base.embed(image), 0, adapter.first_block), adapter.first_block
    )
    expected = adapter.head(base.features(whole, adapter.config.pooling))[0]
    found = _logits(base, adapter, tokens_at(base, adapter, _prefix(base, adapter, image), at), at)
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_heat_map_has_one_number_from_0_to_1_for_each_patch(base: Base) -> None:
    side = 32 // base.patch_size
    found = _heatmap(base, random_adapter(base), 0)
    assert found.shape == (side, side)
    assert float(found.min()) >= 0
    assert float(found.max()) == 1


def test_a_class_that_no_patch_speaks_for_has_a_cold_map(base: Base) -> None:
    adapter = random_adapter(base)
    deaf = replace(adapter, head_weight=torch.zeros_like(adapter.head_weight))
    assert not _heatmap(base, deaf, 2).any()


def test_a_heat_map_leaves_the_base_without_gradients(base: Base) -> None:
    _heatmap(base, random_adapter(base), 0)
    assert all(p.grad is None and not p.requires_grad for p in base.model.parameters())


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_engine_gives_the_same_map_and_runs_no_trunk_for_a_picture_seen_before(
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
    with pytest.raises(MixedInput, match="takes pictures of 32 px"):
        engine.heatmap("a", torch.zeros(1, 3, 48, 48), 0)


def _heatmap(base: Base, adapter: Adapter, label: int, image: torch.Tensor | None = None) -> torch.Tensor:
    return heatmap(base, adapter, _prefix(base, adapter, random_images(1) if image is None else image), label)


def _prefix(base: Base, adapter: Adapter, image: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return base.advance(base.embed(image), 0, prefix_depth(base, adapter))


def _logits(base: Base, adapter: Adapter, tokens: torch.Tensor, at: int) -> torch.Tensor:
    own = adapter.blocks(base)
    missing = max(0, adapter.first_block - at)
    blocks = [*base.blocks[at : at + missing], *own[max(0, at - adapter.first_block) :]]
    with torch.no_grad():
        return adapter.head(base.features(base.through(blocks, tokens, at), adapter.config.pooling))[0]
