"""An adapter as a folder: ours with its ``task.json``, or one that PEFT itself wrote for a timm ViT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from loravit_web.adapters.adapter import Adapter, answer_to_reference
from loravit_web.adapters.config import TARGETS, ViTAdapterConfig
from loravit_web.adapters.files.format import (
    CONFIG_FILE,
    FILES,
    MAX_BYTES,
    TASK_FILE,
    WEIGHTS_FILE,
    AdapterFormatError,
    from_files,
    json_document,
    named_tensors,
    take_head,
)
from loravit_web.adapters.lora import LoRAChange
from loravit_web.adapters.peft_lora import read_factors
from loravit_web.backbones.base import Base
from loravit_web.util.files import write_whole


def write_folder(files: Mapping[str, bytes], folder: Path) -> None:
    """Write an adapter's files, each whole or not at all; the folder is made if need be.

    Raises:
        OSError: if it can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_whole(folder / name, data)


def is_adapter_folder(folder: Path) -> bool:
    """Whether a folder claims to hold an adapter."""
    return (folder / CONFIG_FILE).is_file()


def read_folder(folder: Path, base: Base, *, image_size: int) -> Adapter:
    """Read an adapter from a folder.

    A folder without ``task.json`` is one of PEFT's: its classes are numbered, its pictures are taken at
    ``image_size`` with the base's normalisation, and its head reads what timm's own pooling gives.

    Args:
        base: in float32.

    Raises:
        AdapterFormatError, WrongBase, AdapterMismatch: as `from_files`, and for what PEFT can train but a
            shared frozen base can't serve, by its name.
        AdapterConfigError: if the settings are out of range.
        UnsupportedImageSize: if the base can't take ``image_size``.
    """
    files = _read_files(folder)
    if TASK_FILE in files:
        return from_files(files, base)
    return _from_peft(files, base, image_size)


def _read_files(folder: Path) -> dict[str, bytes]:
    files = {}
    for name in FILES:
        path = folder / name
        if path.is_file():
            if path.stat().st_size > MAX_BYTES[name]:
                raise AdapterFormatError(f"{path} is larger than {MAX_BYTES[name] >> 20} MB.")
            files[name] = path.read_bytes()
    if WEIGHTS_FILE not in files and (folder / "adapter_model.bin").exists():
        raise AdapterFormatError(
            f"{folder.name} holds its weights as a pickle, which could run any code: save it as safetensors."
        )
    return files


def _from_peft(files: Mapping[str, bytes], base: Base, image_size: int) -> Adapter:
    fields = json_document(files, CONFIG_FILE)
    if fields.get("peft_type") != "LORA":
        raise AdapterFormatError(
            f"The adapter's PEFT type is {fields.get('peft_type')}: of PEFT's types only LORA can be loaded."
        )
    tensors = named_tensors(files)
    if "head.weight" not in tensors:
        raise AdapterFormatError(
            'The adapter brings no head: train it with modules_to_save=["head"] to load it here.'
        )
    classes = len(tensors["head.weight"])
    config = ViTAdapterConfig(pooling=base.native_pooling)
    weight, bias = take_head(tensors, classes, base.feature_dim(config.pooling))
    change = LoRAChange(read_factors(tensors, fields, base))
    adapter = Adapter(
        config=_described(config, change, base, bool(fields.get("use_rslora"))),
        base_name=base.name,
        base_sha256=base.weights_sha256,
        preprocessing=base.preprocessing(image_size),
        class_names=tuple(str(index) for index in range(classes)),
        change=change,
        head_weight=weight,
        head_bias=bias,
        temperature=1.0,
        reference_logits=torch.empty(0),
    )
    return replace(adapter, reference_logits=answer_to_reference(base, adapter))


def _described(config: ViTAdapterConfig, change: LoRAChange, base: Base, rslora: bool) -> ViTAdapterConfig:
    """The configuration that comes nearest to what the factors say; only they are computed with."""
    layers = {f.path.rpartition(".")[2] for f in change.factors}
    names = {layer.removesuffix("_proj").removesuffix("_g").removesuffix("_x") for layer in layers}
    first = change.factors[0]
    rank = first.a.shape[0]
    return replace(
        config,
        r=rank,
        alpha=round(first.scale * (rank**0.5 if rslora else rank), 6),
        target_modules=tuple(name for name in TARGETS if name in names) or config.target_modules,
        blocks=base.depth - change.first_block,
        use_rslora=rslora,
    )
