"""LoRA in PEFT's format: tensors and the fields of ``LoraConfig``.

Follows PEFT's documented checkpoint format, without executing anything from a file: PEFT reads several fields
as regular expressions, and an expression from a foreign file may never terminate. Here the names of the
tensors say which layers are adapted, and patterns are read as plain module names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from loravit_web.adapters.config import MAX_RANK, ViTAdapterConfig
from loravit_web.adapters.files.numbers import ANY, InvalidValue, integer, number
from loravit_web.adapters.interface import AdapterMismatch, Tensors
from loravit_web.adapters.layers import LoRAFactors
from loravit_web.backbones.base import Base

_OWN_FORM = re.compile(r"blocks\\\.\((\d+(?:\|\d+)*)\)\\\.\(([\w\\.|]+)\)")
_PLAIN = re.compile(r"[\w.]+")
_MAX_FUSED_RANK = MAX_RANK * 3
_MAX_ALPHA = 1024 * _MAX_FUSED_RANK
_KEY = re.compile(r"blocks\.(\d+)\.([\w.]+)\.lora_([AB])\.weight")
_UNSUPPORTED_TENSORS = {
    "lora_magnitude_vector": "DoRA",
    "base_layer": "a trained bias or weight of the base",
    "lora_B.bias": "biases of the factors",
    "lora_embedding": "trained embeddings",
}
# Fields that affect the computation, with the values that are supported.
_SUPPORTED_VALUES: Mapping[str, tuple[Any, ...]] = {
    "bias": ("none",),
    "fan_in_fan_out": (False,),
    "init_lora_weights": (True, False, "gaussian", "eva", "orthogonal"),
    "modules_to_save": (["head"], []),
    "peft_type": ("LORA",),
}
_IGNORED = {
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
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
}


def write_factors(
    factors: Sequence[LoRAFactors], config: ViTAdapterConfig
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the files' content for low-rank factors.

    Args:
        factors: Factors of each adapted layer.
        config: Configuration of the adapter.

    Returns:
        Tensors by module path, and the fields of ``LoraConfig`` with patterns for layers of another rank or
        alpha.
    """
    tensors = {}
    ranks: dict[str, int] = {}
    alphas: dict[str, float] = {}
    for f in factors:
        prefix = f"blocks.{f.block}.{f.path}"
        tensors[f"{prefix}.lora_A.weight"] = f.a.contiguous()
        tensors[f"{prefix}.lora_B.weight"] = f.b.contiguous()
        ranks[f.path] = f.a.shape[0]
        alphas[f.path] = float(f"{f.scale * _divisor(f.a.shape[0], config.use_rslora):.15g}")
    blocks = "|".join(str(b) for b in sorted({f.block for f in factors}))
    fields = {
        "peft_type": "LORA",
        "r": config.r,
        "lora_alpha": _as_integer(config.alpha),
        "lora_dropout": config.dropout,
        "use_rslora": config.use_rslora,
        "target_modules": rf"blocks\.({blocks})\.({'|'.join(re.escape(path) for path in sorted(ranks))})",
        "rank_pattern": {path: r for path, r in sorted(ranks.items()) if r != config.r},
        "alpha_pattern": {path: _as_integer(a) for path, a in sorted(alphas.items()) if a != config.alpha},
    }
    return tensors, fields


def read_factors(tensors: Tensors, fields: Mapping[str, Any], base: Base) -> tuple[LoRAFactors, ...]:
    """Return the factors that `write_factors` or PEFT wrote for a timm ViT.

    Args:
        tensors: Tensors by module path in the base.
        fields: Fields of ``LoraConfig``.
        base: Frozen base.

    Raises:
        AdapterMismatch: If tensors are missing or do not match the fields or the base, or if the adapter is
            anything other than a sum of frozen weights and factors.
    """
    _refuse_other_methods(fields)
    found = _layers_of(tensors)
    layers = {
        f"blocks.{index}.{path}": (index, path, linear)
        for index, block in enumerate(base.blocks)
        for path, linear in block.named_modules()
        if isinstance(linear, nn.Linear)
    }
    for module in found:
        if module not in layers:
            raise AdapterMismatch(
                f"The adapter changes {module}, which {base.architecture} does not have. Choose another base."
            )
    _check_targets(fields, found, layers)
    if not found:
        raise AdapterMismatch(
            f"The adapter's targets match no layer of {base.architecture}. Choose another base."
        )
    factors = []
    for module, (index, path, linear) in layers.items():
        if module in found:
            a, b = (_tensor(tensors, f"{module}.lora_{side}.weight") for side in "AB")
            _check_shapes(module, a, b, linear)
            _check_rank(module, a.shape[0], fields)
            alpha = _pattern(fields, "alpha_pattern", module, fields.get("lora_alpha", 8))
            alpha = number("lora_alpha", alpha, 0, _MAX_ALPHA, above=True)
            scale = alpha / _divisor(a.shape[0], _switch(fields, "use_rslora"))
            factors.append(LoRAFactors(index, path, a, b, scale))
    return tuple(factors)


def _refuse_other_methods(fields: Mapping[str, Any]) -> None:
    for name, value in sorted(fields.items(), key=lambda field: field[0] != "peft_type"):
        if value is None or name in _IGNORED:
            continue
        supported = _SUPPORTED_VALUES.get(name, (False, {}, [], 0))
        if not any(type(value) is type(allowed) and value == allowed for allowed in supported):
            raise AdapterMismatch(
                f"The adapter was trained with {name} = {str(value)[:60]}, which is not plain LoRA on a "
                "frozen "
                "base. Train it again without this setting."
            )


def _layers_of(tensors: Tensors) -> set[str]:
    """Return the modules that have factors."""
    modules = set()
    for key in tensors:
        match = _KEY.fullmatch(key)
        if match is None:
            method = next((name for part, name in _UNSUPPORTED_TENSORS.items() if part in key), None)
            problem = f"belongs to {method}" if method else "is not a low-rank factor of a block"
            raise AdapterMismatch(f"{key} {problem}. Only plain LoRA can be loaded.")
        modules.add(f"blocks.{match[1]}.{match[2]}")
    return modules


def _check_targets(fields: Mapping[str, Any], found: set[str], layers: Mapping[str, Any]) -> None:
    """Compare the modules that have factors with the configuration, as far as it can be read."""
    targets = _target_layers(fields.get("target_modules"), layers)
    if targets is None:
        return
    for module in sorted(found - targets):
        raise AdapterMismatch(
            f"The adapter's configuration does not include {module}. Export the adapter again."
        )
    if fields.get("exclude_modules") or fields.get("layers_to_transform") is not None:
        return
    for module in sorted(targets - found):
        raise AdapterMismatch(f"The adapter has no factors for {module}. Export it again.")


def _target_layers(target_modules: Any, layers: Mapping[str, Any]) -> set[str] | None:
    """Return the layers that the configuration names, or None if only an expression could tell.

    As in PEFT, a list contains endings of names, and a string is an expression for the whole name. Of
    expressions, only the form of `write_factors` is read. For any other the tensors alone decide.
    """
    if isinstance(target_modules, str):
        form = _OWN_FORM.fullmatch(target_modules)
        if form is None:
            return None
        blocks, paths = form[1].split("|"), form[2].replace("\\.", ".").split("|")
        return {m for m in layers if m.split(".", 2)[1] in blocks and m.split(".", 2)[2] in paths}
    endings = tuple(str(target) for target in target_modules or ())
    return {m for m in layers if any(m == ending or m.endswith(f".{ending}") for ending in endings)}


def _check_shapes(module: str, a: torch.Tensor, b: torch.Tensor, linear: nn.Linear) -> None:
    expected = f"A (r, {linear.in_features}) and B ({linear.out_features}, r)"
    shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
        raise AdapterMismatch(
            f"The factors of {module} have shapes {shapes} instead of {expected}. Export it again."
        )
    if (a.shape[1], b.shape[0]) != (linear.in_features, linear.out_features):
        raise AdapterMismatch(
            f"The factors of {module} have shapes {shapes}, but the base needs {expected}. Choose another "
            "base."
        )
    if not 1 <= a.shape[0] <= _MAX_FUSED_RANK:
        raise AdapterMismatch(
            f"{module} has rank {a.shape[0]}. Ranks from 1 to {_MAX_FUSED_RANK} can be loaded."
        )


def _check_rank(module: str, rank: int, fields: Mapping[str, Any]) -> None:
    stated = integer("r", _pattern(fields, "rank_pattern", module, fields.get("r", 8)), -ANY, ANY)
    if rank != stated:
        raise AdapterMismatch(f"{module} has rank {rank} instead of {stated}. Export the adapter again.")


def _pattern(fields: Mapping[str, Any], name: str, module: str, default: Any) -> Any:
    """Return the value of the first key that the module's name ends with; keys are taken literally.

    Raises:
        AdapterMismatch: If a key is an expression.
    """
    for key, value in (fields.get(name) or {}).items():
        plain = key.removeprefix("^").replace("\\.", ".")
        if _PLAIN.fullmatch(plain) is None:
            raise AdapterMismatch(
                f"The adapter's {name} has the expression {key[:60]}. Use plain module names."
            )
        if module == plain or (module.endswith(f".{plain}") and not key.startswith("^")):
            return value
    return default


def _tensor(tensors: Tensors, key: str) -> torch.Tensor:
    tensor = tensors.get(key)
    if tensor is None:
        raise AdapterMismatch(f"The adapter has no {key}, the other half of a factor pair. Export it again.")
    return tensor.float()


def _switch(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidValue(name, value, "true or false")
    return bool(value)


def _divisor(rank: int, rslora: bool) -> float:
    return math.sqrt(rank) if rslora else rank


def _as_integer(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value
