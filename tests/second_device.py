"""A second device that every machine has: torch's ``meta``, whose tensors have no values.

An operation that mixes it with the CPU is an error, as on a GPU. What is copied from it to the CPU is zero.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

SECOND = torch.device("meta")
_ATEN = torch.ops.aten


class SecondDevice(TorchDispatchMode):
    """Gives zeros to the CPU, and counts how often a program waits for a number.

    Attributes:
        waits: Number of single values that were read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        settings = kwargs or {}
        if func is _ATEN._local_scalar_dense.default and args[0].device == SECOND:
            self.waits += 1
            return 0.0
        if func.overloadpacket in (_ATEN._to_copy, _ATEN.to) and args[0].device == SECOND:
            given = [*args[1:], *settings.values()]
            dtypes = [one for one in given if isinstance(one, torch.dtype)]
            if any(isinstance(one, torch.device) and one.type == "cpu" for one in given):
                return torch.zeros(args[0].shape, dtype=(*dtypes, args[0].dtype)[0])
        if func is _ATEN.copy_.default and args[0].device != SECOND and args[1].device == SECOND:
            return args[0].zero_()
        return func(*args, **settings)
