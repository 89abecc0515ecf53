"""An adapter as a folder: with ``task.json``, or as PEFT writes it for a timm ViT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from loravit_web.adapters.adapter import Adapter, compute_reference_logits
from loravit_web.adapters.config import TARGETS, ViTAdapterConfig
from loravit_web.adapters.files.format import (
    CONFIG_FILE,
    FILES,
    MAX_BYTES,
    TASK_FILE,
    WEIGHTS_FILE,
    AdapterFormatError,
    WrongBase,
    from_files,
    json_document,
    named_tensors,
    take_head,
)
from loravit_web.adapters.lora import LoRAChange
from loravit_web.adapters.peft_lora import read_factors
from loravit_web.backbones.base import Base
from loravit_web.util.files import write_atomic


def write_folder(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of an adapter to a folder, each atomically; create the folder if needed.

    Raises:
        OSError: If a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_atomic(folder / name, data)


def is_adapter_folder(folder: Path) -> bool:
    """Return whether a folder has the configuration file of an adapter."""
    return (folder / CONFIG_FILE).is_file()


def read_folder(folder: Path, base: Base, *, image_size: int) -> Adapter:
    """Read an adapter from a folder.

    A folder without ``task.json`` was written by PEFT: its classes are numbered, its images have side
    ``image_size`` and the base's normalization, and its head reads the pooling of the timm model.

    Args:
        folder: Folder with the files.
        base: Base in float32.
        image_size: Side of the images in pixels, for a folder without ``task.json``.

    Raises:
        AdapterFormatError: If files are missing, damaged or changed.
        WrongBase: If the adapter was trained on another base.
        AdapterMismatch: If the tensors do not match the configuration, or PEFT trained something that a
            shared frozen base cannot run.
        AdapterConfigError: If the settings are out of range.
        UnsupportedImageSize: If the base does not support ``image_size``.
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
                raise AdapterFormatError(
                    f"{path} is larger than {MAX_BYTES[name] >> 20} MB. Export the adapter again."
                )
            files[name] = path.read_bytes()
    if WEIGHTS_FILE not in files and (folder / "adapter_model.bin").exists():
        raise AdapterFormatError(
            f"{folder.name} stores its weights in a pickle that could run any code. Save them as safetensors."
        )
    return files


def _from_peft(files: Mapping[str, bytes], base: Base, image_size: int) -> Adapter:
    fields = json_document(files, CONFIG_FILE)
    if fields.get("peft_type") != "LORA":
        raise AdapterFormatError(
            f"The adapter has PEFT type {fields.get('peft_type')}. Only adapters of type LORA can be loaded."
        )
    _check_base(fields.get("base_model_name_or_path"), base)
    tensors = _plain_keys(named_tensors(files))
    if "head.weight" not in tensors:
        raise AdapterFormatError(_headless(tensors))
    classes = len(tensors["head.weight"])
    config = ViTAdapterConfig(pooling=base.native_pooling)
    weight, bias = take_head(tensors, classes, config, base)
    change = LoRAChange(read_factors(tensors, fields, base))
    adapter = Adapter(
        config=_closest_config(config, change, base, bool(fields.get("use_rslora"))),
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
    return replace(adapter, reference_logits=compute_reference_logits(base, adapter))


def _check_base(stated: Any, base: Base) -> None:
    """Check the base that the folder names, as far as a name can tell; paths of files tell nothing.

    Raises:
        WrongBase: If it names another base.
    """
    if (
        not isinstance(stated, str)
        or not stated.strip()
        or stated.startswith(("/", ".", "~"))
        or "\\" in stated
    ):
        return
    name = stated.strip().removeprefix("hf-hub:").removeprefix("hf_hub:").rpartition("/")[2].lower()
    own = {base.name.rpartition("/")[2].lower(), base.architecture.lower()}
    if name not in own and name.partition(".")[0] not in own:
        raise WrongBase(
            f"The adapter names the base {stated[:80]}, but this is {base.name}. Load that base instead."
        )


def _plain_keys(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors by the names that PEFT saves, without those that a module has while it is in memory."""
    return {
        key.replace(".modules_to_save.default.", ".").replace(".default.", "."): tensor
        for key, tensor in tensors.items()
        if ".original_module." not in key
    }


def _headless(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return why an adapter has no usable head, by the names of its tensors."""
    keys = sorted(tensors)
    if any("encoder.layer." in key or key.startswith(("vit.", "dinov2.", "deit.")) for key in keys):
        return (
            "The adapter was trained on a Vision Transformer of transformers, whose layers have other names. "
            "Train it on a timm ViT to load it here."
        )
    head = next((key for key in keys if key.split(".")[0] in ("head", "classifier", "fc", "score")), None)
    if head is not None:
        return (
            f"The adapter has another kind of head ({head}). Only a single linear layer with the name head "
            "can be loaded."
        )
    return 'The adapter has no head. Train it with modules_to_save=["head"] to load it here.'


def _closest_config(
    config: ViTAdapterConfig, change: LoRAChange, base: Base, rslora: bool
) -> ViTAdapterConfig:
    """Return the configuration that is closest to the factors. Only the factors are used in computations."""
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
