"""The math of low-rank adapters as pure functions."""

from __future__ import annotations

from typing import Any

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


def adapted_linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    a: torch.Tensor,
    b: torch.Tensor,
    scale: float = 1.0,
) -> torch.Tensor:
    """Return the output of a linear layer with its low-rank part, for training.

    Semantics: ``y = x @ W.T + bias + scale * (x @ A.T) @ B.T``, with gradients of x, A and B alone

    Both parts, and both gradients of x, are added up inside the matrix products: a tensor of the size of the
    output is read and written once less in each direction. On two cores that is 0.8 to 0.87 of the time.

    Args:
        x: Inputs (..., in).
        weight: Frozen weight W (out, in) in the dtype of ``x``.
        bias: Frozen bias (out,) in the dtype of ``x``, or None.
        a: Factor A (r, in); cast to the dtype of ``x``.
        b: Factor B (out, r) without the scale; cast to the dtype of ``x``.
        scale: alpha / r, or alpha / sqrt(r) for rsLoRA.

    Returns:
        Outputs (..., out) in the dtype of ``x``.
    """
    result: torch.Tensor = _AdaptedLinear.apply(x, weight, bias, a, b, scale)  # type: ignore[no-untyped-call]
    return result


class _AdaptedLinear(torch.autograd.Function):
    """`adapted_linear`, with gradients written out.

    With G the gradient of y, S = scale * B, and sums over all inputs: ``dx = G @ W + (G @ S) @ A``,
    ``dA = (G @ S).T @ x`` and ``dB = scale * G.T @ (x @ A.T)``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        ctx.shape, ctx.dtype, ctx.scale = x.shape, a.dtype, scale
        flat, a, b = x.reshape(-1, x.shape[-1]), a.to(x.dtype), (b * scale).to(x.dtype)
        inner = flat @ a.T
        y = F.linear(flat, weight, bias).addmm_(inner, b.T)
        ctx.save_for_backward(flat, inner, weight, a, b)
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        flat, inner, weight, a, b = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        inner_grad = grad @ b
        # With MKL the gradient of B takes eight times as long as that of its transpose.
        a_grad, b_grad = inner_grad.T @ flat, (inner.T @ grad).T
        x_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = (grad @ weight).addmm_(inner_grad, a).view(ctx.shape)
        return x_grad, None, None, a_grad.to(ctx.dtype), b_grad.to(ctx.dtype) * ctx.scale, None
