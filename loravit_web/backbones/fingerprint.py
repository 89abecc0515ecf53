"""Identity of a base: a hash of its exact weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch


def weights_sha256(weights: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of the sorted (name, dtype, shape, bytes) of ``weights`` as 64 hex digits.

    Bases with the same architecture and different weights have different hashes. The order of the tensors in
    a file, its format and its name do not matter.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        header = f"{name}\0{str(tensor.dtype).removeprefix('torch.')}\0{tuple(tensor.shape)}\0"
        digest.update(header.encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
