"""Blocks of a plain ViT as a model of OpenVINO."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from loravit_web.backbones.base import Base
from loravit_web.backbones.plain_block import gamma_of, is_plain

_Activation = Callable[[Any, Any], Any]
_ACTIVATIONS: Mapping[str, _Activation] = {
    "GELU": lambda ops, x: ops.gelu(x, "erf"),
    "GELUTanh": lambda ops, x: ops.gelu(x, "tanh"),
    "QuickGELU": lambda ops, x: ops.multiply(x, ops.sigmoid(ops.multiply(x, _number(ops, 1.702)))),
    "ReLU": lambda ops, x: ops.relu(x),
}


def has_graph(base: Base, blocks: Sequence[nn.Module]) -> bool:
    """Return whether `graph_of` can write these blocks, which are of the base or adapted copies."""
    return getattr(base.model, "rope", None) is None and all(map(_is_writable, blocks))


def graph_of(blocks: Sequence[nn.Module], shape: Sequence[int], *, first_only: bool) -> Any:
    """Return an ``openvino.Model`` that takes tokens and gives the tokens after each block.

    Shapes are fixed, because OpenVINO takes 6 to 15 % longer for variable ones.

    Args:
        blocks: Float32 blocks for which `has_graph` holds, in order.
        shape: Shape (B, N, D) of the tokens.
        first_only: Whether only the first token is needed after the last block, which then gives (B, 1, D).
    """
    openvino: Any = importlib.import_module("openvino")
    ops: Any = importlib.import_module("openvino.opset13")
    given = ops.parameter(list(shape), np.float32)
    tokens, results = given, []
    for index, block in enumerate(blocks):
        tokens = _block(ops, block, tokens, shape, first_only=first_only and index == len(blocks) - 1)
        results.append(tokens)
    return openvino.Model(results, [given], "blocks")


def _is_writable(block: Any) -> bool:
    if not is_plain(block):
        return False
    norms = (block.norm1, block.norm2)
    return _activation_name(block) in _ACTIVATIONS and all(norm.weight is not None for norm in norms)


def _activation_name(block: Any) -> str:
    act = block.mlp.act
    return "GELUTanh" if getattr(act, "approximate", "none") == "tanh" else type(act).__name__


def _block(ops: Any, block: Any, tokens: Any, shape: Sequence[int], *, first_only: bool) -> Any:
    mixed = _attention(ops, block, _norm(ops, block.norm1, tokens), shape, first_only=first_only)
    if first_only:
        tokens = _first(ops, tokens, axis=1)
    tokens = ops.add(tokens, _linear(ops, block, "attn.proj", mixed))
    inner = _linear(ops, block, "mlp.fc1", _norm(ops, block.norm2, tokens))
    inner = _ACTIVATIONS[_activation_name(block)](ops, inner)
    return ops.add(tokens, _linear(ops, block, "mlp.fc2", inner))


def _attention(ops: Any, block: Any, inner: Any, shape: Sequence[int], *, first_only: bool) -> Any:
    batch, count, width = shape
    heads = int(block.attn.num_heads)
    parts = ops.split(_linear(ops, block, "attn.qkv", inner), _integer(ops, 2), 3)

    def by_head(number: int, order: tuple[int, ...]) -> Any:
        rows = ops.reshape(parts.output(number), _integers(ops, batch, count, heads, width // heads), False)
        return ops.transpose(rows, _integers(ops, *order))

    queries = ops.multiply(by_head(0, (0, 2, 1, 3)), _number(ops, float(block.attn.scale)))
    if first_only:
        queries = _first(ops, queries, axis=2)
    weights = ops.softmax(ops.matmul(queries, by_head(1, (0, 2, 3, 1)), False, False), -1)
    mixed = ops.transpose(
        ops.matmul(weights, by_head(2, (0, 2, 1, 3)), False, False), _integers(ops, 0, 2, 1, 3)
    )
    return ops.reshape(mixed, _integers(ops, batch, 1 if first_only else count, width), False)


def _linear(ops: Any, block: Any, path: str, x: Any) -> Any:
    """Add a linear layer with the layer scale that follows it folded in."""
    layer, gamma = block.get_submodule(path), gamma_of(block, path)
    weight, bias = layer.weight.detach(), layer.bias
    y = ops.matmul(x, _constant(ops, weight if gamma is None else weight * gamma[:, None]), False, True)
    if bias is None:
        return y
    return ops.add(y, _constant(ops, bias if gamma is None else bias * gamma))


def _norm(ops: Any, norm: Any, x: Any) -> Any:
    y = ops.mvn(x, _integers(ops, -1), True, float(norm.eps), "inside_sqrt")
    y = ops.multiply(y, _constant(ops, norm.weight))
    return y if norm.bias is None else ops.add(y, _constant(ops, norm.bias))


def _first(ops: Any, x: Any, *, axis: int) -> Any:
    return ops.slice(x, _integers(ops, 0), _integers(ops, 1), _integers(ops, 1), _integers(ops, axis))


def _constant(ops: Any, tensor: torch.Tensor) -> Any:
    # OpenVINO keeps constants beside the weights that it lays out, so they share the memory of the base
    return ops.constant(np.ascontiguousarray(tensor.detach().float().cpu().numpy()), shared_memory=True)


def _integers(ops: Any, *values: int) -> Any:
    return ops.constant(np.array(values, dtype=np.int64))


def _integer(ops: Any, value: int) -> Any:
    return ops.constant(np.array(value, dtype=np.int64))


def _number(ops: Any, value: float) -> Any:
    return ops.constant(np.array(value, dtype=np.float32))
