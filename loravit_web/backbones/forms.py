"""The blocks of a base in one layout, and which layouts a base and this torch have."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from loravit_web.backbones.base import Base
from loravit_web.backbones.plain_block import LAYOUTS, LINEARS, Layout, PlainBlock, is_plain, laid_out
from loravit_web.backbones.structure import shallow_copy

_TOLERANCES = {torch.float32: 1e-4}
_OTHER_TOLERANCE = 3e-2


class InferenceForm:
    """The blocks of a base in one layout, and the blocks of adapters over it.

    Blocks that are not plain stay as they are. Layers that an adapter does not change are shared.

    Args:
        base: Base that runs, on a CPU.
        layout: Layout of the weights.
    """

    def __init__(self, base: Base, layout: Layout) -> None:
        self.layout = layout
        self._frozen: dict[nn.Module, nn.Module] = {}
        self.base = base
        if layout == "loaded":
            return
        for block in filter(is_plain, base.blocks):
            self._frozen |= {block.get_submodule(path): laid_out(block, path, layout) for path in LINEARS}
        model: Any = shallow_copy(base.model)
        model.blocks = nn.Sequential(*map(self.block, base.blocks))
        self.base = base.with_model(model)

    def block(self, block: nn.Module) -> nn.Module:
        """Return a block of the base, or an adapted copy of one, in this form; the block is not changed."""
        if self.layout == "loaded" or not is_plain(block):
            return block

        def layer(path: str) -> nn.Module:
            return self._frozen.get(block.get_submodule(path)) or laid_out(block, path, self.layout)

        return PlainBlock(block, layer)


def layouts(base: Base) -> tuple[Layout, ...]:
    """Return the layouts in which the first block of a base can be computed with the right result."""
    if base.device.type != "cpu" or not is_plain(base.blocks[0]):
        return ("loaded",)
    return tuple(layout for layout in LAYOUTS if layout == "loaded" or _computes(base, layout))


def _computes(base: Base, layout: Layout) -> bool:
    """Return whether the first block gives its result in a layout, which this torch may not have."""
    block, generator = base.blocks[0], torch.Generator().manual_seed(0)
    tokens = torch.randn(1, base.token_count(base.trial_size), base.embed_dim, generator=generator)
    with torch.inference_mode():
        expected = block(tokens.to(base.dtype)).float()
        try:
            form = PlainBlock(block, lambda path: laid_out(block, path, layout))
            found = form(tokens.to(base.dtype)).float()
        except (AttributeError, NotImplementedError, RuntimeError):
            return False
    tolerance = _TOLERANCES.get(base.dtype, _OTHER_TOLERANCE) * float(expected.abs().max())
    return torch.allclose(found, expected, rtol=0, atol=tolerance)
