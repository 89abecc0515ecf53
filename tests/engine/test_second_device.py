"""An engine on another device than the CPU mixes no tensors of both."""

from __future__ import annotations

import pytest
import torch

from loravit_web.engine import MultiLoRAViT
from tests.engine.test_multilora import IMAGES, KEYS, adapters, alone, shared_base
from tests.second_device import SECOND, SecondDevice


@pytest.mark.parametrize("merged_budget", [0, 512 << 20], ids=["mixed", "merged"])
def test_all_adapters_answer_on_another_device(merged_budget: int) -> None:
    with SecondDevice():
        base = shared_base().cast(torch.float32, SECOND)
        engine = MultiLoRAViT(base, torch.float32, merged_budget=merged_budget)
        for key in KEYS:
            engine.add(key, adapters()[key])
        for row, answer in enumerate(engine.forward(IMAGES, [KEYS] * len(IMAGES))):
            for key, logits in answer.items():
                assert logits.device.type == "cpu"
                assert logits.shape == alone(key)[row].shape
