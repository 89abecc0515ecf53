"""ZeroGPU, the shared GPUs of Hugging Face Spaces: what an app that runs on the CPU owes them.

There is a GPU only inside a function that is registered for it, in a process of its own and out of each
visitor's daily minutes. Answers take less time here than getting one would, and a training, which nobody
waits for at a page, gets none; so both stay on the CPU. But a Space on that hardware that registers no
function is stopped at its start, so one is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

SECONDS = 10


def register_gpu(
    environ: Mapping[str, str],
    *,
    present: Callable[[str], object] = find_spec,
    load: Callable[[str], Any] = import_module,
) -> None:
    """Register a function where the hardware is ZeroGPU; call it before torch and gradio are imported."""
    if environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true") and present("spaces"):
        load("spaces").GPU(gpu_name, duration=SECONDS)


def gpu_name() -> str:
    """What the GPU calls itself."""
    import torch

    return str(torch.cuda.get_device_name())
