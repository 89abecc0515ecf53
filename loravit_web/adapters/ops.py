"""The math of low-rank adapters as pure functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def low_rank(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the low-rank part of an adapted linear layer.

    Semantics: ``y = (x @ A.T) @ B.T``

    Args:
        x: Inputs (..., in).
        a: Factor A (r, in); cast to the dtype of ``x``.
        b: Factor B (out, r) with the scale folded in; cast to the dtype of ``x``.

    Returns:
        Outputs (..., out) in the dtype of ``x``.
    """
    # With MKL the gradient of B takes eight times as long as that of its transpose.
    return F.linear(x, a.to(x.dtype)) @ b.to(x.dtype).T.contiguous()


def merged_weight(weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, scale: float) -> torch.Tensor:
    """Return the weight of a linear layer with its adapter merged in.

    Semantics: ``W' = W + scale * (B @ A)``, a new tensor computed in float32.

    Args:
        weight: Weight W (out, in).
        a: Factor A (r, in).
        b: Factor B (out, r) without the scale.
        scale: alpha / r, or alpha / sqrt(r) for rsLoRA.

    Returns:
        Float32 weight (out, in).
    """
    return torch.addmm(weight.float(), b.float(), a.float(), alpha=scale)


def add_low_rank_(y: torch.Tensor, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> None:
    """Add the low-rank part to the output of an adapted linear layer, in place.

    Semantics: ``y += (x @ A.T) @ B.T``

    Args:
        y: Outputs (..., out), contiguous.
        x: Inputs (..., in), contiguous, in the dtype of ``y``.
        a: Factor A (r, in) in the dtype of ``y``.
        b: Factor B (out, r) with the scale folded in, in the dtype of ``y``.
    """
    inner = F.linear(x.reshape(-1, x.shape[-1]), a)
    y.view(-1, y.shape[-1]).addmm_(inner, b.T)
