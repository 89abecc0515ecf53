"""timm's attention in the form that training runs: fewer copies, and only the queries that are read.

With the queries Q, keys K and values V of a head, its output is ``P V`` with ``P = softmax(s Q K^T)``. With G
the gradient of the output, and S that of the softmax's input, the gradients are ``dV = P^T G``,
``dQ = s S K`` and ``dK = s S^T Q``. Written out, one copy in each direction puts the heads of queries, keys
and values in order.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, cast

import torch
import torch.nn.functional as F
from torch import nn

from loravit_web.adapters.layers import LoRALayer
from loravit_web.backbones.structure import with_replaced
from loravit_web.backbones.timm_import import import_timm


class _Parts(Protocol):
    """What an attention consists of, in timm's names."""

    qkv: nn.Module
    proj: nn.Module
    num_heads: int
    head_dim: int


class PackedAttention(nn.Module):
    """timm's `Attention` without norms, gate and dropout; see `is_plain`.

    Args:
        parts: The attention whose layers are shared.
        first_only: Whether to return the output of the first token only. The layer ``qkv`` is then a
            `LoRALayer` whose outputs can be computed in parts.
    """

    def __init__(self, parts: _Parts, *, first_only: bool = False) -> None:
        super().__init__()
        self.qkv, self.proj = parts.qkv, parts.proj
        self.num_heads, self.head_dim = parts.num_heads, parts.head_dim
        self.first_only = first_only

    def forward(
        self, x: torch.Tensor, attn_mask: None = None, is_causal: Literal[False] = False
    ) -> torch.Tensor:
        """Return the outputs (B, N, D), or those of the first token (B, 1, D), of tokens (B, N, D)."""
        queries = None
        if self.first_only:
            layer, width = cast(LoRALayer, self.qkv), self.num_heads * self.head_dim
            queries, packed = layer.part(x[:, :1], 0, width), layer.part(x, width, 3 * width)
        else:
            packed = self.qkv(x)
        return cast(torch.Tensor, self.proj(attend(queries, packed, self.num_heads)))


def is_plain(module: object) -> bool:
    """Return whether a module is timm's `Attention` without norms, gate and dropout."""
    if type(module) is not import_timm().layers.Attention:
        return False
    plain: Any = module
    return (
        all(isinstance(norm, nn.Identity) for norm in (plain.q_norm, plain.k_norm, plain.norm))
        and plain.gate is None
        and not any(dropout.p for dropout in (plain.attn_drop, plain.proj_drop))
    )


def with_packed_attention(block: nn.Module) -> nn.Module:
    """Return a copy of a timm block with `PackedAttention` where its attention is plain."""
    packed = {
        path: PackedAttention(cast(Any, module)) for path, module in block.named_modules() if is_plain(module)
    }
    return with_replaced(block, packed)


def with_first_query(block: nn.Module) -> nn.Module:
    """Return a copy of a block that computes the attention of the first token only, if that is possible.

    The block adds it to every token; only the first token of its output is correct.
    """
    attention: Any = getattr(block, "attn", None)
    if not isinstance(attention, PackedAttention) and not is_plain(attention):
        return block
    if not isinstance(attention.qkv, LoRALayer) or not attention.qkv.has_parts:
        return block
    return with_replaced(block, {"attn": PackedAttention(attention, first_only=True)})


def attend(queries: torch.Tensor | None, packed: torch.Tensor, heads: int) -> torch.Tensor:
    """Return the outputs (B, M, D) of all heads, side by side.

    Args:
        queries: Queries (B, M, D), or None if they are packed as well.
        packed: Keys and values (B, N, 2 * D), or queries, keys and values (B, N, 3 * D).
        heads: Number of heads.
    """
    if torch.is_grad_enabled():
        result: torch.Tensor = _Attention.apply(queries, packed, heads)  # type: ignore[no-untyped-call]
        return result
    parts = _by_head(packed, 3 if queries is None else 2, heads)
    q, k, v = parts if queries is None else (*_by_head(queries, 1, heads), *parts)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _by_head(packed: torch.Tensor, parts: int, heads: int) -> torch.Tensor:
    """Return a view (P, B, H, N, d) of P packed parts (B, N, P * H * d)."""
    return packed.reshape(*packed.shape[:2], parts, heads, -1).permute(2, 0, 3, 1, 4)


def _side_by_side(parts: torch.Tensor) -> torch.Tensor:
    """Return the packed parts (B, N, P * H * d) of (P, B, H, N, d)."""
    return parts.permute(1, 3, 0, 2, 4).flatten(2)


class _Attention(torch.autograd.Function):
    """`attend` with gradients written out; see the module."""

    @staticmethod
    def forward(ctx: Any, queries: torch.Tensor | None, packed: torch.Tensor, heads: int) -> torch.Tensor:
        parts = _by_head(packed, 3 if queries is None else 2, heads)
        ctx.shape = parts.shape[1:4]
        flat = parts.flatten(1, 2)
        own = flat[:1] if queries is None else _by_head(queries, 1, heads).flatten(1, 2)
        q, (k, v) = own[0], flat[-2:]
        scores = torch.baddbmm(q.new_empty(()), q, k.transpose(1, 2), beta=0, alpha=q.shape[-1] ** -0.5)
        p = torch.softmax(scores, dim=-1)
        ctx.is_packed = queries is None
        ctx.save_for_backward(q, k, v, p)
        return _side_by_side(torch.bmm(p, v).view(1, *ctx.shape[:2], *q.shape[1:]))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, p = ctx.saved_tensors
        batch, heads, tokens = ctx.shape
        grad = _by_head(grads[0], 1, heads).flatten(0, 2)
        result = q.new_empty(3 if ctx.is_packed else 2, batch * heads, tokens, q.shape[-1])
        torch.bmm(p.transpose(1, 2), grad, out=result[-1])
        inner = torch.ops.aten._softmax_backward_data(torch.bmm(grad, v.transpose(1, 2)), p, -1, p.dtype)
        scale = q.shape[-1] ** -0.5
        q_grad = result[0] if ctx.is_packed else torch.empty_like(q)
        torch.baddbmm(q_grad, inner, k, beta=0, alpha=scale, out=q_grad)
        torch.baddbmm(result[-2], inner.transpose(1, 2), q, beta=0, alpha=scale, out=result[-2])
        packed = _side_by_side(result.view(-1, batch, heads, *k.shape[1:]))
        if ctx.is_packed:
            return None, packed, None
        return _side_by_side(q_grad.view(1, batch, heads, *q.shape[1:])), packed, None
