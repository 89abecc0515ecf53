"""Weights of a base as a file in the safetensors format, by timm's names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from loravit_web.backbones.base import Base, UnsupportedBase
from loravit_web.backbones.preprocessing import Triple
from loravit_web.backbones.timm_import import import_timm
from loravit_web.backbones.wrapping import wrap_base
from loravit_web.errors import LoraVitError

EXAMPLE = "vit_small_patch14_dinov2"
_PICKLES = (b"PK\x03\x04", b"\x80")
"""First bytes of what `torch.save` writes, as a zip or as a plain pickle."""


class WeightsFileError(LoraVitError):
    """A file that cannot be read as weights."""


class PickleRefused(WeightsFileError):
    """A pickle, which could run any code when it is read."""


class UnknownArchitecture(LoraVitError):
    """A name that is not one of timm's architectures."""


class OtherArchitecture(LoraVitError):
    """Weights that do not belong to the architecture they are said to belong to."""


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file by name.

    Raises:
        PickleRefused: If the file is a pickle.
        WeightsFileError: If there is no such file, or it is damaged.
    """
    try:
        return weights_of(path.read_bytes(), path.name)
    except OSError as error:
        raise WeightsFileError(
            f"The file {path} cannot be read ({error.strerror or error}). Give the path of a safetensors "
            "file."
        ) from error


def weights_of(data: bytes, name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of the bytes of a safetensors file by name.

    Args:
        data: Bytes of the file.
        name: Name of the file in errors.

    Raises:
        PickleRefused, WeightsFileError: As for `read_weights`.
    """
    try:
        weights = load(data)
    except SafetensorError as error:
        if data.startswith(_PICKLES):  # asked only now, because a safetensors file may begin with these bytes
            raise PickleRefused(
                f"{name} is a pickle, which could run any code when it is read. Save the weights as "
                "safetensors."
            ) from error
        raise WeightsFileError(
            f"{name} is damaged, or is not a safetensors file. Download or save it again."
        ) from error
    for tensor_name, tensor in weights.items():
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsFileError(
                f"{name} has numbers in {tensor_name} that are not finite. Download or save it again."
            )
    return weights


def base_of_weights(
    weights: Mapping[str, torch.Tensor],
    architecture: str,
    *,
    name: str,
    mean: Triple | None = None,
    std: Triple | None = None,
) -> Base:
    """Return a base in float32 with given weights. Weights of a classification head are left out.

    Args:
        weights: Tensors by timm's names.
        architecture: Name of the timm architecture, with or without a tag.
        name: Name of the base.
        mean: Mean of each channel for the normalization, or None for what timm gives for the architecture.
        std: Standard deviation of each channel, or None likewise.

    Raises:
        UnknownArchitecture: If timm does not know the architecture.
        OtherArchitecture: If the weights belong to another one.
        UnsupportedBase: If the architecture is not a plain ViT.
    """
    timm, plain = import_timm(), architecture.partition(".")[0]
    if not timm.is_model(plain):
        raise UnknownArchitecture(
            f"timm has no architecture named {architecture}. Name one such as {EXAMPLE}."
        )
    try:
        model = timm.create_model(plain, num_classes=0, dynamic_img_size=True)
    except TypeError as error:
        raise UnsupportedBase(
            f"{architecture} is not a plain timm Vision Transformer. Choose a ViT, DeiT or DINOv2 model."
        ) from error
    body = _without_head(weights, model.default_cfg.get("classifier") or ())
    _check_same(body, model.state_dict(), architecture)
    model.load_state_dict(body, strict=True)
    config = timm.data.resolve_model_data_config(model)
    return wrap_base(
        model,
        name=name,
        architecture=plain,
        mean=mean or tuple(config["mean"]),
        std=std or tuple(config["std"]),
    )


def weights_bytes(base: Base) -> bytes:
    """Return the safetensors file of a base: the same bytes for the same weights."""
    return bytes(save({name: tensor.contiguous() for name, tensor in base.model.state_dict().items()}))


def _without_head(
    weights: Mapping[str, torch.Tensor], heads: str | tuple[str, ...]
) -> dict[str, torch.Tensor]:
    prefixes = tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
    return {name: tensor for name, tensor in weights.items() if not name.startswith(prefixes)}


def _check_same(
    found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], architecture: str
) -> None:
    """Raise OtherArchitecture unless names and shapes are the same; name one difference."""
    problems = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
    problems += [f"{name} is not part of it" for name in sorted(found.keys() - wanted.keys())]
    problems += [
        f"{name} has the shape {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    if problems:
        raise OtherArchitecture(
            f"The weights do not belong to {architecture}: {problems[0]}. Name the architecture that they "
            "were trained with."
        )
