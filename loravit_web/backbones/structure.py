"""Copies of a module tree that share all parameters except replaced ones."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def shallow_copy(module: M) -> M:
    """Return a new module with the same parameters, buffers and children.

    Setting one does not affect the original.
    """
    clone = copy.copy(module)
    for registry in ("_parameters", "_buffers", "_modules"):
        clone.__dict__[registry] = dict(module.__dict__[registry])
    return clone


def with_replaced(module: M, replacements: Mapping[str, nn.Module]) -> M:
    """Return a copy of ``module`` with the submodules at some dotted paths replaced.

    Only modules on the path to a replacement are copied, and only shallowly: weights are shared, the original
    is not changed, and any architecture is supported.

    Args:
        module: Module to copy.
        replacements: New submodules by dotted path.

    Raises:
        KeyError: If a path does not exist.
    """
    clone = shallow_copy(module)
    nested: dict[str, dict[str, nn.Module]] = {}
    for path, replacement in replacements.items():
        child, _, rest = path.partition(".")
        if child not in clone._modules:
            raise KeyError(path)
        if rest:
            nested.setdefault(child, {})[rest] = replacement
        else:
            clone._modules[child] = replacement
    for child, inner in nested.items():
        original = clone._modules[child]
        if original is None:
            raise KeyError(child)
        clone._modules[child] = with_replaced(original, inner)
    return clone


def without_fused_attention(block: M) -> M:
    """Return a copy of a timm block with explicit instead of fused attention; the weights are shared."""
    plain = {}
    for path, module in block.named_modules():
        if getattr(module, "fused_attn", False):
            plain[path] = shallow_copy(module)
            plain[path].fused_attn = False
    return with_replaced(block, plain)
