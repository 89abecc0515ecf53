"""Models of timm and PEFT to compare with, made from the same weights."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from loravit_web.adapters import Adapter
from loravit_web.adapters.files.format import to_files
from loravit_web.backbones import Base
from loravit_web.backbones.timm_import import import_timm
from loravit_web.training.recipe import Recipe

_LAYERS = r"(attn\.qkv|attn\.proj|mlp\.fc1|mlp\.fc2)"


def import_peft() -> ModuleType:
    """PEFT, or the end of the program with a sentence."""
    import_timm()  # first: PEFT imports torchvision
    if importlib.util.find_spec("peft") is None:
        sys.exit("error: this benchmark compares with PEFT, which is not installed: run pip install peft.")
    return importlib.import_module("peft")


def timm_model(base: Base, dtype: torch.dtype, *, image_size: int, classes: int = 0) -> Any:
    """The bare timm model, frozen, its positions resampled once for the size and not at every call.

    Args:
        base: in float32.
        classes: of its linear head; without one it gives the pooled features.
    """
    model = copy.deepcopy(base.model)
    model.set_input_size(img_size=(image_size, image_size))
    model.reset_classifier(classes)
    return model.requires_grad_(False).eval().to(dtype)


def lora_model(base: Base, dtype: torch.dtype, recipe: Recipe, blocks: int) -> Any:
    """Return PEFT's LoRA on the last blocks, as its documentation describes it. The factors stay float32.

    Args:
        base: Base in float32.
        dtype: Precision of the frozen model.
        recipe: Recipe with the rank, alpha, dropout, image size and seed.
        blocks: Number of blocks to adapt, counted from the last.
    """
    torch.manual_seed(recipe.seed)
    numbers = "|".join(str(index) for index in range(base.depth - blocks, base.depth))
    config = import_peft().LoraConfig(
        r=recipe.adapter.r,
        lora_alpha=recipe.adapter.alpha,
        lora_dropout=recipe.adapter.dropout,
        target_modules=rf"blocks\.({numbers})\.{_LAYERS}",
    )
    return import_peft().get_peft_model(timm_model(base, dtype, image_size=recipe.image_size), config)


def peft_model(base: Base, dtype: torch.dtype, adapters: Mapping[str, Adapter], folder: Path) -> Any:
    """PEFT with all adapters loaded from the files that this project writes for them.

    Args:
        adapters: of the same image size and number of classes.
        folder: where to write the files.
    """
    peft, model = import_peft(), None
    for name, adapter in adapters.items():
        path = folder / name
        path.mkdir(parents=True)
        for file, content in to_files(adapter, base, name=name, title=name).items():
            (path / file).write_bytes(content)
        if model is None:
            size, classes = adapter.preprocessing.image_size, len(adapter.class_names)
            plain = timm_model(base, torch.float32, image_size=size, classes=classes)
            model = peft.PeftModel.from_pretrained(plain, str(path), adapter_name=name)
        else:
            model.load_adapter(str(path), adapter_name=name)
    if model is None:
        raise ValueError("no adapter was given")
    return model.requires_grad_(False).eval().to(dtype)
