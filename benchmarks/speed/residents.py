"""What many resident adapters cost: their memory, and the time to find one of them.

The memory is measured in a process of its own, ``python -m benchmarks.speed.residents``, which prints JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import torch

from benchmarks.support.adapters import random_adapter
from benchmarks.support.homes import embedded_base
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.backbones import Base
from loravit_web.engine import MultiLoRAViT

RESIDENTS = 200
_IMAGE_SIZE = 56
_STATM = Path("/proc/self/statm")
_LOOKUPS = 2000


def choosing_seconds(base: Base, dtype: torch.dtype, residents: int, *, rounds: int) -> list[float]:
    """Seconds to find a resident adapter, by round, among so many; keys in random order."""
    engine = MultiLoRAViT(base, dtype)
    adapter = random_adapter(base, ViTAdapterConfig(r=1, blocks=1), 0)
    for index in range(residents):
        engine.add(f"task-{index}", adapter)
    keys = [f"task-{index % residents}" for index in range(_LOOKUPS)]
    random.Random(0).shuffle(keys)
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        for key in keys:
            engine.adapter(key)
        seconds.append((time.perf_counter() - started) / len(keys))
    return seconds


def memory_of_residents(dtype: torch.dtype) -> dict[str, int | None]:
    """Bytes of the adapters' tensors, of all tensors held for them, by which the process grew, and by which
    it grew once each of them was asked, with the copies and images that the engine keeps for speed."""
    command = [sys.executable, "-m", "benchmarks.speed.residents", str(dtype).removeprefix("torch.")]
    result = subprocess.run(command, env=dict(os.environ), stdout=subprocess.PIPE, check=True)
    measured: dict[str, int | None] = json.loads(result.stdout)
    return measured


def _measure(dtype: torch.dtype) -> dict[str, int | None]:
    base = embedded_base()
    engine, config = MultiLoRAViT(base, dtype), ViTAdapterConfig(blocks=4)
    image = torch.zeros(1, 3, _IMAGE_SIZE, _IMAGE_SIZE)
    engine.add("first", random_adapter(base, config, 0, image_size=_IMAGE_SIZE))
    engine.forward(image, [["first"]])  # what the process keeps for ever
    engine.remove("first")
    resident, held = _resident_bytes(), _tensor_bytes(engine)
    tensors = 0
    for seed in range(RESIDENTS):
        adapter = random_adapter(base, config, seed, image_size=_IMAGE_SIZE)
        engine.add(f"task-{seed}", adapter)
        tensors += adapter.nbytes
    del adapter
    measured = {
        "adapters": tensors,
        "held": _tensor_bytes(engine) - held,
        "grown": _difference(_resident_bytes(), resident),
    }
    for seed in range(RESIDENTS):
        engine.forward(image, [[f"task-{seed}"]])
    return {**measured, "answered": _difference(_resident_bytes(), resident)}


def _difference(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before


def _resident_bytes() -> int | None:
    """Memory of this process in use, what was freed given back first; None where Linux does not tell."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    if not _STATM.exists():
        return None
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _tensor_bytes(root: object) -> int:
    """Bytes of all tensors that can be reached from an object, memory that they share counted once."""
    seen: set[int] = set()
    storages: dict[int, int] = {}
    waiting: list[Any] = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | ModuleType | FunctionType):
            continue
        seen.add(id(one))
        if isinstance(one, torch.Tensor):
            storage = one.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        waiting.extend(gc.get_referents(one))
    return sum(storages.values())


def microseconds(seconds: list[float]) -> float:
    """The median."""
    return 1e6 * statistics.median(seconds)


if __name__ == "__main__":
    print(json.dumps(_measure(getattr(torch, sys.argv[1]))))
