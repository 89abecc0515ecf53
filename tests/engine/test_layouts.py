"""An engine gives the same logits in every layout, and the fastest layout by the clock is chosen."""

from __future__ import annotations

import functools

import pytest
import torch

from loravit_web.adapters import Adapter
from loravit_web.backbones import Base
from loravit_web.backbones.forms import layouts
from loravit_web.backbones.plain_block import Layout, PlainBlock, ReorderedLinear, TransposedLinear
from loravit_web.engine import MultiLoRAViT, fastest_layout
from tests.adapters.makers import random_adapter, random_images, reference_logits_of
from tests.conftest import scaled_base
from tests.engine.test_multilora import CONFIGS

BASE = scaled_base()
IMAGES = random_images(3)


@functools.cache
def adapters() -> dict[str, Adapter]:
    return {
        key: random_adapter(BASE, config, seed=seed) for seed, (key, config) in enumerate(CONFIGS.items())
    }


@functools.cache
def alone(key: str) -> torch.Tensor:
    """Return the logits of one adapter, computed without the engine."""
    return reference_logits_of(BASE, adapters()[key], IMAGES)


@pytest.mark.parametrize("layout", layouts(BASE))
@pytest.mark.parametrize("merged_budget", [0, 512 << 20], ids=["mixed", "merged"])
def test_every_adapter_gives_its_logits_in_every_layout(layout: Layout, merged_budget: int) -> None:
    engine = MultiLoRAViT(BASE, torch.float32, merged_budget=merged_budget, layout=layout)
    for key, adapter in adapters().items():
        engine.add(key, adapter)
    for row, answer in enumerate(engine.forward(IMAGES, [list(CONFIGS)] * len(IMAGES))):
        for key, logits in answer.items():
            torch.testing.assert_close(logits, alone(key)[row], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({"loaded": 1.0, "transposed": 0.8, "reordered": 0.7}, "reordered"),
        ({"loaded": 1.0, "transposed": 0.8, "reordered": 0.9}, "transposed"),
        ({"loaded": 1.0, "transposed": 0.95, "reordered": 0.95}, "loaded"),
    ],
)
def test_the_layout_that_gains_most_is_chosen(
    seconds: dict[Layout, float], chosen: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    now: list[float] = [0.0]
    costs: dict[type, Layout] = {TransposedLinear: "transposed", ReorderedLinear: "reordered"}

    def advance(base: Base, tokens: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        block = base.blocks[0]
        layout = costs[type(block.fc1)] if isinstance(block, PlainBlock) else "loaded"
        now[0] += seconds[layout]
        return tokens

    monkeypatch.setattr(Base, "advance", advance)
    assert fastest_layout(BASE, layouts(BASE), clock=lambda: now[0]) == chosen
