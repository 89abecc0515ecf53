"""The device on which bases compute: what is asked for, what is used, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from loravit_web.errors import LoraVitError

_SIDE = 64


class DeviceUnusable(LoraVitError):
    """A device that is asked for and that this machine does not have, or that computes wrongly."""


@dataclass(frozen=True)
class Device:
    """Where bases compute.

    Attributes:
        name: Name for torch: ``cpu``, ``cuda:N`` or ``mps``.
        reason: Why it is used, as a sentence.
    """

    name: str
    reason: str

    @property
    def torch(self) -> torch.device:
        """The device."""
        return torch.device(self.name)


CPU = Device("cpu", "No other device was asked for.")
"""The device of everything that is given none."""


@dataclass(frozen=True)
class Hardware:
    """What this machine and torch have.

    Attributes:
        gpus: Returns the number of CUDA devices.
        has_mps: Returns whether there is a GPU of an Apple processor.
        fault: Returns why a device does not compute, or None.
    """

    gpus: Callable[[], int]
    has_mps: Callable[[], bool]
    fault: Callable[[str], str | None]


def chosen_device(asked: str, hardware: Hardware | None = None) -> Device:
    """Return the device to use.

    Args:
        asked: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; see `Settings.device`.
        hardware: What there is; None for this machine.

    Raises:
        DeviceUnusable: If another device than ``auto`` is asked for and cannot be used.
    """
    found = hardware or THIS_MACHINE
    if asked == "cpu":
        return Device("cpu", "LORAVIT_DEVICE is cpu; auto would use a GPU where there is one.")
    name = {"auto": "cuda:0", "cuda": "cuda:0"}.get(asked, asked)
    fault = _missing(name, found) or found.fault(name)
    if fault is None:
        return Device(name, "It is the first GPU." if asked == "auto" else f"LORAVIT_DEVICE is {asked}.")
    if asked == "auto":
        return Device("cpu", fault)
    raise DeviceUnusable(f"LORAVIT_DEVICE is {asked}. {fault} Set it to auto or cpu.")


def _missing(name: str, hardware: Hardware) -> str | None:
    if name == "mps":
        return None if hardware.has_mps() else "torch finds no GPU of an Apple processor."
    count, number = hardware.gpus(), int(name.partition(":")[2])
    if number < count:
        return None
    return "torch finds no GPU." if count == 0 else f"torch finds {count} GPUs, numbered from 0."


def _fault(name: str) -> str | None:
    """Multiply two matrices on a device, and return why the result is not that of the CPU, or None."""
    rows = torch.randn(_SIDE, _SIDE, generator=torch.Generator().manual_seed(0))
    try:
        product = (rows.to(name) @ rows.to(name)).cpu()
    except RuntimeError as error:
        return f"torch cannot compute on {name} ({str(error).splitlines()[0]})."
    same = torch.allclose(product, rows @ rows, rtol=1e-2, atol=1e-1)  # a GPU may round to TF32
    return None if same else f"A matrix product on {name} is wrong."


THIS_MACHINE = Hardware(torch.cuda.device_count, torch.backends.mps.is_available, _fault)
"""The machine of this process."""
