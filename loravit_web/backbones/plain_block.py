"""A block of a plain ViT in the form that answers fastest on a CPU: weights laid out once, and fewer calls.

A linear layer of torch lays out its weight for the processor at each call, which for few images takes as long
as the product. A block of timm makes some 30 calls, of which 10 compute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import nn

from loravit_web.backbones.structure import shallow_copy

Layout = Literal["loaded", "transposed", "reordered"]
"""How the weights of linear layers lie in memory: as loaded, transposed, or as oneDNN wants them."""
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
LINEARS: Mapping[str, str | None] = {
    "attn.qkv": None,
    "attn.proj": "ls1",
    "mlp.fc1": None,
    "mlp.fc2": "ls2",
}
"""Paths of the linear layers in a plain block, with the layer scale (Touvron et al. 2021, arXiv 2103.17239)
that follows each, and that is folded into its weight."""


class TransposedLinear(nn.Module):
    """A frozen linear layer whose weight is stored as (in, out). For inference only.

    Args:
        weight: Weight (out, in).
        bias: Bias (out,), or None.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self._weight, self._bias = weight.T.contiguous(), bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs (..., out) of the inputs (..., in)."""
        rows = x.reshape(-1, x.shape[-1])
        y = rows @ self._weight if self._bias is None else torch.addmm(self._bias, rows, self._weight)
        return y.view(*x.shape[:-1], -1)


class ReorderedLinear(nn.Module):
    """A frozen linear layer whose weight oneDNN has laid out for its products. For inference only.

    Args:
        weight: Weight (out, in).
        bias: Bias (out,), or None.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        # what torch's own compiler calls, since the public functions lay out the weight at each call
        self._weight, self._bias = torch.ops.mkldnn._reorder_linear_weight(weight, None), bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs (..., out) of the inputs (..., in)."""
        y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return y


class PlainBlock(nn.Module):
    """A block of timm's plain ViT without the calls that do nothing at inference. For inference only.

    Args:
        block: Block for which `is_plain` holds.
        layer: Returns the layer to call for a path of `LINEARS`; see `laid_out`.
    """

    def __init__(self, block: Any, layer: Callable[[str], nn.Module]) -> None:
        super().__init__()
        self.norm1, self.norm2, self.act = block.norm1, block.norm2, block.mlp.act
        self.scales = {path: gamma_of(block, path) for path in LINEARS}
        self.qkv, self.proj, self.fc1, self.fc2 = (layer(path) for path in LINEARS)
        self._heads, self._scale = int(block.attn.num_heads), float(block.attn.scale)
        self._first_token_only = False

    @property
    def layers(self) -> dict[str, nn.Module]:
        """The linear layers by path."""
        return dict(zip(LINEARS, (self.qkv, self.proj, self.fc1, self.fc2), strict=True))

    def with_layers(self, layers: Mapping[str, nn.Module]) -> PlainBlock:
        """Return a copy of the block with other linear layers, by path."""
        clone = shallow_copy(self)
        clone.qkv, clone.proj, clone.fc1, clone.fc2 = (layers[path] for path in LINEARS)
        return clone

    def first_token(self) -> PlainBlock:
        """Return a copy of the block that computes only the first token."""
        clone = shallow_copy(self)
        clone._first_token_only = True
        return clone

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the tokens (B, N, D) after the block, or the first one (B, 1, D)."""
        batch, count, width = tokens.shape
        qkv = self.qkv(_normed(self.norm1, tokens)).view(batch, count, 3, self._heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if self._first_token_only:
            q, tokens, count = q[:, :, :1], tokens[:, :1], 1
        mixed = F.scaled_dot_product_attention(q, k, v, scale=self._scale)
        tokens = self.proj(mixed.transpose(1, 2).reshape(batch, count, width)).add_(tokens)
        return self.fc2(self.act(self.fc1(_normed(self.norm2, tokens)))).add_(tokens)  # type: ignore[no-any-return]


def _normed(norm: Any, tokens: torch.Tensor) -> torch.Tensor:
    return torch.layer_norm(tokens, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def laid_out(block: Any, path: str, layout: Layout) -> nn.Module:
    """Return a linear layer of a plain block in a layout, with the scale that follows it folded in."""
    layer, gamma = block.get_submodule(path), gamma_of(block, path)
    weight, bias = layer.weight.detach(), layer.bias
    if gamma is not None:
        weight = (weight.float() * gamma.float()[:, None]).to(weight.dtype)
        bias = None if bias is None else (bias.float() * gamma.float()).to(bias.dtype)
    bias = None if bias is None else bias.detach()
    return TransposedLinear(weight, bias) if layout == "transposed" else ReorderedLinear(weight, bias)


def gamma_of(block: Any, path: str) -> torch.Tensor | None:
    """Return the layer scale (out,) after a linear layer of a plain block, or None."""
    name = LINEARS[path]
    gamma = None if name is None else getattr(getattr(block, name), "gamma", None)
    return None if gamma is None else gamma.detach()


def is_plain(block: Any) -> bool:
    """Return whether `PlainBlock` computes what a block in evaluation mode computes."""
    attention: Any = getattr(block, "attn", None)
    mlp: Any = getattr(block, "mlp", None)
    if [type(part).__name__ for part in (block, attention, mlp)] != ["Block", "Attention", "Mlp"]:
        return False
    idle = [attention.q_norm, attention.k_norm, getattr(attention, "norm", None), getattr(mlp, "norm", None)]
    return (
        all(part is None or isinstance(part, nn.Identity) for part in idle)
        and all(type(part).__name__ in ("Identity", "LayerScale") for part in (block.ls1, block.ls2))
        and all(isinstance(part, nn.LayerNorm) for part in (block.norm1, block.norm2))
        and all(type(block.get_submodule(path)) is nn.Linear for path in LINEARS)
        and getattr(attention, "gate", None) is None
    )
