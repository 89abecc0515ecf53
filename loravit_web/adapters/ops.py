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
    return F.linear(F.linear(x, a.to(x.dtype)), b.to(x.dtype))


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
