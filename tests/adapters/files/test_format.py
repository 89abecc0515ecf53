"""Adapters as files: read back bit for bit, or rejected with a reason."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.adapter import compute_reference_logits
from loravit_web.adapters.files.format import (
    CONFIG_FILE,
    FILES,
    TASK_FILE,
    WEIGHTS_FILE,
    AdapterFormatError,
    WrongBase,
    base_of,
    from_files,
    to_files,
)
from loravit_web.adapters.interface import AdapterMismatch
from loravit_web.backbones import Base
from loravit_web.errors import LoraVitError
from loravit_web.images.whites import Whites
from tests.adapters.makers import random_adapter, random_images, with_document, with_tensors
from tests.conftest import tiny_base

Files = dict[str, bytes]
HEAD = "base_model.model.head.weight"
FACTOR = "base_model.model.blocks.1.attn.qkv.lora_A.weight"


@functools.cache
def shared_base() -> Base:
    return tiny_base()


@functools.cache
def shared_files() -> Files:
    return to_files(random_adapter(shared_base()), shared_base(), name="pets", title="Pets & more")


@pytest.fixture
def base() -> Base:
    return shared_base()


@pytest.fixture
def files() -> Files:
    return dict(shared_files())


def logits(base: Base, adapter: Adapter) -> torch.Tensor:
    with torch.no_grad():
        tokens = base.advance(base.embed(random_images(2)), 0, adapter.first_block)
        for block in adapter.blocks(base):
            tokens = block(tokens)
        return adapter.head(base.features(tokens, adapter.config.pooling))


@pytest.mark.parametrize(
    "config",
    [
        ViTAdapterConfig(r=3, alpha=6, blocks=2),
        ViTAdapterConfig(
            r=3, alpha=5.5, blocks=3, target_modules=("q", "v", "proj"), use_rslora=True, pooling="cls+mean"
        ),
        ViTAdapterConfig(
            r=3,
            alpha=6,
            blocks=2,
            rank_pattern={"qkv": 2, "fc2": 5},
            alpha_pattern={"qkv": 0.7},
            use_rslora=True,
        ),
        ViTAdapterConfig("PREFIX", blocks=2, prefix_length=5, pooling="mean"),
        ViTAdapterConfig("LINEAR", pooling="mean"),
    ],
    ids=["LoRA", "sliced rsLoRA", "patterns", "prefix", "head only"],
)
def test_an_adapter_read_back_gives_identical_logits(config: ViTAdapterConfig, base: Base) -> None:
    adapter = random_adapter(base, config)
    again = from_files(to_files(adapter, base, name="pets", title="Pets"), base)
    assert torch.equal(logits(base, again), logits(base, adapter))
    assert (again.config, again.class_names, again.temperature) == (
        config.resolved(base),
        adapter.class_names,
        adapter.temperature,
    )
    assert again.preprocessing == adapter.preprocessing
    assert again.parameter_count == adapter.parameter_count


def test_the_same_adapter_always_gives_the_same_files(base: Base) -> None:
    adapter = random_adapter(base)
    files = to_files(adapter, base, name="pets", title="Pets")
    again = to_files(from_files(files, base), base, name="pets", title="Pets")
    assert again == files
    assert set(files) == set(FILES)


def test_the_files_name_their_base(files: Files, base: Base) -> None:
    assert base_of(files) == ("tiny", base.weights_sha256)


def test_the_tensors_have_the_names_of_peft(files: Files) -> None:
    names = {
        f"base_model.model.blocks.{block}.{layer}.lora_{factor}.weight"
        for block in (1, 2)
        for layer in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
        for factor in "AB"
    }
    heads = {"base_model.model.head.weight", "base_model.model.head.bias"}
    assert set(load(files[WEIGHTS_FILE])) == names | heads
    config = json.loads(files[CONFIG_FILE])
    assert (config["peft_type"], config["modules_to_save"], config["bias"]) == ("LORA", ["head"], "none")
    assert (config["r"], config["lora_alpha"]) == (3, 6)


def flipped(files: Files, base: Base) -> Files:
    weights = bytearray(files[WEIGHTS_FILE])
    weights[-5] ^= 1
    return {**files, WEIGHTS_FILE: bytes(weights)}


def without(name: str) -> Callable[[Files, Base], Files]:
    return lambda files, _base: {key: data for key, data in files.items() if key != name}


def changed_tensor(key: str, tensor: torch.Tensor | None) -> Callable[[Files, Base], Files]:
    return lambda files, _base: with_tensors(files, {key: tensor})


def document(name: str, **changes: Any) -> Callable[[Files, Base], Files]:
    return lambda files, _base: with_document(files, name, **changes)


def raw(name: str, data: bytes) -> Callable[[Files, Base], Files]:
    return lambda files, _base: {**files, name: data}


def renamed_tensor(files: Files, base: Base) -> Files:
    return with_tensors(
        files, {FACTOR: None, FACTOR.replace("qkv", "kqv"): load(files[WEIGHTS_FILE])[FACTOR]}
    )


DAMAGES: dict[str, tuple[Callable[[Files, Base], Files], type[LoraVitError], str]] = {
    "a flipped bit in the weights": (
        flipped,
        AdapterFormatError,
        "adapter_model.safetensors differs from its hash in task.json",
    ),
    "no configuration": (without(CONFIG_FILE), AdapterFormatError, f"The adapter has no {CONFIG_FILE}"),
    "no weights": (without(WEIGHTS_FILE), AdapterFormatError, f"The adapter has no {WEIGHTS_FILE}"),
    "no task": (without(TASK_FILE), AdapterFormatError, f"The adapter has no {TASK_FILE}"),
    "broken JSON": (raw(CONFIG_FILE, b'{"r": 8,'), AdapterFormatError, f"{CONFIG_FILE} is not valid JSON"),
    "JSON of bytes that are no text": (raw(TASK_FILE, b"\xff\xfe{"), AdapterFormatError, "not valid JSON"),
    "a JSON list": (raw(TASK_FILE, b"[]"), AdapterFormatError, f"{TASK_FILE} is not a JSON object"),
    "a missing factor": (
        changed_tensor(FACTOR, None),
        AdapterMismatch,
        "The adapter has no blocks.1.attn.qkv.lora_A.weight, the other half of a factor pair",
    ),
    "a renamed factor": (
        renamed_tensor,
        AdapterMismatch,
        "changes blocks.1.attn.kqv, which vit_tiny_patch16_224 does not have",
    ),
    "two missing factors": (
        lambda files, _base: with_tensors(files, {FACTOR: None, FACTOR.replace("_A", "_B"): None}),
        AdapterMismatch,
        "The adapter has no factors for blocks.1.attn.qkv",
    ),
    "one factor more": (
        changed_tensor("base_model.model.blocks.0.attn.qkv.lora_A.weight", torch.zeros(3, 32)),
        AdapterMismatch,
        "The adapter's configuration does not include blocks.0.attn.qkv",
    ),
    "a tensor of no adapter": (
        changed_tensor("optimizer.step", torch.zeros(1)),
        AdapterMismatch,
        "optimizer.step is not a tensor of an adapter",
    ),
    "a factor of another shape": (
        changed_tensor(FACTOR, torch.zeros(4, 32)),
        AdapterMismatch,
        r"The factors of blocks.1.attn.qkv have shapes \(4, 32\) and \(96, 3\) instead of A \(r, 32\) and B "
        r"\(96, r\)",
    ),
    "a factor for a narrower layer": (
        changed_tensor(FACTOR, torch.zeros(3, 31)),
        AdapterMismatch,
        r"The factors of blocks.1.attn.qkv have shapes \(3, 31\) and \(96, 3\), but the base needs A \(r, "
        r"32\) and B \(96, r\)",
    ),
    "a factor that is no matrix": (
        changed_tensor(FACTOR, torch.zeros(3)),
        AdapterMismatch,
        r"The factors of blocks.1.attn.qkv have shapes \(3,\) and \(96, 3\) instead of A \(r, 32\) and B "
        r"\(96, r\)",
    ),
    "a head of another shape": (
        changed_tensor(HEAD, torch.zeros(3, 31)),
        AdapterMismatch,
        r"head.weight should have shape \(3, 32\), but the file contains \(3, 31\)",
    ),
    "no head": (
        changed_tensor(HEAD, None),
        AdapterMismatch,
        r"head.weight should have shape \(3, 32\), but the file contains nothing",
    ),
    "NaN": (
        changed_tensor(FACTOR, torch.full((3, 32), torch.nan)),
        AdapterMismatch,
        "base_model.model.blocks.1.attn.qkv.lora_A.weight contains values that are not finite",
    ),
    "integers": (
        changed_tensor(FACTOR, torch.zeros(3, 32, dtype=torch.int32)),
        AdapterMismatch,
        "base_model.model.blocks.1.attn.qkv.lora_A.weight contains values that are not finite",
    ),
    "zeroed factors": (
        changed_tensor(FACTOR, torch.zeros(3, 32)),
        AdapterFormatError,
        "The adapter does not compute the reference logits stored with it, so it was not loaded",
    ),
    "another format": (document(TASK_FILE, schema_version=5), AdapterFormatError, "version 5, .* up to 4"),
    "an altered alpha": (
        document(CONFIG_FILE, lora_alpha=12),
        AdapterFormatError,
        "The adapter does not compute the reference logits stored with it, so it was not loaded",
    ),
    "altered targets": (
        document(CONFIG_FILE, target_modules=["nothing"]),
        AdapterMismatch,
        "The adapter's configuration does not include blocks.1.attn.proj",
    ),
    "a pattern that is an expression": (
        document(CONFIG_FILE, rank_pattern={"(b+)+x": 3}),
        AdapterMismatch,
        r"The adapter's rank_pattern has the expression \(b\+\)\+x",
    ),
    "another type of PEFT": (
        document(CONFIG_FILE, peft_type="LOHA"),
        AdapterMismatch,
        "The adapter was trained with peft_type = LOHA, which is not plain LoRA on a frozen base",
    ),
    "one class less": (
        document(TASK_FILE, class_names=["cat", "dog"]),
        AdapterMismatch,
        r"head.weight should have shape \(2, 32\), but the file contains \(3, 32\)",
    ),
    "no classes": (document(TASK_FILE, class_names=[]), AdapterFormatError, "0 classes"),
    "another pooling": (
        document(
            TASK_FILE, adapter={**ViTAdapterConfig(r=3, alpha=6, blocks=2).as_json(), "pooling": "mean"}
        ),
        AdapterFormatError,
        "The adapter does not compute the reference logits stored with it, so it was not loaded",
    ),
    "an unknown type": (
        document(TASK_FILE, adapter={**ViTAdapterConfig().as_json(), "adapter_type": "DORA"}),
        LoraVitError,
        "Adapter type DORA is unknown",
    ),
    "no temperature": (
        document(TASK_FILE, temperature=0),
        AdapterFormatError,
        "The adapter cannot be used, because temperature is 0 instead of a number from 0.001 to 1000",
    ),
    "another normalisation": (
        lambda files, base: with_document(
            files, TASK_FILE, preprocessing={**base.preprocessing(32).as_json(), "mean": [0.0, 0.0, 0.0]}
        ),
        AdapterFormatError,
        "The adapter does not compute the reference logits stored with it, so it was not loaded",
    ),
    "a size that the base can't take": (
        lambda files, base: with_document(
            files, TASK_FILE, preprocessing={**base.preprocessing(32).as_json(), "input_size": [3, 33, 33]}
        ),
        LoraVitError,
        "Image size 33 does not fit",
    ),
    "other stored logits": (
        document(TASK_FILE, reference_logits=[0.0, 0.0, 0.0]),
        AdapterFormatError,
        "The adapter does not compute the reference logits stored with it, so it was not loaded",
    ),
    "too few stored logits": (
        document(TASK_FILE, reference_logits=[0.0]),
        AdapterFormatError,
        r"The adapter cannot be used, because reference_logits is \[",
    ),
    "a stored answer of which infinitely much may differ": (
        document(TASK_FILE, reference_logits=[float("inf")] * 3),
        AdapterFormatError,
        "task.json is not valid JSON. The adapter cannot be used, because reference_logits.2 is inf instead "
        "of a finite number",
    ),
    "no stored logits": (
        document(TASK_FILE, reference_logits=[]),
        AdapterFormatError,
        r"The adapter cannot be used, because reference_logits is \[",
    ),
    "JSON nested without end": (raw(TASK_FILE, b"[" * 200_000), AdapterFormatError, "not valid JSON"),
    "rank zero": (
        document(CONFIG_FILE, r=0),
        AdapterMismatch,
        "blocks.1.attn.qkv has rank 3 instead of 0",
    ),
    "a rank pattern that is a list": (
        document(CONFIG_FILE, rank_pattern=["attn.qkv"]),
        AdapterFormatError,
        r"task.json cannot be used \(a value is of a wrong kind\)",
    ),
}


@pytest.mark.parametrize(("damage", "cause", "reason"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_or_changed_adapter_is_rejected_with_the_reason(
    damage: Callable[[Files, Base], Files],
    cause: type[LoraVitError],
    reason: str,
    files: Files,
    base: Base,
) -> None:
    with pytest.raises(cause, match=reason):
        from_files(damage(files, base), base)


@pytest.mark.parametrize("expression", ["(b+)+x", "blocks.("])
def test_an_expression_for_the_targets_is_never_executed(expression: str, files: Files, base: Base) -> None:
    adapter = from_files(with_document(files, CONFIG_FILE, target_modules=expression), base)
    assert torch.equal(logits(base, adapter), _expected_logits())


def test_an_adapter_for_another_base_is_rejected_with_both_names(files: Files) -> None:
    other = tiny_base(seed=1, name="other")
    with pytest.raises(WrongBase) as caught:
        from_files(files, other)
    sentence = str(caught.value)
    assert f"trained on tiny ({shared_base().weights_sha256[:12]})" in sentence
    assert f"the base in memory is other ({other.weights_sha256[:12]})" in sentence


def test_a_linear_probe_with_factors_is_rejected(base: Base) -> None:
    linear = to_files(random_adapter(base, ViTAdapterConfig("LINEAR")), base, name="pets", title="Pets")
    with pytest.raises(
        AdapterMismatch, match="An adapter of type LINEAR cannot contain blocks.1.attn.qkv.lora_A.weight"
    ):
        from_files(with_tensors(linear, {FACTOR: torch.zeros(3, 32)}), base)


def test_the_stored_reference_logits_are_those_of_the_adapter(base: Base) -> None:
    adapter = random_adapter(base)
    assert torch.equal(compute_reference_logits(base, adapter), adapter.reference_logits)
    assert not torch.equal(random_adapter(base, seed=1).reference_logits, adapter.reference_logits)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values inside a JSON document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, child in inside for found in leaves(child, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copied = value.copy()
    copied[path[0]] = replaced(value[path[0]], path[1:], new)
    return copied


ODD_VALUES = st.sampled_from(
    [None, True, 0, -1, 10**400, 1e308, float("nan"), float("inf"), "", "(", "8", [], [[]], {}, {"a": []}]
)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), name=st.sampled_from([CONFIG_FILE, TASK_FILE]), new=ODD_VALUES)
def test_any_value_in_a_document_is_read_or_rejected_without_a_crash(
    data: st.DataObject, name: str, new: object
) -> None:
    original = json.loads(shared_files()[name])
    path = data.draw(st.sampled_from(leaves(original)))
    files = {**shared_files(), name: json.dumps(replaced(original, path, new)).encode()}
    try:
        adapter = from_files(files, shared_base())
    except LoraVitError:
        return
    assert torch.equal(logits(shared_base(), adapter), _expected_logits())


@functools.cache
def _expected_logits() -> torch.Tensor:
    return logits(shared_base(), from_files(shared_files(), shared_base()))


def test_a_task_with_images_of_more_bits_says_what_becomes_white(base: Base, files: Files) -> None:
    whites = Whites(integer=4095.0)
    plain = random_adapter(base)
    adapter = replace(plain, preprocessing=replace(plain.preprocessing, whites=whites))
    stored = to_files(adapter, base, name="pets", title="Pets")
    assert from_files(stored, base).preprocessing == adapter.preprocessing
    assert json.loads(stored[TASK_FILE])["schema_version"] == 4
    without = json.loads(files[TASK_FILE])
    assert without["schema_version"] == 2 and "whites" not in without["preprocessing"]
