"""The math of low-rank adapters, as pure functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def low_rank(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The low-rank part of an adapted linear layer.

    Semantics: ``y = (x @ A.T) @ B.T``

    Args:
        x: (..., in).
        a: (r, in), cast to the dtype of ``x``.
        b: (out, r), its scale already folded in, cast to the dtype of ``x``.

    Returns:
        (..., out) in the dtype of ``x``.
    """
    # MKL takes eight times as long for the gradient of B as for that of its transpose.
    return F.linear(x, a.to(x.dtype)) @ b.to(x.dtype).T.contiguous()


def merged_weight(weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, scale: float) -> torch.Tensor:
    """The weight of a linear layer with its adapter merged in.

    Semantics: ``W' = W + scale * (B @ A)``, a new tensor computed in float32.

    Args:
        weight: (out, in).
        a: (r, in).
        b: (out, r), without the scale.
        scale: alpha / r, or alpha / sqrt(r) for rsLoRA.
    """
    return torch.addmm(weight.float(), b.float(), a.float(), alpha=scale)


def add_low_rank_(y: torch.Tensor, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> None:
    """Add the low-rank part to the output of an adapted linear layer, in place.

    Semantics: ``y += (x @ A.T) @ B.T``

    Args:
        y: (..., out), contiguous.
        x: (..., in), contiguous, in the dtype of ``y``.
        a: (r, in), in the dtype of ``y``.
        b: (out, r), its scale already folded in, in the dtype of ``y``.
    """
    inner = F.linear(x.reshape(-1, x.shape[-1]), a)
    y.view(-1, y.shape[-1]).addmm_(inner, b.T)
