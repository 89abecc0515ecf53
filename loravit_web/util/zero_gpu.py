"""ZeroGPU, the shared GPUs of Hugging Face Spaces, for an app that runs on the CPU.

A GPU is only available inside a registered function, in a process of its own, and is counted against each
visitor's daily minutes. Answers take less time here than getting a GPU, and a training without a waiting
visitor gets none, so both run on the CPU. But a Space on this hardware that registers no function is stopped
at its start, so one is registered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

SECONDS = 10
"""Duration for which the function reserves a GPU."""


def register_gpu(
    environ: Mapping[str, str],
    *,
    present: Callable[[str], object] = find_spec,
    load: Callable[[str], Any] = import_module,
) -> None:
    """Register a function if the hardware is ZeroGPU. Call it before torch and gradio are imported.

    Args:
        environ: Environment of the process.
        present: Returns a true value if a package is installed.
        load: Imports a package.
    """
    if environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true") and present("spaces"):
        load("spaces").GPU(gpu_name, duration=SECONDS)


def gpu_name() -> str:
    """Return the name of the GPU."""
    import torch

    return str(torch.cuda.get_device_name())
