"""Heads that read several blocks answer the same alone, in mixed batches, and from the cache."""

from __future__ import annotations

import itertools

import pytest
import torch

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.files.format import from_files, to_files
from loravit_web.adapters.readout import parse_readout
from loravit_web.backbones import Base
from loravit_web.engine import MultiLoRAViT
from tests.adapters.makers import random_adapter, random_images

CONFIGS = {
    "plain": ViTAdapterConfig(r=3, alpha=6, blocks=2),
    "trunk": ViTAdapterConfig(r=3, alpha=6, blocks=1, readout=parse_readout(["1-2"])),
    "own": ViTAdapterConfig(r=3, alpha=6, blocks=2, readout=parse_readout(["cls@1", "mean@3"])),
    "mean": ViTAdapterConfig(r=3, alpha=6, blocks=1, pooling="mean", readout=parse_readout(["cls@2"])),
    "probe": ViTAdapterConfig("PROBE", pooling="none", readout=parse_readout(["1-2"])),
    "deep": ViTAdapterConfig("PROBE", pooling="none", readout=parse_readout(["cls@1", "3"])),
    "prefix": ViTAdapterConfig("PREFIX", blocks=2, readout=parse_readout(["1-3"])),
}


@pytest.fixture
def adapters(base: Base) -> dict[str, Adapter]:
    return {name: random_adapter(base, config, seed=i) for i, (name, config) in enumerate(CONFIGS.items())}


def expected(base: Base, adapter: Adapter, images: torch.Tensor) -> torch.Tensor:
    """Return the logits computed block by block, without trunk, cache or batching."""
    tokens, parts = base.embed(images), []
    blocks = [*base.blocks[: adapter.first_block], *adapter.blocks(base)]
    with torch.no_grad():
        for index, block in enumerate(blocks):
            tokens = base.run_blocks([block], tokens, index)
            parts.append({"cls": tokens[:, 0], "mean": tokens[:, 1:].mean(dim=1)})
        features = [base.features(tokens, adapter.config.pooling)]
        features += [parts[tap.block - 1][tap.part] for tap in adapter.config.taps]
        return adapter.head(torch.cat(features, dim=1))


@pytest.mark.parametrize("merged", [True, False], ids=["merged", "mixed"])
def test_every_readout_gives_its_own_logits_in_one_batch(
    merged: bool, base: Base, adapters: dict[str, Adapter]
) -> None:
    engine = MultiLoRAViT(base, torch.float32, merged_budget=1 << 30 if merged else 0)
    for name, adapter in adapters.items():
        engine.add(name, adapter)
    images = random_images(3)
    assignment = [list(adapters), ["probe", "own"], ["trunk", "mean", "deep"]]
    for _ in range(2):  # computed, and from the cache
        answers = engine.forward(images, assignment)
        for row, name in ((row, name) for row, names in enumerate(assignment) for name in names):
            right = expected(base, adapters[name], images[row : row + 1])[0]
            assert torch.allclose(answers[row][name], right, atol=2e-5), (row, name)


def test_the_order_in_which_tasks_are_asked_does_not_matter(base: Base, adapters: dict[str, Adapter]) -> None:
    image = random_images(1)
    for names in itertools.permutations(["plain", "probe", "deep", "own"], 3):
        engine = MultiLoRAViT(base, torch.float32)
        for name in names:
            engine.add(name, adapters[name])
            right = expected(base, adapters[name], image)[0]
            assert torch.allclose(engine.forward(image, [[name]])[0][name], right, atol=2e-5)


def test_a_probe_runs_no_more_blocks_than_it_reads(base: Base, adapters: dict[str, Adapter]) -> None:
    assert adapters["probe"].first_block == 2
    assert adapters["deep"].first_block == base.depth


@pytest.mark.parametrize("name", CONFIGS)
def test_a_readout_survives_a_round_trip_through_files(
    name: str, base: Base, adapters: dict[str, Adapter]
) -> None:
    adapter = adapters[name]
    again = from_files(to_files(adapter, base, name="a", title="A"), base)
    assert again.config == adapter.config
    assert torch.equal(again.head_weight, adapter.head_weight)
    assert again.first_block == adapter.first_block
