"""Wrapping of a timm module as a `Base`, if it is a plain ViT."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from loravit_web.backbones.base import Base, UnsupportedBase
from loravit_web.backbones.fingerprint import weights_sha256
from loravit_web.backbones.first_token import FirstTokenBlock
from loravit_web.backbones.preprocessing import Triple

_REQUIRED = ("patch_embed", "_pos_embed", "norm_pre", "blocks", "norm", "fc_norm", "embed_dim")
_SPLIT_TOLERANCE = 1e-3
_REMEDY = "Choose a plain ViT such as ViT, DeiT, DINOv2, SigLIP, CLIP or EVA-02."


def wrap_base(model: nn.Module, *, name: str, architecture: str, mean: Triple, std: Triple) -> Base:
    """Return a frozen `Base` from a copy of a timm ViT, without its head.

    The class of the module does not matter: it is accepted if running its parts one after the other gives the
    same result as running the module.

    Args:
        model: The timm module; not changed.
        name: Name of the base.
        architecture: Name of the timm architecture.
        mean: Mean of each channel for the normalization.
        std: Standard deviation of each channel for the normalization.

    Raises:
        UnsupportedBase: If the module is not a plain timm ViT.
    """
    missing = [part for part in _REQUIRED if not hasattr(model, part)]
    if missing:
        raise UnsupportedBase(
            f"{name} is not a plain timm Vision Transformer (it has no {', '.join(missing)}). {_REMEDY}"
        )
    vit: Any = copy.deepcopy(model)
    vit.reset_classifier(0)
    vit.requires_grad_(False).eval()
    base = Base(name, architecture, weights_sha256(vit.state_dict()), vit, mean, std)
    _check_split(base)
    return replace(base, supports_first_token_block=_supports_first_token_block(base))


@torch.no_grad()
def _check_split(base: Base) -> None:
    """Raise an error if running the model's parts one after the other does not give the model's result."""
    model, side = base.model, base.trial_size
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(1, 3, side, side, generator=generator).to(base.device, base.dtype)
    try:
        whole = model.forward_features(images)
        split = model.norm(base.advance(base.embed(images), 0, base.depth))
    except (RuntimeError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise UnsupportedBase(
            f"{base.name} cannot be run block by block ({type(error).__name__}). {_REMEDY}"
        ) from error
    tolerance = _SPLIT_TOLERANCE * float(whole.abs().max())
    same = split.shape == whole.shape and torch.allclose(split, whole, rtol=0, atol=tolerance)
    if not same or whole.shape[1] != base.token_count(side):
        raise UnsupportedBase(f"{base.name} is more than an embedding and a sequence of blocks. {_REMEDY}")


@torch.no_grad()
def _supports_first_token_block(base: Base) -> bool:
    """Return whether the last block gives the same first token if its MLP runs on that token only."""
    last = base.blocks[-1]
    if not isinstance(getattr(last, "norm2", None), nn.Module):
        return False
    generator = torch.Generator().manual_seed(0)
    shape = (2, base.token_count(base.trial_size), base.embed_dim)
    tokens = torch.randn(shape, generator=generator).to(base.device, base.dtype)
    whole = base.run_blocks([last], tokens, base.depth - 1)[:, :1]
    try:
        first_token = base.run_blocks([FirstTokenBlock(last)], tokens, base.depth - 1)
    except (RuntimeError, TypeError, ValueError, AttributeError, AssertionError):
        return False
    tolerance = _SPLIT_TOLERANCE * float(whole.abs().max())
    return first_token.shape == whole.shape and torch.allclose(first_token, whole, rtol=0, atol=tolerance)
