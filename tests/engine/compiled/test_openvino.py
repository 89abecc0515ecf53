"""What OpenVINO compiles computes what PyTorch computes."""

from __future__ import annotations

import pytest
import torch

from loravit_web.engine.compiled.parts import CompiledParts, PartRun
from tests.adapters.makers import random_adapter, random_images
from tests.conftest import scaled_base

pytest.importorskip("openvino", reason="The package openvino is not installed: requirements-dev.txt has it.")


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 3e-2)], ids=["float32", "bfloat16"]
)
def test_the_trunk_gives_the_tokens_and_what_heads_and_the_model_of_novelty_read(
    dtype: torch.dtype, tolerance: float
) -> None:
    master = scaled_base()
    base = master.cast(dtype)
    parts = CompiledParts(base, master, lambda _rows, _side: True, run_later=lambda job: job())
    with torch.inference_mode():
        tokens = base.embed(random_images(2))
        runs = [parts.trunk(2, 32, 0, 2) for _ in range(3)]
        assert runs[2] is not None
        expected = master.trunk(tokens.float(), 0, 2)
        for found, right in zip(runs[2](tokens), expected, strict=True):
            assert found.shape == right.shape
            torch.testing.assert_close(
                found.float(), right, rtol=0, atol=tolerance * float(right.abs().max())
            )


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_branch_gives_what_its_head_reads(pooling: str) -> None:
    base = scaled_base()
    adapter = random_adapter(base)
    blocks = adapter.merged_blocks(base, base)
    with torch.inference_mode():
        tokens = base.trunk(base.embed(random_images(1)), 0, adapter.first_block).tokens
        found = PartRun(blocks, tokens.shape, torch.float32, first_only=pooling == "cls")(tokens)[-1]
        expected = base.run_blocks(blocks, tokens, adapter.first_block)
        expected = expected[:, :1] if pooling == "cls" else expected
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
