"""Adapter folders, from this project and from PEFT, loaded through the Python facade."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from loravit_web import ViTFeatureExtractor
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.adapters.files.folder import (
    _check_base,
    _headless,
    _plain_keys,
    is_adapter_folder,
    read_folder,
    write_folder,
)
from loravit_web.adapters.files.format import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    AdapterFormatError,
    WrongBase,
    to_files,
)
from loravit_web.backbones.timm_import import import_timm
from tests.adapters.makers import random_adapter, random_images
from tests.adapters.theirs import peft
from tests.conftest import tiny_base


def backbone(pooling: str = "token") -> Any:
    """Return a user's timm model with a head of four classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return (
            import_timm()
            .create_model(
                "vit_tiny_patch16_224",
                img_size=32,
                patch_size=8,
                embed_dim=32,
                depth=3,
                num_heads=2,
                num_classes=4,
                global_pool=pooling,
            )
            .eval()
        )


def written_by_peft(folder: Path, pooling: str = "token", **fields: Any) -> torch.Tensor:
    """Return the logits (3, 4) of a model, after PEFT has written it to ``folder``."""
    settings = {"r": 4, "lora_alpha": 6, "target_modules": ["qkv", "fc1"], "modules_to_save": ["head"]}
    model = peft().get_peft_model(backbone(pooling), peft().LoraConfig(**{**settings, **fields})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                parameter.normal_(0.0, 0.3)
        model.save_pretrained(str(folder))
        return model(random_images(3))


def facade(home: Path, pooling: str = "token") -> ViTFeatureExtractor:
    return ViTFeatureExtractor(backbone=backbone(pooling), image_size=32, home=home, dtype=torch.float32)


@pytest.mark.parametrize("pooling", ["token", "avg"])
def test_a_folder_from_peft_gives_the_logits_of_peft(pooling: str, tmp_path: Path) -> None:
    expected = written_by_peft(tmp_path / "adapters" / "flowers", pooling)
    vit = facade(tmp_path / "home", pooling)
    assert vit.load_all_adapters(tmp_path / "adapters") == ["flowers"]
    found = vit.infer(random_images(3), adapters=["flowers"])["flowers"]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert vit.class_names("flowers") == ("0", "1", "2", "3")


def test_a_folder_from_peft_can_be_saved_in_our_format_with_the_same_logits(tmp_path: Path) -> None:
    expected = written_by_peft(tmp_path / "theirs", use_rslora=True)
    vit = facade(tmp_path / "home")
    vit.load_all_adapters(tmp_path / "theirs")
    vit.save_adapters(tmp_path / "ours", name="theirs")
    vit.load_all_adapters(tmp_path / "ours")
    found = vit.infer(random_images(3), adapters=["ours"])["ours"]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_folder_from_peft_without_a_head_is_rejected_with_a_remedy(tmp_path: Path) -> None:
    written_by_peft(tmp_path, modules_to_save=None)
    with pytest.raises(AdapterFormatError, match="The adapter has no head"):
        read_folder(tmp_path, tiny_base(), image_size=32)


def test_another_peft_method_is_rejected_by_name(tmp_path: Path) -> None:
    written_by_peft(tmp_path)
    config = json.loads((tmp_path / CONFIG_FILE).read_text())
    (tmp_path / CONFIG_FILE).write_text(json.dumps({**config, "peft_type": "LOHA"}))
    with pytest.raises(AdapterFormatError, match="LOHA"):
        read_folder(tmp_path, tiny_base(), image_size=32)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    written_by_peft(tmp_path)
    (tmp_path / WEIGHTS_FILE).rename(tmp_path / "adapter_model.bin")
    with pytest.raises(AdapterFormatError, match="pickle"):
        read_folder(tmp_path, tiny_base(), image_size=32)


def test_our_folder_survives_a_round_trip(tmp_path: Path) -> None:
    base = tiny_base()
    adapter = random_adapter(base, ViTAdapterConfig(r=2, blocks=2))
    assert not is_adapter_folder(tmp_path / "pets")
    write_folder(to_files(adapter, base, name="pets", title="Pets"), tmp_path / "pets")
    assert is_adapter_folder(tmp_path / "pets")
    again = read_folder(tmp_path / "pets", base, image_size=64)
    assert (again.config, again.class_names, again.preprocessing) == (
        adapter.config,
        adapter.class_names,
        adapter.preprocessing,
    )
    assert all(torch.equal(a, b) for a, b in zip(again.tensors, adapter.tensors, strict=True))


def named_base(name: str, architecture: str) -> Any:
    return SimpleNamespace(name=name, architecture=architecture)


@pytest.mark.parametrize(
    "stated",
    [
        None,
        "",
        "vit_small_patch14_dinov2.lvd142m",
        "timm/vit_small_patch14_dinov2.lvd142m",
        "hf-hub:timm/vit_small_patch14_dinov2.lvd142m",
        "vit_small_patch14_dinov2",
        "/home/me/my-vit",
        "./models/vit",
        "C:\\models\\vit",
    ],
)
def test_a_folder_that_names_this_base_or_a_path_is_accepted(stated: str | None) -> None:
    _check_base(stated, named_base("vit_small_patch14_dinov2.lvd142m", "vit_small_patch14_dinov2"))


@pytest.mark.parametrize(
    "stated", ["google/vit-base-patch16-224", "vit_base_patch16_224.augreg_in21k", "embedded"]
)
def test_a_folder_that_names_another_base_is_refused_with_both_names(stated: str) -> None:
    with pytest.raises(WrongBase, match=f"names the base {stated}, but this is vit_small"):
        _check_base(stated, named_base("vit_small_patch14_dinov2.lvd142m", "vit_small_patch14_dinov2"))


def test_the_names_of_tensors_in_memory_are_those_that_peft_saves() -> None:
    tensor = torch.zeros(1)
    keys = {
        "blocks.0.attn.qkv.lora_A.default.weight": tensor,
        "head.modules_to_save.default.weight": tensor,
        "head.original_module.weight": tensor,
        "blocks.0.attn.qkv.lora_B.weight": tensor,
    }
    assert set(_plain_keys(keys)) == {
        "blocks.0.attn.qkv.lora_A.weight",
        "head.weight",
        "blocks.0.attn.qkv.lora_B.weight",
    }


@pytest.mark.parametrize(
    ("keys", "cause"),
    [
        (["vit.encoder.layer.0.attention.query.lora_A.weight", "classifier.weight"], "of transformers"),
        (["blocks.0.attn.qkv.lora_A.weight", "head.0.weight", "head.2.weight"], "another kind of head"),
        (["blocks.0.attn.qkv.lora_A.weight", "classifier.weight"], r"head \(classifier.weight\)"),
        (["blocks.0.attn.qkv.lora_A.weight"], "has no head"),
    ],
)
def test_the_reason_why_a_head_cannot_be_read_is_the_true_one(keys: list[str], cause: str) -> None:
    assert re.search(cause, _headless(dict.fromkeys(keys, torch.zeros(1))))
