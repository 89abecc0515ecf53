"""The engine says how unlike the training images an image is, for each task that can tell."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.files.format import TASK_FILE, AdapterFormatError, from_files, to_files
from loravit_web.adapters.interface import AdapterMismatch
from loravit_web.adapters.novelty import Novelty
from loravit_web.adapters.readout import Tap, parse_readout
from loravit_web.backbones import Base
from loravit_web.engine import MultiLoRAViT
from loravit_web.engine.batching import Batcher
from loravit_web.engine.reply_cache import ReplyCache
from tests.adapters.makers import random_adapter, random_images

CONFIG = ViTAdapterConfig(r=3, alpha=6, blocks=1)


def knowing(base: Base, threshold: float, config: ViTAdapterConfig = CONFIG) -> Adapter:
    """Return an adapter with a random model of its training images."""
    generator = torch.Generator().manual_seed(1)
    directions = torch.linalg.qr(torch.randn(32, 5, generator=generator)).Q.T
    center, scale = torch.randn(32, generator=generator), torch.rand(32, generator=generator) + 0.5
    novelty = Novelty((Tap(1, "mean"),), center, scale, directions.contiguous(), threshold)
    return replace(random_adapter(base, config), novelty=novelty)


@pytest.mark.parametrize("merged", [True, False], ids=["merged", "mixed"])
def test_each_image_has_a_novelty_for_each_task_that_can_tell(merged: bool, base: Base) -> None:
    engine = MultiLoRAViT(base, torch.float32, merged_budget=1 << 30 if merged else 0)
    adapters = {
        "a": knowing(base, 2.0),
        "b": random_adapter(base, CONFIG),
        "c": knowing(base, 0.5, ViTAdapterConfig("PROBE", pooling="none", readout=parse_readout(["2"]))),
    }
    for key, adapter in adapters.items():
        engine.add(key, adapter)
    images = random_images(2)
    found: list[dict[str, float]] = [{}, {}]
    engine.forward(images, [["a", "b", "c"], ["c"]], novelty=found)
    assert [sorted(one) for one in found] == [["a", "c"], ["c"]]
    with torch.inference_mode():
        pooled = base.trunk(base.embed(images), 0, 2).pooled
    for row, key in ((0, "a"), (0, "c"), (1, "c")):
        novelty = adapters[key].novelty
        assert novelty is not None
        assert found[row][key] == pytest.approx(float(novelty.ratio(base, pooled)[row]), rel=1e-4)
    assert found[0]["c"] == pytest.approx(4 * found[0]["a"], rel=1e-4)


def test_a_cached_reply_has_the_same_novelty(base: Base) -> None:
    engine = MultiLoRAViT(base, torch.float32)
    engine.add("a", knowing(base, 1.0))
    replies, image = ReplyCache(Batcher()), random_images(1)
    first, again = (replies.infer(engine, image, ["a"]) for _ in range(2))
    assert first.novelty == again.novelty
    assert list(again.novelty) == ["a"]


def test_a_model_survives_a_round_trip_through_files(base: Base) -> None:
    adapter = knowing(base, 1.25)
    again = from_files(to_files(adapter, base, name="a", title="A"), base).novelty
    assert again is not None
    assert adapter.novelty is not None
    assert (again.readout, again.threshold) == (adapter.novelty.readout, 1.25)
    for one, other in zip(again.tensors, adapter.novelty.tensors, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("fields", "error", "sentence"),
    [
        ({"readout": ["mean@1"], "threshold": 0}, AdapterFormatError, "novelty.threshold"),
        ({"readout": [], "threshold": 1.0}, AdapterFormatError, "novelty.readout"),
        ({"readout": ["mean@1-2"], "threshold": 1.0}, AdapterMismatch, "does not have 64 features"),
        (None, AdapterMismatch, "novelty"),
    ],
)
def test_a_damaged_model_is_rejected(
    fields: dict[str, object] | None, error: type[Exception], sentence: str, base: Base
) -> None:
    files = to_files(knowing(base, 1.0), base, name="a", title="A")
    changed = {**files, TASK_FILE: json.dumps({**json.loads(files[TASK_FILE]), "novelty": fields}).encode()}
    with pytest.raises(error, match=sentence):
        from_files(changed, base)
