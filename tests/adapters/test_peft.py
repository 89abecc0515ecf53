"""Exchange with PEFT in both directions gives the same logits."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.version import Version
from safetensors.torch import load_file
from torch import nn

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.files.format import CONFIG_FILE, WEIGHTS_FILE, to_files
from loravit_web.adapters.interface import AdapterMismatch
from loravit_web.adapters.lora import LoRA, LoRAChange
from loravit_web.adapters.peft_lora import read_factors
from loravit_web.backbones import Base, wrap_base
from loravit_web.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from loravit_web.backbones.timm_import import import_timm
from tests.adapters.makers import random_adapter, random_images
from tests.adapters.theirs import peft

CLASSES = ("cat", "dog", "hen")
PREFIX = "base_model.model."
TOLERANCE: dict[str, float] = {"rtol": 1e-5, "atol": 1e-5}
EVERY_LAYER = ["attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"]


def timm_model(architecture: str = "vit_tiny_patch16_224") -> Any:
    """Return a model with the same weights at each call and a classification head."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = (
            import_timm()
            .create_model(
                architecture,
                img_size=32,
                patch_size=8,
                embed_dim=32,
                depth=3,
                num_heads=2,
                num_classes=len(CLASSES),
                dynamic_img_size=True,
            )
            .eval()
        )
        for parameter in model.blocks.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, 0.0, 0.1)
    return model


@functools.cache
def base_of(architecture: str = "vit_tiny_patch16_224") -> Base:
    return wrap_base(
        timm_model(architecture), name="tiny", architecture=architecture, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )


def written_by_peft(
    folder: Path, *, architecture: str = "vit_tiny_patch16_224", **fields: Any
) -> torch.Tensor:
    """Return the logits of a model with random factors, after PEFT has written it to ``folder``."""
    torch.manual_seed(7)
    config = peft().LoraConfig(**{"r": 4, "lora_alpha": 6, "modules_to_save": ["head"], **fields})
    model = peft().get_peft_model(timm_model(architecture), config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                parameter.normal_(0.0, 0.3)
    model.save_pretrained(str(folder))
    with torch.no_grad():
        return model(random_images(3))


def read_by_us(folder: Path, base: Base) -> torch.Tensor:
    """Return the logits computed with the factors and the head in the folder."""
    tensors, fields = contents(folder)
    head_weight, head_bias = tensors.pop("head.weight"), tensors.pop("head.bias")
    change = LoRAChange(read_factors(tensors, fields, base))
    with torch.no_grad():
        found = []
        for blocks in (LoRA().blocks(change, base), LoRA().merged_blocks(change, base, base)):
            tokens = base.advance(base.embed(random_images(3)), 0, change.first_block)
            features = base.features(base.run_blocks(blocks, tokens, change.first_block), None)
            found.append(features @ head_weight.T + head_bias)
    torch.testing.assert_close(found[0], found[1], **TOLERANCE)
    return found[0]


def contents(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    tensors = load_file(folder / WEIGHTS_FILE)
    assert all(name.startswith(PREFIX) for name in tensors)
    return (
        {name.removeprefix(PREFIX): t for name, t in tensors.items()},
        json.loads((folder / CONFIG_FILE).read_text()),
    )


FROM_PEFT: dict[str, dict[str, Any]] = {
    "a list of targets": {"target_modules": ["qkv", "fc1"]},
    "a list of paths": {"target_modules": EVERY_LAYER},
    "full names": {"target_modules": ["blocks.2.attn.qkv", "blocks.1.mlp.fc2"]},
    "an expression": {"target_modules": r"blocks\.[12]\.(attn|mlp)\.(proj|fc\d)"},
    "an expression that we would not execute": {
        "target_modules": r"(.*\.)*blocks\.\d+\.(attn\.qkv|mlp\.fc.+)"
    },
    "rank pattern": {
        "target_modules": ["qkv", "fc1", "fc2"],
        "rank_pattern": {"attn.qkv": 2, "fc2": 5, "blocks.1.mlp.fc1": 3},
    },
    "alpha pattern": {"target_modules": ["qkv", "fc1"], "alpha_pattern": {"qkv": 9, "blocks.0.mlp.fc1": 0.7}},
    "patterns of whole names": {
        "target_modules": ["qkv", "fc1"],
        "rank_pattern": {r"^blocks\.1\.attn\.qkv": 2},
        "alpha_pattern": {r"^blocks\.1\.attn\.qkv": 3, "^qkv": 99, "^blocks.2.mlp.fc1": 2},
    },
    "rsLoRA": {"target_modules": ["qkv", "fc1"], "use_rslora": True, "rank_pattern": {"qkv": 9}},
    "all but one": {"target_modules": ["qkv", "fc1"], "exclude_modules": ["blocks.1.attn.qkv"]},
    "an expression of exceptions": {"target_modules": ["qkv"], "exclude_modules": r"blocks\.[01]\..*"},
    "dropout": {"target_modules": ["qkv", "fc1"], "lora_dropout": 0.5},
    "Gaussian": {"target_modules": ["qkv"], "init_lora_weights": "gaussian"},
    "orthogonal": {"target_modules": ["qkv"], "init_lora_weights": "orthogonal"},
    "no start at zero": {"target_modules": ["qkv"], "init_lora_weights": False},
}


@pytest.mark.filterwarnings("ignore:The following alpha_pattern keys did not match")
@pytest.mark.parametrize("fields", FROM_PEFT.values(), ids=FROM_PEFT.keys())
def test_a_folder_from_peft_gives_the_logits_of_peft(fields: dict[str, Any], tmp_path: Path) -> None:
    expected = written_by_peft(tmp_path, **fields)
    torch.testing.assert_close(read_by_us(tmp_path, base_of()), expected, **TOLERANCE)
    with torch.no_grad():
        plain = timm_model().forward_features(random_images(3))[:, 0]
    tensors, _ = contents(tmp_path)
    assert not torch.allclose(plain @ tensors["head.weight"].T + tensors["head.bias"], expected, atol=1e-2)


@pytest.mark.parametrize("layers", [[0, 2], 0, [2]], ids=str)
@pytest.mark.parametrize("pattern", ["blocks", ["blocks"]], ids=str)
def test_layers_chosen_by_number_in_peft_are_read(layers: Any, pattern: Any, tmp_path: Path) -> None:
    if Version(peft().__version__) < Version("0.21"):
        pytest.skip("this PEFT finds no layers at the top of a model")
    expected = written_by_peft(
        tmp_path, target_modules=["qkv", "fc1"], layers_to_transform=layers, layers_pattern=pattern
    )
    torch.testing.assert_close(read_by_us(tmp_path, base_of()), expected, **TOLERANCE)


def test_separate_and_gated_layers_that_peft_adapted_are_read(tmp_path: Path) -> None:
    architecture = "eva02_base_patch16_clip_224"
    targets = ["q_proj", "v_proj", "fc1_g", "fc1_x", "fc2"]
    expected = written_by_peft(
        tmp_path, architecture=architecture, target_modules=targets, rank_pattern={"fc1_g": 2}
    )
    torch.testing.assert_close(read_by_us(tmp_path, base_of(architecture)), expected, **TOLERANCE)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "DoRA": (
        {"use_dora": True},
        "The adapter was trained with use_dora = True, which is not plain LoRA on a frozen base",
    ),
    "PiSSA": (
        {"init_lora_weights": "pissa"},
        "The adapter was trained with init_lora_weights = pissa, which is not plain LoRA on a frozen base",
    ),
    "fast PiSSA": (
        {"init_lora_weights": "pissa_niter_2"},
        "The adapter was trained with init_lora_weights = pissa_niter_2, which is not plain LoRA on a "
        "frozen base",
    ),
    "OLoRA": (
        {"init_lora_weights": "olora"},
        "The adapter was trained with init_lora_weights = olora, which is not plain LoRA on a frozen base",
    ),
    "all biases": (
        {"bias": "all"},
        "The adapter was trained with bias = all, which is not plain LoRA on a frozen base",
    ),
    "biases of adapted layers": (
        {"bias": "lora_only"},
        "The adapter was trained with bias = lora_only, which is not plain LoRA on a frozen base",
    ),
    "a bias on the factors": (
        {"lora_bias": True},
        "The adapter was trained with lora_bias = True, which is not plain LoRA on a frozen base",
    ),
    "a saved norm": (
        {"modules_to_save": ["norm"]},
        r"The adapter was trained with modules_to_save = \['norm'\], which is not plain LoRA on a frozen "
        "base",
    ),
    "the head and a norm": (
        {"modules_to_save": ["head", "norm"]},
        r"The adapter was trained with modules_to_save = \['head', 'norm'\], which is not plain LoRA on a "
        "frozen base",
    ),
    "the patch embedding too": (
        {"target_modules": ["qkv", "proj"]},
        "patch_embed.proj.lora_A.weight is not a low-rank factor of a block",
    ),
    "an expression as pattern": (
        {"rank_pattern": {r"blocks\.[01]\.attn\.qkv": 2}},
        r"The adapter's rank_pattern has the expression blocks\\.\[01\]\\.attn\\.qkv",
    ),
    "parameters instead of layers": (
        {"target_modules": [], "target_parameters": ["blocks.0.attn.qkv.weight"]},
        r"The adapter was trained with target_parameters = \['blocks.0.attn.qkv.weight'\], which is not "
        "plain LoRA on a frozen base",
    ),
}


@pytest.mark.filterwarnings("ignore:.* LoRA tensor.s. have invalid shape")
@pytest.mark.parametrize(("fields", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_anything_but_plain_lora_on_a_frozen_base_is_rejected_by_name(
    fields: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    written_by_peft(tmp_path, **{"target_modules": ["qkv"], **fields})
    tensors, written = contents(tmp_path)
    factors = {name: t for name, t in tensors.items() if not name.startswith("head.")}
    with pytest.raises(AdapterMismatch, match=sentence):
        read_factors(factors, written, base_of())


UNSUPPORTED = {
    "lora_magnitude_vector": "lora_magnitude_vector belongs to DoRA. Only plain LoRA can be loaded",
    "lora_B.bias": "blocks.0.attn.qkv.lora_B.bias belongs to biases of the factors",
    "base_layer.bias": "blocks.0.attn.qkv.base_layer.bias belongs to a trained bias or weight of the base",
    "lora_embedding_A": "blocks.0.attn.qkv.lora_embedding_A belongs to trained embeddings",
}


@pytest.mark.parametrize(("name", "sentence"), UNSUPPORTED.items())
def test_other_tensors_than_factors_are_rejected_regardless_of_the_fields(
    name: str, sentence: str, tmp_path: Path
) -> None:
    written_by_peft(tmp_path, target_modules=["qkv"])
    tensors, fields = contents(tmp_path)
    factors = {key: t for key, t in tensors.items() if not key.startswith("head.")}
    with pytest.raises(AdapterMismatch, match=sentence):
        read_factors({**factors, f"blocks.0.attn.qkv.{name}": torch.zeros(4)}, fields, base_of())


@pytest.mark.parametrize("kind", ["LoHaConfig", "LoKrConfig", "AdaLoraConfig", "IA3Config", "VeraConfig"])
def test_another_peft_method_is_rejected_by_name(kind: str, tmp_path: Path) -> None:
    more: dict[str, Any] = {"feedforward_modules": []} if kind == "IA3Config" else {}
    if kind == "AdaLoraConfig":
        more = {"total_step": 10}
    config = getattr(peft(), kind)(target_modules=["qkv"], **more)
    peft().get_peft_model(timm_model(), config).save_pretrained(str(tmp_path))
    fields = json.loads((tmp_path / CONFIG_FILE).read_text())
    with pytest.raises(
        AdapterMismatch, match=f"trained with peft_type = {fields['peft_type']}, which is not"
    ):
        read_factors(load_file(tmp_path / WEIGHTS_FILE), fields, base_of())


ADAPTERS = {
    "every layer of the last two blocks": ViTAdapterConfig(r=3, alpha=6, blocks=2),
    "every block": ViTAdapterConfig(r=3, alpha=6, blocks=3, target_modules=("proj", "fc1")),
    "q and v": ViTAdapterConfig(r=2, alpha=5, blocks=2, target_modules=("q", "v")),
    "rsLoRA": ViTAdapterConfig(r=3, alpha=7, blocks=1, target_modules=("v", "q", "fc1"), use_rslora=True),
    "patterns": ViTAdapterConfig(
        r=3, alpha=6, blocks=2, rank_pattern={"qkv": 2, "fc2": 5}, alpha_pattern={"fc2": 0.7, "proj": 9}
    ),
    "patterns for slices, rsLoRA": ViTAdapterConfig(
        r=3,
        alpha=6,
        blocks=2,
        target_modules=("k", "q", "proj"),
        rank_pattern={"k": 5, "proj": 1},
        alpha_pattern={"q": 1.3},
        use_rslora=True,
    ),
}


def written_by_us(folder: Path, adapter: Adapter, base: Base) -> torch.Tensor:
    """Return our logits of an adapter, after it was written to ``folder``."""
    for name, data in to_files(adapter, base, name="pets", title="Pets").items():
        (folder / name).write_bytes(data)
    first = adapter.first_block
    with torch.no_grad():
        tokens = base.advance(base.embed(random_images(3)), 0, first)
        tokens = base.run_blocks(adapter.blocks(base), tokens, first)
        return adapter.head(base.features(tokens, adapter.config.pooling))


@pytest.mark.parametrize("architecture", ["vit_tiny_patch16_224", "eva02_base_patch16_clip_224"])
@pytest.mark.parametrize("config", ADAPTERS.values(), ids=ADAPTERS.keys())
def test_peft_loads_our_folder_and_gives_our_logits(
    config: ViTAdapterConfig, architecture: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    base = base_of(architecture)
    adapter = random_adapter(base, config, classes=CLASSES)
    expected = written_by_us(tmp_path, adapter, base)
    model = peft().PeftModel.from_pretrained(timm_model(architecture), str(tmp_path)).eval()
    assert [str(w.message) for w in recwarn if "peft" in str(w.filename)] == []
    with torch.no_grad():
        torch.testing.assert_close(model(random_images(3)), expected, **TOLERANCE)
        whole = model.merge_and_unload()
        torch.testing.assert_close(whole(random_images(3)), expected, **TOLERANCE)
        plain = timm_model(architecture).forward_features(random_images(3))[:, 0]
    assert not torch.allclose(adapter.head(plain), expected, atol=1e-2)


def test_an_adapter_survives_a_round_trip_through_peft(tmp_path: Path) -> None:
    base = base_of()
    adapter = random_adapter(base, ADAPTERS["patterns for slices, rsLoRA"], classes=CLASSES)
    expected = written_by_us(tmp_path, adapter, base)
    model = peft().PeftModel.from_pretrained(timm_model(), str(tmp_path))
    model.save_pretrained(str(tmp_path / "again"), save_embedding_layers=False)  # avoids a request to the hub
    torch.testing.assert_close(read_by_us(tmp_path / "again", base), expected, **TOLERANCE)


@pytest.mark.parametrize("kind", ["PREFIX", "LINEAR"])
def test_peft_rejects_adapter_types_that_it_lacks(kind: str, tmp_path: Path) -> None:
    base = base_of()
    written_by_us(tmp_path, random_adapter(base, ViTAdapterConfig(kind, blocks=1), classes=CLASSES), base)
    with pytest.raises((KeyError, ValueError), match=kind):
        peft().PeftModel.from_pretrained(timm_model(), str(tmp_path))


def plain_fields(tmp_path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    written_by_peft(tmp_path, target_modules=["qkv"])
    tensors, fields = contents(tmp_path)
    return {key: t for key, t in tensors.items() if not key.startswith("head.")}, fields


def test_every_field_of_the_installed_peft_is_covered_below(tmp_path: Path) -> None:
    _, fields = plain_fields(tmp_path)
    known = {f.name for f in fields_of(peft().LoraConfig)} - {"runtime_config"}
    assert set(fields) == known
    assert set(fields) - set(ARITHMETIC) - HARMLESS == set(), "PEFT has new fields: harmless or not?"


HARMLESS = {
    "alpha_pattern",
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_alpha",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "modules_to_save",
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "target_modules",
    "task_type",
    "use_rslora",
}
ARITHMETIC: dict[str, Any] = {
    "alora_invocation_tokens": [1, 2],
    "arrow_config": {"top_k": 2},
    "bias": "all",
    "ensure_weight_tying": True,
    "fan_in_fan_out": True,
    "init_lora_weights": "corda",
    "kasa_config": {"beta": 1.0},
    "layer_replication": [[0, 2], [1, 3]],
    "lora_bias": True,
    "megatron_config": {"hidden_size": 32},
    "monteclora_config": {"num_samples": 2},
    "peft_type": "ADALORA",
    "target_parameters": ["blocks.0.attn.qkv.weight"],
    "trainable_token_indices": [1],
    "use_bdlora": {"nblocks": 2},
    "use_dora": True,
    "use_qalora": True,
    "velora_config": {"num_groups": 2},
}


@pytest.mark.parametrize(("field", "value"), ARITHMETIC.items())
def test_a_field_that_affects_the_computation_is_rejected_by_name(
    field: str, value: Any, tmp_path: Path
) -> None:
    factors, fields = plain_fields(tmp_path)
    assert read_factors(factors, fields, base_of())
    with pytest.raises(AdapterMismatch, match=f"trained with {field} = .*, which is not plain LoRA"):
        read_factors(factors, {**fields, field: value}, base_of())


@pytest.mark.parametrize("method", ["corda", "loftq", "lora_ga", "mica", "pissa", "olora", "something new"])
def test_an_initialization_that_changes_the_base_is_rejected_by_name(method: str, tmp_path: Path) -> None:
    factors, fields = plain_fields(tmp_path)
    with pytest.raises(AdapterMismatch, match=f"trained with init_lora_weights = {method}, which"):
        read_factors(factors, {**fields, "init_lora_weights": method}, base_of())


def test_an_unknown_field_is_rejected_unless_it_is_off(tmp_path: Path) -> None:
    factors, fields = plain_fields(tmp_path)
    for off in (None, False, {}, [], 0):
        assert read_factors(factors, {**fields, "use_tomorrow": off}, base_of())
    with pytest.raises(
        AdapterMismatch,
        match="The adapter was trained with use_tomorrow = fast, which is not plain LoRA on a frozen base",
    ):
        read_factors(factors, {**fields, "use_tomorrow": "fast"}, base_of())


Change = Callable[[dict[str, torch.Tensor], dict[str, Any]], None]


def missing(name: str) -> Change:
    def change(tensors: dict[str, torch.Tensor], _fields: dict[str, Any]) -> None:
        for side in "AB":
            del tensors[f"{name}.lora_{side}.weight"]

    return change


def renamed(old: str, new: str) -> Change:
    def change(tensors: dict[str, torch.Tensor], _fields: dict[str, Any]) -> None:
        for side in "AB":
            tensors[f"{new}.lora_{side}.weight"] = tensors.pop(f"{old}.lora_{side}.weight")

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (missing("blocks.1.attn.qkv"), "The adapter has no factors for blocks.1.attn.qkv"),
        (renamed("blocks.1.attn.qkv", "blocks.7.attn.qkv"), "changes blocks.7.attn.qkv, which vit_tiny"),
        (
            renamed("blocks.1.attn.qkv", "blocks.1.mlp.fc1"),
            "The adapter's configuration does not include blocks.1.mlp.fc1",
        ),
        (lambda tensors, _: tensors.clear(), "The adapter has no factors for blocks.0.attn.qkv"),
        (
            lambda tensors, _: tensors.pop("blocks.1.attn.qkv.lora_B.weight"),
            "The adapter has no blocks.1.attn.qkv.lora_B.weight, the other half of a factor pair",
        ),
        (lambda _, fields: fields.update(r=5), "blocks.0.attn.qkv has rank 4 instead of 5"),
        (
            lambda _, fields: fields.update(target_modules=["fc1"]),
            "The adapter's configuration does not include blocks.0.attn.qkv",
        ),
    ],
)
def test_an_inconsistent_folder_is_rejected(change: Change, sentence: str, tmp_path: Path) -> None:
    factors, fields = plain_fields(tmp_path)
    change(factors, fields)
    with pytest.raises(AdapterMismatch, match=sentence):
        read_factors(factors, fields, base_of())
