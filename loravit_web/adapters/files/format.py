"""File format of an adapter: PEFT's two files, and ``task.json`` with everything that PEFT does not store.

``adapter_config.json`` and ``adapter_model.safetensors`` are as PEFT writes them for a timm ViT whose head is
in ``modules_to_save``, so PEFT can load the folder. A head that also reads other blocks has its weights for
them in a tensor of its own, ``readout.weight``, which PEFT ignores. ``task.json`` has the class names, the
hash of the base, the preprocessing, the calibration and the logits of the reference image, which are checked
at each load.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from loravit_web.adapters.adapter import Adapter, compute_reference_logits
from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.adapters.files.novelty import novelty_fields, novelty_tensors, take_novelty
from loravit_web.adapters.files.numbers import InvalidValue, finite_document, integer, number, numbers
from loravit_web.adapters.interface import AdapterMismatch
from loravit_web.adapters.types import adapter_type
from loravit_web.backbones.base import Base
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.errors import LoraVitError
from loravit_web.util.labels import Labels
from loravit_web.util.text import clean_text

SCHEMAS: Mapping[Labels, int] = {"one": 2, "many": 3}
"""Version of the format by the number of labels; a reader of version 2 would take several labels for one."""
WHITES_SCHEMA = 4
"""Version of the format with `Preprocessing.whites`; earlier readers would scale images by their own bits."""
READABLE_VERSIONS = (1, 2, 3, 4)
"""Format versions that can be read. Version 1 has no readouts."""
CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
TASK_FILE = "task.json"
FILES = (CONFIG_FILE, WEIGHTS_FILE, TASK_FILE)
MAX_BYTES: Mapping[str, int] = {CONFIG_FILE: 1 << 20, TASK_FILE: 4 << 20, WEIGHTS_FILE: 512 << 20}
"""Maximum size of each file in bytes."""
MAX_CLASSES = 10_000
MAX_CLASS_NAME = 200
MAX_SIDE = 10_000
TEMPERATURES = (1e-3, 1e3)
"""Range of temperatures. Outside it, differences between logits vanish or dominate."""
MIN_STD = 1e-3
MAX_LOGIT = 1e30
MAX_WHITE = 3.5e38
"""Largest value of a pixel, a 32-bit float."""
_SHOWN = 40
PREFIX = "base_model.model."
"""Prefix of the names of tensors in the weights file, as PEFT writes them."""
_REFERENCE_TOLERANCE = 5e-3
# Errors caused by values of a wrong type.
_UNUSABLE = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError)


class AdapterFormatError(LoraVitError):
    """Files that are not an adapter, or a damaged one."""


class WrongBase(LoraVitError):
    """An adapter that was trained on another base."""


def to_files(adapter: Adapter, base: Base, *, name: str, title: str) -> dict[str, bytes]:
    """Return the files of an adapter: content by file name.

    Args:
        adapter: Adapter to write.
        base: Base that it runs on.
        name: Name (slug) under which an import publishes it.
        title: Title of the adapter.
    """
    tensors, fields = adapter_type(adapter.config.adapter_type).write(adapter.change, adapter.config)
    tensors |= head_tensors(adapter, base) | novelty_tensors(adapter)
    weights = save({PREFIX + key: t.float().contiguous() for key, t in tensors.items()}, {"format": "pt"})
    config = {
        "auto_mapping": {
            "base_model_class": type(base.model).__name__,
            "parent_library": type(base.model).__module__,
        },
        "base_model_name_or_path": adapter.base_name,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "modules_to_save": ["head"],
        "task_type": None,
        "use_dora": False,
        **fields,
    }
    task = {
        "schema_version": _schema(adapter),
        "name": name,
        "title": title,
        "adapter": adapter.config.as_json(),
        "base": {
            "name": adapter.base_name,
            "architecture": base.architecture,
            "weights_sha256": adapter.base_sha256,
        },
        "class_names": list(adapter.class_names),
        "preprocessing": adapter.preprocessing.as_json(),
        "pooling": adapter.config.pooling,
        "temperature": adapter.temperature,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "reference_logits": [float(x) for x in adapter.reference_logits],
        "novelty": novelty_fields(adapter),
        **({"thresholds": list(adapter.thresholds)} if adapter.thresholds else {}),
        "training": dict(adapter.summary),
    }
    return {CONFIG_FILE: _json(config), WEIGHTS_FILE: weights, TASK_FILE: _json(task)}


def _schema(adapter: Adapter) -> int:
    """Return the lowest version of the format whose readers use an adapter as it was trained."""
    return SCHEMAS[adapter.config.labels] if adapter.preprocessing.whites is None else WHITES_SCHEMA


def base_of(files: Mapping[str, bytes]) -> tuple[str, str]:
    """Return the name and the weights hash of the base that an adapter was trained on.

    Raises:
        AdapterFormatError: If the files are not an adapter.
    """
    task = json_document(files, TASK_FILE)
    try:
        return str(task["base"]["name"]), str(task["base"]["weights_sha256"])
    except (KeyError, TypeError) as error:
        raise AdapterFormatError(
            f"{TASK_FILE} does not name the adapter's base. Export the adapter again."
        ) from error


def from_files(files: Mapping[str, bytes], base: Base) -> Adapter:
    """Read an adapter strictly, and check that it still computes its reference logits.

    Args:
        files: Content by file name.
        base: Base in float32 that the adapter was trained on.

    Raises:
        AdapterFormatError: If files are missing, damaged or changed.
        WrongBase: If the adapter was trained on other weights.
        AdapterMismatch: If its tensors do not match its configuration.
    """
    task, fields = json_document(files, TASK_FILE), json_document(files, CONFIG_FILE)
    if not any(is_version(task.get("schema_version"), known) for known in READABLE_VERSIONS):
        raise AdapterFormatError(
            f"The adapter has format version {task.get('schema_version')}, but this app reads versions up to "
            f"{READABLE_VERSIONS[-1]}. Update the app."
        )
    name, digest = base_of(files)
    if digest != base.weights_sha256:
        raise WrongBase(
            f"The adapter was trained on {name} ({digest[:12]}), but the base in memory is {base.name} "
            f"({base.weights_sha256[:12]}). It only runs on the base it was trained on."
        )
    if hashlib.sha256(_file(files, WEIGHTS_FILE)).hexdigest() != task.get("weights_sha256"):
        raise AdapterFormatError(
            f"{WEIGHTS_FILE} differs from its hash in {TASK_FILE}. Export the adapter again."
        )
    try:
        adapter = _read(task, fields, named_tensors(files), base)
    except InvalidValue as error:
        raise AdapterFormatError(str(error)) from error
    except _UNUSABLE as error:
        raise AdapterFormatError(
            f"{TASK_FILE} cannot be used ({problem_of(error)}). Export the adapter again."
        ) from error
    _check_reference(adapter, base)
    return adapter


def _read(
    task: Mapping[str, Any], fields: Mapping[str, Any], tensors: dict[str, torch.Tensor], base: Base
) -> Adapter:
    config = ViTAdapterConfig.from_json(task["adapter"]).resolved(base)
    kind = adapter_type(config.adapter_type)
    classes = _class_names(task["class_names"])
    head_weight, head_bias = take_head(tensors, len(classes), config, base)
    novelty = take_novelty(tensors, task.get("novelty"), base)
    temperature = number("temperature", task["temperature"], *TEMPERATURES)
    preprocessing = _preprocessing(task["preprocessing"])
    base.preprocessing(preprocessing.image_size)
    return Adapter(
        config=config,
        base_name=base.name,
        base_sha256=base.weights_sha256,
        preprocessing=preprocessing,
        class_names=classes,
        change=kind.read(tensors, fields, config, base),
        head_weight=head_weight,
        head_bias=head_bias,
        temperature=temperature,
        reference_logits=torch.tensor(
            numbers("reference_logits", task["reference_logits"], len(classes), -MAX_LOGIT, MAX_LOGIT)
        ),
        thresholds=_thresholds(task, config, len(classes)),
        novelty=novelty,
        summary=dict(task.get("training") or {}),
    )


def _thresholds(task: Mapping[str, Any], config: ViTAdapterConfig, classes: int) -> tuple[float, ...]:
    if config.labels == "one":
        return ()
    return tuple(numbers("thresholds", task["thresholds"], classes, 0, 1))


def _preprocessing(fields: dict[str, Any]) -> Preprocessing:
    size = fields["input_size"]
    if not isinstance(size, list) or len(size) != 3:
        raise InvalidValue("input_size", size, "a list of 3 numbers")
    for side in size[1:]:
        integer("input_size", side, 1, MAX_SIDE)
    integer("input_size", size[0], 3, 3)
    number("crop_pct", fields.get("crop_pct"), 1, 1)
    numbers("mean", fields["mean"], 3, -10, 10)
    numbers("std", fields["std"], 3, MIN_STD, 10)
    for white in (fields.get("whites") or {}).values():
        number("whites", 0 if white is None else white, 0, MAX_WHITE)
    return Preprocessing.from_json(fields)


def is_version(found: Any, known: int) -> bool:
    """Return whether a file has the known format version; `True` and `1.0` do not count as 1."""
    return type(found) is int and found == known


def _class_names(names: Any) -> tuple[str, ...]:
    """Return valid class names.

    Raises:
        AdapterFormatError: If a name cannot be displayed, or appears twice.
    """
    if not isinstance(names, list):
        raise TypeError("class names are a list")
    for name in names:
        if not isinstance(name, str) or not name or len(name) > MAX_CLASS_NAME or clean_text(name) != name:
            raise AdapterFormatError(
                f"{str(name)[:40]!r} is not a valid class name. Use one line of 1 to {MAX_CLASS_NAME} "
                "visible "
                "characters."
            )
    if len(set(names)) < len(names):
        raise AdapterFormatError("The adapter has the same class name twice. Export it again.")
    return tuple(names)


def problem_of(error: Exception) -> str:
    """Return a phrase for the problem behind an error that a value caused."""
    if isinstance(error, KeyError):
        return f"{str(error.args[0])[:80]!r} is missing"
    return "a value is of a wrong kind"


def head_tensors(adapter: Adapter, base: Base) -> dict[str, torch.Tensor]:
    """Return the tensors of an adapter's head by name: those that PEFT knows, and the readout's."""
    width = base.feature_dim(adapter.config.pooling)
    pooled, readout = adapter.head_weight[:, :width], adapter.head_weight[:, width:]
    tensors = {"head.bias": adapter.head_bias}
    if width:
        tensors["head.weight"] = pooled
    if readout.shape[1]:
        tensors["readout.weight"] = readout
    return tensors


def take_head(
    tensors: dict[str, torch.Tensor], classes: int, config: ViTAdapterConfig, base: Base
) -> tuple[torch.Tensor, torch.Tensor]:
    """Remove the head from an adapter's tensors and return its weight (C, F) and bias (C,).

    Args:
        tensors: Tensors by name; the head's are removed.
        classes: Number of classes C.
        config: Configuration of the adapter.
        base: Base that it runs on.

    Raises:
        AdapterFormatError: If the number of classes is out of range.
        AdapterMismatch: If a tensor is missing or has another shape.
    """
    if not 1 <= classes <= MAX_CLASSES:
        raise AdapterFormatError(
            f"The adapter has {classes} classes. Adapters with 1 to {MAX_CLASSES} classes can be loaded."
        )
    if config.readout is None:
        raise AdapterFormatError(f"{TASK_FILE} does not name the adapter's readout. Export it again.")
    pooled = base.feature_dim(config.pooling)
    widths = {"head.weight": pooled, "readout.weight": config.head_width(base) - pooled}
    weights = [_taken(tensors, key, (classes, width)) for key, width in widths.items() if width]
    bias = _taken(tensors, "head.bias", (classes,))
    return torch.cat(weights, dim=1), bias


def _taken(tensors: dict[str, torch.Tensor], key: str, shape: tuple[int, ...]) -> torch.Tensor:
    found = tuple(tensors[key].shape) if key in tensors else "nothing"
    if found != shape:
        raise AdapterMismatch(
            f"{key} should have shape {shape}, but the file contains {found}. Export the adapter again."
        )
    return tensors.pop(key).float()


def _check_reference(adapter: Adapter, base: Base) -> None:
    found, stored = compute_reference_logits(base, adapter), adapter.reference_logits
    # Relative to the computed logits: a huge stored value must not set its own tolerance.
    tolerance = _REFERENCE_TOLERANCE * max(1.0, float(found.abs().max()))
    finite = math.isfinite(tolerance)
    if not finite or found.shape != stored.shape or not torch.allclose(found, stored, rtol=0, atol=tolerance):
        raise AdapterFormatError(
            "The adapter does not compute the reference logits stored with it, so it was not loaded. "
            "Export it again, or use the timm version it was trained with."
        )


def named_tensors(files: Mapping[str, bytes]) -> dict[str, torch.Tensor]:
    """Return the tensors of the weights file by their names inside the base.

    Raises:
        AdapterFormatError: If the file is missing or damaged.
        AdapterMismatch: If a name is unknown, or a value is not finite.
    """
    try:
        tensors = load(_file(files, WEIGHTS_FILE))
    except SafetensorError as error:
        raise AdapterFormatError(
            f"{WEIGHTS_FILE} is not a valid safetensors file ({error}). Export the adapter again."
        ) from error
    result = {}
    for key, tensor in tensors.items():
        if not key.startswith(PREFIX):
            raise AdapterMismatch(f"{key} is not a tensor of an adapter. Export the adapter again.")
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise AdapterMismatch(f"{key} contains values that are not finite. Train the adapter again.")
        result[key.removeprefix(PREFIX)] = tensor
    return result


def json_document(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """Return one of the files as a JSON object.

    Raises:
        AdapterFormatError: If the file is missing or not a JSON object.
    """
    data = _file(files, name)
    try:
        document = json.loads(data, object_pairs_hook=_unique_keys)
        finite_document(document)
    except (AdapterFormatError, InvalidValue) as error:
        raise AdapterFormatError(f"{name} is not valid JSON. {error}") from error
    except (ValueError, RecursionError) as error:
        raise AdapterFormatError(f"{name} is not valid JSON. Export the adapter again.") from error
    if not isinstance(document, dict):
        raise AdapterFormatError(f"{name} is not a JSON object. Export the adapter again.")
    return document


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise AdapterFormatError(f"It contains {twice[:_SHOWN]!r} twice. Export the adapter again.")
    return document


def _file(files: Mapping[str, bytes], name: str) -> bytes:
    if name not in files:
        raise AdapterFormatError(f"The adapter has no {name}. Export it again.")
    return files[name]


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
