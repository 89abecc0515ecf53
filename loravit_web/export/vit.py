"""The parts of a plain timm ViT as nodes of a graph: embedding, blocks and what heads read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from loravit_web.adapters import Adapter
from loravit_web.adapters.ops import merged_weight
from loravit_web.adapters.prefix import PrefixChange
from loravit_web.backbones import Base
from loravit_web.errors import LoraVitError
from loravit_web.export.graph import Graph

LINEARS = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
"""Paths of the linear layers in a block of a plain ViT."""
_ACTIVATIONS: Mapping[str, str] = {
    "GELU": "erf",
    "GELUTanh": "tanh",
    "QuickGELU": "sigmoid",
    "ReLU": "relu",
}


class NotExportable(LoraVitError):
    """A base or an adapter that cannot be written in this format."""


@dataclass(frozen=True)
class Changes:
    """What an adapter changes in the blocks of a graph.

    Attributes:
        linear: Returns the weight (out, in) of a linear layer by block and path, the adapter merged into it.
        factors: Whether the low-rank factors of every linear layer are inputs.
        prefixes: Whether the keys and values of every block are inputs.
        rows: Keys and values (m, D) by block that stay in the graph.
    """

    linear: Callable[[int, str, nn.Linear], torch.Tensor] = lambda _block, _path, layer: layer.weight
    factors: bool = False
    prefixes: bool = False
    rows: Mapping[int, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)


FROZEN = Changes()
"""No change."""


def merged(adapter: Adapter) -> Changes:
    """Return the changes of an adapter as weights of its own graph."""
    found = {(f.block, f.path): f for f in adapter.change.factors or ()}

    def linear(block: int, path: str, layer: nn.Linear) -> torch.Tensor:
        f = found.get((block, path))
        return layer.weight if f is None else merged_weight(layer.weight, f.a, f.b, f.scale)

    rows = adapter.change.rows if isinstance(adapter.change, PrefixChange) else ()
    return Changes(linear, rows={row.block: (row.keys, row.values) for row in rows})


def embedded(graph: Graph, base: Base, pixels: str, image_size: int) -> str:
    """Add the embedding of normalized images (B, 3, S, S), and return their tokens (B, N, D)."""
    model: Any = base.model
    check_base(base)
    projection, patch, width = model.patch_embed.proj, base.patch_size, base.embed_dim
    side = image_size // patch
    # patches as rows, so that the projection is a matrix product of a weight that is stored like the others
    parts = graph.node("Reshape", pixels, graph.integers(0, 3, side, patch, side, patch))
    parts = graph.node("Transpose", parts, perm=[0, 2, 4, 1, 3, 5])
    parts = graph.node("Reshape", parts, graph.integers(0, side * side, 3 * patch * patch))
    weight = graph.matrix("patch_embed.proj.weight", projection.weight.reshape(width, -1).T)
    tokens = graph.node("MatMul", parts, weight)
    if projection.bias is not None:
        tokens = graph.node("Add", tokens, graph.small("patch_embed.proj.bias", projection.bias))
    tokens = _norm(graph, "patch_embed.norm", model.patch_embed.norm, tokens)
    position, first = _positions(base, image_size)
    if position is not None:
        tokens = graph.node("Add", tokens, graph.small(f"pos_embed.{image_size}", position))
    if first is not None:
        batch = graph.node("Slice", graph.node("Shape", pixels), graph.integers(0), graph.integers(1))
        shape = graph.node("Concat", batch, graph.integers(*first.shape), axis=0)
        rows = graph.node("Expand", graph.small(f"prefix_tokens.{image_size}", first), shape)
        tokens = graph.node("Concat", rows, tokens, axis=1)
    return _norm(graph, "norm_pre", model.norm_pre, tokens)


def _positions(base: Base, image_size: int) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Return the positions (P, D) of the patches, and the tokens (K, D) before them; None if there are none.

    The tokens include their own positions.
    """
    model: Any = base.model
    embedding, count = base.position_embedding(image_size), base.prefix_token_count
    position = None if embedding is None else embedding[0]
    first = [token[0] for token in (model.cls_token, model.reg_token) if token is not None]
    tokens = torch.cat(first) if first else None
    if position is not None and not model.no_embed_class and tokens is not None:
        tokens, position = tokens + position[:count], position[count:]
    return position, tokens


def block(
    graph: Graph, base: Base, index: int, tokens: str, changes: Changes, *, first_only: bool = False
) -> str:
    """Add a block, and return the tokens (B, N, D) after it.

    Args:
        graph: Graph to add to.
        base: Base with the block.
        index: Index of the block.
        tokens: Tokens (B, N, D) before it.
        changes: What an adapter changes.
        first_only: Whether only the first token is needed after it; the result is (B, 1, D).
    """
    module: Any = base.blocks[index]
    name = f"blocks.{index}"
    inner = _norm(graph, f"{name}.norm1", module.norm1, tokens)
    inner = _attention(graph, module.attn, index, inner, changes, first_only=first_only)
    if first_only:
        tokens = graph.node("Slice", tokens, graph.integers(0), graph.integers(1), graph.integers(1))
    tokens = graph.node("Add", tokens, _scaled(graph, f"{name}.ls1", module.ls1, inner))
    inner = _norm(graph, f"{name}.norm2", module.norm2, tokens)
    inner = _linear(graph, module.mlp.fc1, index, "mlp.fc1", inner, changes)
    inner = _activation(graph, module.mlp.act, inner)
    inner = _norm(graph, f"{name}.mlp.norm", module.mlp.norm, inner)
    inner = _linear(graph, module.mlp.fc2, index, "mlp.fc2", inner, changes)
    return graph.node("Add", tokens, _scaled(graph, f"{name}.ls2", module.ls2, inner))


def pooled(graph: Graph, base: Base, tokens: str, *, first_only: bool = False) -> str:
    """Add what `Base.pool` returns, as (B, 1, P, D); without other tokens, the first one is every part."""
    parts = [_part(graph, base, part, tokens, first_only) for part in base.parts]
    joined = parts[0] if len(parts) == 1 else graph.node("Concat", *parts, axis=1)
    return graph.node("Unsqueeze", joined, graph.integers(1))


def features(graph: Graph, base: Base, tokens: str, *, first_only: bool = False) -> str:
    """Add the features (B, P, D) of `Base.parts` after the last block, behind the final norm."""
    tokens = _norm(graph, "norm", base.model.norm, tokens)
    parts = [_part(graph, base, part, tokens, first_only) for part in base.parts]
    normed = [_norm(graph, "fc_norm", base.model.fc_norm, part) for part in parts]
    return normed[0] if len(normed) == 1 else graph.node("Concat", *normed, axis=1)


def _part(graph: Graph, base: Base, part: str, tokens: str, first_only: bool) -> str:
    axis = graph.integers(1)
    if part == "cls" or first_only:
        return graph.node("Slice", tokens, graph.integers(0), graph.integers(1), axis)
    end = graph.integers(2**31 - 1)
    patches = graph.node("Slice", tokens, graph.integers(base.prefix_token_count), end, axis)
    return graph.node("ReduceMean", patches, axes=[1], keepdims=1)


def _attention(
    graph: Graph, module: Any, index: int, tokens: str, changes: Changes, *, first_only: bool
) -> str:
    heads, name = int(module.num_heads), f"blocks.{index}.attn"
    width = int(module.qkv.out_features) // 3
    size = width // heads
    qkv = _linear(graph, module.qkv, index, "attn.qkv", tokens, changes)
    q, k, v = graph.nodes("Split", qkv, graph.integers(width, width, width), count=3, axis=-1)
    if first_only:
        q = graph.node("Slice", q, graph.integers(0), graph.integers(1), graph.integers(1))
    split = graph.integers(0, -1, heads, size)

    def by_head(rows: str, norm: Any, kind: str) -> str:
        rows = graph.node("Transpose", graph.node("Reshape", rows, split), perm=[0, 2, 1, 3])
        return _norm(graph, f"{name}.{kind}_norm", norm, rows)

    k, v = _with_rows(graph, index, k, v, width, changes)
    queries = graph.node("Mul", by_head(q, module.q_norm, "q"), graph.scalar(float(module.scale)))
    keys = graph.node("Transpose", by_head(k, module.k_norm, "k"), perm=[0, 1, 3, 2])
    weights = graph.node("Softmax", graph.node("MatMul", queries, keys), axis=-1)
    mixed = graph.node("MatMul", weights, by_head(v, nn.Identity(), "v"))
    joined = graph.node(
        "Reshape", graph.node("Transpose", mixed, perm=[0, 2, 1, 3]), graph.integers(0, -1, width)
    )
    joined = _norm(graph, f"{name}.norm", module.norm, joined)
    return _linear(graph, module.proj, index, "attn.proj", joined, changes)


def _with_rows(
    graph: Graph, index: int, keys: str, values: str, width: int, changes: Changes
) -> tuple[str, str]:
    """Return keys and values (B, m + N, D) with those of a prefix before them."""
    if changes.prefixes:
        added = [graph.add_input(f"{kind}.{index}", ("m", width)) for kind in ("keys", "values")]
    elif index in changes.rows:
        kinds = zip(("keys", "values"), changes.rows[index], strict=True)
        added = [graph.small(f"{kind}.{index}", rows) for kind, rows in kinds]
    else:
        return keys, values
    batch = graph.node("Slice", graph.node("Shape", keys), graph.integers(0), graph.integers(1))
    shape = graph.node("Concat", batch, graph.integers(1, 1), axis=0)
    rows = [graph.node("Expand", one, shape) for one in added]
    both = zip(rows, (keys, values), strict=True)
    first, second = (graph.node("Concat", row, own, axis=1) for row, own in both)
    return first, second


def _linear(graph: Graph, layer: nn.Linear, index: int, path: str, x: str, changes: Changes) -> str:
    name = f"blocks.{index}.{path}"
    y = graph.node("MatMul", x, graph.matrix(f"{name}.weight", changes.linear(index, path, layer).T))
    if layer.bias is not None:
        y = graph.node("Add", y, graph.small(f"{name}.bias", layer.bias))
    if not changes.factors:
        return y
    a = graph.add_input(f"a.{index}.{path}", (f"r.{index}.{path}", layer.in_features))
    b = graph.add_input(f"b.{index}.{path}", (layer.out_features, f"r.{index}.{path}"))
    inner = graph.node("MatMul", x, graph.node("Transpose", a, perm=[1, 0]))
    return graph.node("Add", y, graph.node("MatMul", inner, graph.node("Transpose", b, perm=[1, 0])))


def _norm(graph: Graph, name: str, norm: nn.Module, x: str) -> str:
    if isinstance(norm, nn.Identity):
        return x
    assert isinstance(norm, nn.LayerNorm)
    weights = [graph.small(f"{name}.weight", norm.weight)]
    if norm.bias is not None:
        weights.append(graph.small(f"{name}.bias", norm.bias))
    return graph.node("LayerNormalization", x, *weights, axis=-1, epsilon=float(norm.eps))


def _scaled(graph: Graph, name: str, scale: Any, x: str) -> str:
    if isinstance(scale, nn.Identity):
        return x
    return graph.node("Mul", x, graph.small(f"{name}.gamma", scale.gamma))


def _activation(graph: Graph, module: nn.Module, x: str) -> str:
    kind = _ACTIVATIONS[type(module).__name__]
    if getattr(module, "approximate", "none") == "tanh":
        kind = "tanh"
    if kind == "relu":
        return graph.node("Relu", x)
    if kind == "sigmoid":
        return graph.node("Mul", x, graph.node("Sigmoid", graph.node("Mul", x, graph.scalar(1.702))))
    if kind == "erf":
        inner = graph.node("Erf", graph.node("Div", x, graph.scalar(2**0.5)))
    else:
        cube = graph.node("Mul", graph.node("Mul", x, x), x)
        inner = graph.node("Add", x, graph.node("Mul", cube, graph.scalar(0.044715)))
        inner = graph.node("Tanh", graph.node("Mul", inner, graph.scalar((2 / torch.pi) ** 0.5)))
    gate = graph.node("Add", inner, graph.scalar(1.0))
    return graph.node("Mul", graph.node("Mul", x, gate), graph.scalar(0.5))


def check_base(base: Base) -> None:
    """Check that a base consists of the parts that this module can write.

    Raises:
        NotExportable: If it has another part.
    """
    model: Any = base.model
    other = _other_part(model)
    if other is None:
        for found in base.blocks:
            other = other or _other_in_block(found)
    if other is not None:
        raise NotExportable(
            f"{base.architecture} has {other}, which cannot be written as ONNX. Train the task on a plain "
            "ViT such as DeiT, DINOv2 or CLIP."
        )


def _other_part(model: Any) -> str | None:
    if getattr(model, "rope", None) is not None:
        return "rotary positions"
    if not hasattr(model, "reg_token") or not isinstance(model.patch_embed.proj, nn.Conv2d):
        return f"an embedding of the kind {type(model.patch_embed).__name__}"
    norms = (model.patch_embed.norm, model.norm_pre, model.norm, model.fc_norm)
    return next((f"a layer {type(norm).__name__}" for norm in norms if not _is_norm(norm)), None)


def _other_in_block(found: Any) -> str | None:
    attention: Any = getattr(found, "attn", None)
    mlp: Any = getattr(found, "mlp", None)
    kinds = (type(found).__name__, type(attention).__name__, type(mlp).__name__)
    if kinds != ("Block", "Attention", "Mlp"):
        return f"a block of the kind {'/'.join(kinds)}"
    if getattr(attention, "gate", None) is not None:
        return "a gate in its attention"
    if type(mlp.act).__name__ not in _ACTIVATIONS:
        return f"the activation {type(mlp.act).__name__}"
    norms = (found.norm1, found.norm2, attention.q_norm, attention.k_norm, attention.norm, mlp.norm)
    return next((f"a layer {type(norm).__name__}" for norm in norms if not _is_norm(norm)), None)


def _is_norm(norm: nn.Module) -> bool:
    return isinstance(norm, nn.Identity | nn.LayerNorm)
