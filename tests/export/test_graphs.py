"""Exported graphs compute the engine's logits, for every type of adapter, readout and kind of ViT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.novelty import Novelty
from loravit_web.adapters.readout import parse_readout
from loravit_web.backbones import Base, wrap_base
from loravit_web.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from loravit_web.backbones.timm_import import import_timm
from loravit_web.engine import MultiLoRAViT
from loravit_web.export.check import ExportDiffers, difference
from loravit_web.export.folder import FolderInUse, export_onnx
from loravit_web.export.merged import export_merged, merged_model
from loravit_web.export.plan import OtherBase
from loravit_web.export.vit import NotExportable
from loravit_web.runtime.model import new_session
from tests.adapters.makers import random_adapter, random_images
from tests.conftest import tiny_base
from tests.export.conftest import ExportTasks, version_of

TAPS = parse_readout(["1-2"])
CONFIGS = {
    "LoRA on two blocks": ViTAdapterConfig(r=3, alpha=6, blocks=2),
    "LoRA on every block": ViTAdapterConfig(r=2, blocks=3, pooling="cls"),
    "LoRA on slices of one layer": ViTAdapterConfig(
        r=2, blocks=1, target_modules=("q", "v"), use_rslora=True
    ),
    "LoRA that reads the mean": ViTAdapterConfig(r=2, blocks=1, pooling="mean"),
    "LoRA that reads both": ViTAdapterConfig(r=2, blocks=2, pooling="cls+mean"),
    "LoRA with a readout of the trunk": ViTAdapterConfig(r=2, blocks=1, pooling="cls", readout=TAPS),
    "LoRA with a readout of its own blocks": ViTAdapterConfig(
        r=2, blocks=2, pooling="cls", readout=parse_readout(["cls@1-3", "mean@2"])
    ),
    "LoRA that reads the last mean too": ViTAdapterConfig(
        r=2, blocks=2, pooling="cls", readout=parse_readout(["mean@3"])
    ),
    "LoRA that reads a readout alone": ViTAdapterConfig(r=2, blocks=2, pooling="none", readout=TAPS),
    "prefix": ViTAdapterConfig(adapter_type="PREFIX", blocks=2, prefix_length=3),
    "prefix with a readout": ViTAdapterConfig(adapter_type="PREFIX", blocks=2, prefix_length=3, readout=TAPS),
    "linear": ViTAdapterConfig(adapter_type="LINEAR"),
    "linear with a readout": ViTAdapterConfig(adapter_type="LINEAR", readout=TAPS),
    "probe of the trunk": ViTAdapterConfig(adapter_type="PROBE", pooling="none", readout=TAPS),
    "probe of every block": ViTAdapterConfig(
        adapter_type="PROBE", pooling="none", readout=parse_readout(["1-3"])
    ),
    "several labels": ViTAdapterConfig(r=2, blocks=1, labels="many"),
}
KINDS: dict[str, dict[str, Any]] = {
    "register tokens": {"reg_tokens": 2},
    "positions of patches alone": {"no_embed_class": True, "reg_tokens": 1},
    "a norm before the blocks": {"pre_norm": True},
    "norms of queries and keys": {"qk_norm": True},
    "layer scale": {"init_values": 0.3},
    "no bias": {"qkv_bias": False},
    "average pooling": {"global_pool": "avg"},
    "no class token": {"global_pool": "avg", "class_token": False},
    "the activation of CLIP": {"act_layer": "quick_gelu"},
    "an approximate activation": {"act_layer": "gelu_tanh"},
}


def vit(**options: Any) -> Base:
    """Return a tiny random ViT of another kind."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = import_timm().create_model(
            "vit_tiny_patch16_224",
            img_size=32,
            patch_size=8,
            embed_dim=32,
            depth=3,
            num_heads=2,
            num_classes=0,
            dynamic_img_size=True,
            **options,
        )
    return wrap_base(
        model, name="tiny", architecture="vit_tiny_patch16_224", mean=IMAGENET_MEAN, std=IMAGENET_STD
    )


def engine_logits(base: Base, adapter: Adapter, images: torch.Tensor) -> np.ndarray[Any, Any]:
    engine = MultiLoRAViT(base, torch.float32)
    engine.add("task", adapter)
    return torch.stack([row["task"] for row in engine.forward(images, [["task"]] * len(images))]).numpy()


def assert_same(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_an_export_computes_the_logits_of_the_engine(
    config: ViTAdapterConfig, base: Base, export: ExportTasks
) -> None:
    adapter, images = random_adapter(base, config), random_images(3)
    model = export(base, adapter)
    logits, _novelty = model.run(model.tasks[0], images.numpy())
    assert_same(logits, engine_logits(base, adapter, images))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_merged_model_computes_the_calibrated_logits(
    config: ViTAdapterConfig, base: Base, tmp_path: Path
) -> None:
    adapter, images = random_adapter(base, config), random_images(3)
    path = tmp_path / "model.onnx"
    path.write_bytes(merged_model(base, adapter, "fp32"))
    (logits,) = new_session(path, 1).run(["logits"], {"pixel_values": images.numpy()})
    assert_same(logits, engine_logits(base, adapter, images) / adapter.temperature)


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_other_kinds_of_plain_vits_are_exported_too(options: dict[str, Any], export: ExportTasks) -> None:
    base = vit(**options)
    adapters = [
        random_adapter(base, ViTAdapterConfig(r=2, blocks=2, readout=parse_readout(["mean@1-2"]))),
        random_adapter(base, ViTAdapterConfig(adapter_type="PREFIX", blocks=1, pooling="mean")),
    ]
    model, images = export(base, *adapters), random_images(2)
    for task, adapter in zip(model.tasks, adapters, strict=True):
        assert_same(model.run(task, images.numpy())[0], engine_logits(base, adapter, images))


def test_an_export_computes_other_image_sizes_than_the_base_was_made_for(
    base: Base, export: ExportTasks
) -> None:
    adapter, images = random_adapter(base, image_size=48), random_images(2, side=48)
    model = export(base, adapter)
    assert_same(model.run(model.tasks[0], images.numpy())[0], engine_logits(base, adapter, images))


def test_an_export_tells_how_unlike_an_image_is(base: Base, export: ExportTasks) -> None:
    generator = torch.Generator().manual_seed(0)
    known = Novelty(
        readout=parse_readout(["mean@1"]),
        center=torch.randn(32, generator=generator),
        scale=torch.rand(32, generator=generator) + 0.5,
        directions=torch.linalg.qr(torch.randn(32, 4, generator=generator))[0].T.contiguous(),
        threshold=0.7,
    )
    adapter, images = replace(random_adapter(base), novelty=known), random_images(3)
    model = export(base, adapter)
    engine = MultiLoRAViT(base, torch.float32)
    engine.add("task", adapter)
    expected: list[dict[str, float]] = [{} for _ in images]
    engine.forward(images, [["task"]] * len(images), novelty=expected)
    _logits, novelty = model.run(model.tasks[0], images.numpy())
    assert novelty == pytest.approx([row["task"] for row in expected], rel=1e-4)


def test_tasks_share_the_graphs_and_the_weights_of_their_base(base: Base, export: ExportTasks) -> None:
    adapters = [
        random_adapter(base, ViTAdapterConfig(r=2, blocks=1)),
        random_adapter(base, ViTAdapterConfig(r=5, blocks=1), classes=("a", "b"), seed=1),
        random_adapter(base, ViTAdapterConfig(r=2, blocks=2)),
        random_adapter(base, CONFIGS["probe of the trunk"]),
    ]
    model, images = export(base, *adapters), random_images(1)
    one, two, three, four = model.tasks
    assert one.graphs == two.graphs and one.graphs[0] == three.graphs[0] == four.graphs[0]
    parameters = sum(p.numel() for p in base.model.parameters())
    assert (model.folder / model.export.weights).stat().st_size <= 4.2 * parameters
    cache: dict[Any, Any] = {}
    for task, adapter in zip(model.tasks, adapters, strict=True):
        logits, _novelty = model.run(task, images.numpy(), cache)
        assert_same(logits, engine_logits(base, adapter, images))


@pytest.mark.parametrize(("precision", "share", "tolerance"), [("fp16", 0.55, 1e-2), ("int8", 0.35, 0.3)])
def test_smaller_weights_change_the_logits_a_little(
    precision: Any, share: float, tolerance: float, export: ExportTasks, base: Base
) -> None:
    adapter, images = random_adapter(base), random_images(2)
    model = export(base, adapter, precision=precision)
    expected = engine_logits(base, adapter, images)
    found, _novelty = model.run(model.tasks[0], images.numpy())
    assert 0 < np.abs(found - expected).max() <= tolerance * np.abs(expected).max()
    parameters = sum(p.numel() for p in base.model.parameters())
    assert (model.folder / model.export.weights).stat().st_size <= 4 * share * parameters


def test_an_export_that_differs_from_the_engine_is_not_handed_out(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loravit_web.export.check.TOLERANCES", {"fp32": -1.0})
    with pytest.raises(ExportDiffers, match="animals@1 differs from the engine by"):
        export_onnx(base, [version_of(random_adapter(base), base)], tmp_path / "out", "fp32", print)
    assert list(tmp_path.iterdir()) == []


def test_logits_that_are_no_numbers_differ() -> None:
    with pytest.raises(ExportDiffers):
        difference("task", np.array([np.nan], dtype=np.float32), np.zeros(1, dtype=np.float32), 1.0)


def test_a_folder_with_files_is_not_overwritten(base: Base, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FolderInUse, match="Choose a new or an empty folder"):
        export_onnx(base, [version_of(random_adapter(base), base)], tmp_path, "fp32", print)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_tasks_of_another_base_are_refused(base: Base, tmp_path: Path) -> None:
    other = tiny_base(seed=1, name="other")
    versions = [version_of(random_adapter(one), one) for one in (base, other)]
    with pytest.raises(OtherBase, match="Export the tasks of each base"):
        export_onnx(base, versions, tmp_path / "out", "fp32", print)


def test_a_base_with_other_layers_is_refused_with_its_name(tmp_path: Path) -> None:
    timm = import_timm()
    base = vit(mlp_layer=timm.layers.SwiGLU)
    adapter = random_adapter(base, ViTAdapterConfig(adapter_type="LINEAR"))
    with pytest.raises(NotExportable, match="a block of the kind Block/Attention/SwiGLU"):
        export_onnx(base, [version_of(adapter, base)], tmp_path / "out", "fp32", print)


def test_a_merged_folder_has_the_layout_of_transformers(base: Base, tmp_path: Path) -> None:
    version = version_of(random_adapter(base), base)
    facts = export_merged(base, version, tmp_path / "out", "fp16", print)
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert files >= {"onnx/model_fp16.onnx", "config.json", "preprocessor_config.json", "task.json"}
    assert facts["adapter_sha256"] and facts["base"]["weights_sha256"] == base.weights_sha256
