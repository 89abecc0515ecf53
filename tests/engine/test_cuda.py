"""A GPU gives the same logits as the CPU. Skipped without a GPU."""

from __future__ import annotations

import pytest
import torch

from loravit_web.engine import MultiLoRAViT
from tests.engine.test_multilora import IMAGES, KEYS, adapters, alone, shared_base

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is available")

BUDGETS = pytest.mark.parametrize("merged_budget", [0, 512 << 20], ids=["low-rank", "merged"])


def engine_on_gpu(dtype: torch.dtype, merged_budget: int) -> MultiLoRAViT:
    engine = MultiLoRAViT(shared_base().cast(torch.float32, "cuda"), dtype, merged_budget=merged_budget)
    for key in KEYS:
        engine.add(key, adapters()[key])
    return engine


@BUDGETS
def test_a_mixed_batch_equals_one_adapter_at_a_time(merged_budget: int) -> None:
    engine = engine_on_gpu(torch.float32, merged_budget)
    assignment = [KEYS, KEYS[:2], KEYS[2:3], tuple(reversed(KEYS))]
    for row, answer in enumerate(engine.forward(IMAGES, assignment)):
        assert list(answer) == list(assignment[row])
        for key, logits in answer.items():
            assert logits.dtype is torch.float32
            torch.testing.assert_close(logits, alone(key)[row], rtol=1e-4, atol=1e-4)


@BUDGETS
def test_bfloat16_logits_are_close(merged_budget: int) -> None:
    (answer,) = engine_on_gpu(torch.bfloat16, merged_budget).forward(IMAGES[:1], [KEYS])
    for key, logits in answer.items():
        torch.testing.assert_close(logits, alone(key)[0], rtol=0.1, atol=0.3)


def test_a_heat_map_equals_that_of_the_cpu() -> None:
    on_cpu = MultiLoRAViT(shared_base(), torch.float32)
    on_cpu.add("all-3", adapters()["all-3"])
    expected = on_cpu.heatmap("all-3", IMAGES[:1], 1)
    found = engine_on_gpu(torch.float32, 0).heatmap("all-3", IMAGES[:1], 1)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-3)
