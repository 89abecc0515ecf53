"""A heat map attributes the score of a class to patches."""

from dataclasses import replace

import pytest
import torch

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.readout import parse_readout
from loravit_web.backbones import Base
from loravit_web.backbones.base import TrunkOutput
from loravit_web.engine import MultiLoRAViT
from loravit_web.engine import heatmap as heatmap_module
from loravit_web.engine.heatmap import (
    BEGIN,
    Integration,
    Starts,
    attributed_tokens,
    blurred,
    chosen_integration,
    contributions,
    heatmap,
    prefix_depth,
    remaining_logits,
    score_gradient,
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
    ViTAdapterConfig(adapter_type="PROBE", pooling="none", readout=parse_readout(["1"])),
    ViTAdapterConfig(r=3, alpha=6, blocks=1, readout=parse_readout(["1-2", "mean@3"])),
    ViTAdapterConfig(r=3, alpha=6, blocks=2, labels="many"),
]
LABELS = 3


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_gradient_is_the_derivative_of_the_score_of_any_class(
    base: Base, config: ViTAdapterConfig
) -> None:
    adapter = random_adapter(base, config)
    for depth in range(adapter.config.last_block(base)):
        tokens, pooled = _attributed(base, adapter, random_images(1), depth)
        for label in range(LABELS):
            gradient = score_gradient(base, adapter, depth, tokens, pooled, label)
            step = 5e-4 * gradient / gradient.norm()  # rounding errors matter least along the gradient
            more, less = (
                _score(base, adapter, depth, tokens + sign * step, pooled, label) for sign in (1, -1)
            )
            expected = float((more - less) / 2)
            assert float((gradient * step).sum()) == pytest.approx(expected, rel=0.05, abs=1e-3)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_contributions_add_up_to_what_the_details_of_the_image_add_to_the_score(
    base: Base, config: ViTAdapterConfig
) -> None:
    adapter, image = random_adapter(base, config), random_images(1)
    depth = chosen_integration(base, adapter).depth
    tokens, pooled = _attributed(base, adapter, image, depth)
    other, count = _attributed(base, adapter, blurred(image), depth).tokens, base.prefix_token_count
    starts = _starts(base, adapter, image, depth)
    for place in (0.0, BEGIN):
        begin = torch.lerp(other, tokens, place)
        begin[:, :count] = tokens[:, :count]
        for label in range(LABELS):
            found = contributions(base, adapter, starts, label, Integration(depth, 200, place))
            more, less = (_score(base, adapter, depth, at, pooled, label) for at in (tokens, begin))
            assert float(found.sum()) == pytest.approx(float(more - less), rel=0.02, abs=2e-3)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_attributed_tokens_lead_to_the_logits_of_the_task(base: Base, config: ViTAdapterConfig) -> None:
    adapter, image = random_adapter(base, config), random_images(1)
    trunk = base.trunk(base.embed(image), 0, adapter.first_block)
    expected = adapter.logits(base, adapter.blocks(base), *trunk)[0]
    for depth in range(adapter.config.last_block(base)):
        tokens, pooled = _attributed(base, adapter, image, depth)
        with torch.no_grad():
            found = remaining_logits(base, adapter, depth, tokens, pooled)[0]
        assert torch.allclose(found, expected, atol=1e-5), depth


def test_everything_that_a_head_reads_has_a_share(base: Base) -> None:
    for config in CONFIGS:
        adapter = random_adapter(base, config)
        depth = chosen_integration(base, adapter).depth
        assert depth < adapter.config.last_block(base)
        assert all(tap.block >= depth for tap in adapter.config.taps), config


def test_large_images_are_attributed_later_and_in_parts(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, image = random_adapter(base, ViTAdapterConfig(r=3, alpha=6, blocks=1)), random_images(1)
    small = chosen_integration(base, adapter)
    expected = _heatmap(base, adapter, 1, image)
    monkeypatch.setattr(heatmap_module, "MAX_TOKENS", 1)
    assert torch.allclose(_heatmap(base, adapter, 1, image), expected, atol=1e-5)
    monkeypatch.setattr(heatmap_module, "WORK", 1)
    monkeypatch.setattr(heatmap_module, "FEWEST_BLOCKS", 1)
    assert chosen_integration(base, adapter).depth > small.depth


def test_a_heat_map_has_one_value_from_0_to_1_per_patch(base: Base) -> None:
    side = 32 // base.patch_size
    for label in range(LABELS):
        found = _heatmap(base, random_adapter(base), label)
        assert found.shape == (side, side)
        assert float(found.min()) >= 0
        assert float(found.max()) == 1


def test_maps_of_different_classes_differ(base: Base) -> None:
    first, second = (_heatmap(base, random_adapter(base), label) for label in (0, 1))
    assert not torch.allclose(first, second, atol=0.05)


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


def test_an_answer_is_the_same_after_a_heat_map(base: Base) -> None:
    adapter, image = random_adapter(base), random_images(1)
    engine = MultiLoRAViT(base, torch.float32, load=lambda _key: adapter)
    (expected,) = engine.forward(image, [["a"]])
    engine.heatmap("a", image, 1)
    (found,) = engine.forward(image, [["a"]])
    assert torch.equal(found["a"], expected["a"])
    assert not found["a"].requires_grad


def test_a_heat_map_of_another_size_is_refused(base: Base) -> None:
    engine = MultiLoRAViT(base, torch.float32, load=lambda _key: random_adapter(base))
    with pytest.raises(MixedInput, match="takes images of 32 px"):
        engine.heatmap("a", torch.zeros(1, 3, 48, 48), 0)


def _heatmap(base: Base, adapter: Adapter, label: int, image: torch.Tensor | None = None) -> torch.Tensor:
    depth = chosen_integration(base, adapter).depth
    starts = _starts(base, adapter, random_images(1) if image is None else image, depth)
    return heatmap(base, adapter, starts, label)


def _starts(base: Base, adapter: Adapter, image: torch.Tensor, depth: int) -> Starts:
    return Starts(*(_prefix(base, adapter, one, depth) for one in (image, blurred(image))))


def _prefix(base: Base, adapter: Adapter, image: torch.Tensor, depth: int) -> TrunkOutput:
    with torch.inference_mode():
        return base.trunk(base.embed(image), 0, prefix_depth(adapter, depth))


def _attributed(base: Base, adapter: Adapter, image: torch.Tensor, depth: int) -> TrunkOutput:
    return attributed_tokens(base, adapter, _prefix(base, adapter, image, depth), depth)


def _score(
    base: Base, adapter: Adapter, depth: int, tokens: torch.Tensor, pooled: torch.Tensor, label: int
) -> torch.Tensor:
    with torch.no_grad():
        logits = remaining_logits(base, adapter, depth, tokens, pooled)
        return adapter.log_odds(logits, label)[0]
