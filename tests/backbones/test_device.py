"""The device that is asked for is used, or refused with the reason; auto takes the CPU instead."""

from __future__ import annotations

import pytest

from loravit_web.backbones.device import THIS_MACHINE, DeviceUnusable, Hardware, chosen_device


def hardware(gpus: int = 0, *, mps: bool = False, fault: str | None = None) -> Hardware:
    return Hardware(lambda: gpus, lambda: mps, lambda _name: fault)


@pytest.mark.parametrize(
    ("asked", "found", "name", "reason"),
    [
        ("auto", hardware(), "cpu", "torch finds no GPU."),
        ("auto", hardware(2), "cuda:0", "It is the first GPU."),
        ("auto", hardware(1, fault="A matrix product on cuda:0 is wrong."), "cpu", "A matrix product"),
        ("auto", hardware(mps=True), "cpu", "torch finds no GPU."),
        ("cpu", hardware(2), "cpu", "LORAVIT_DEVICE is cpu; auto would use a GPU where there is one."),
        ("cuda", hardware(2), "cuda:0", "LORAVIT_DEVICE is cuda."),
        ("cuda:1", hardware(2), "cuda:1", "LORAVIT_DEVICE is cuda:1."),
        ("mps", hardware(mps=True), "mps", "LORAVIT_DEVICE is mps."),
    ],
)
def test_the_device_is_chosen_with_a_reason(asked: str, found: Hardware, name: str, reason: str) -> None:
    device = chosen_device(asked, found)
    assert device.name == name
    assert device.torch.type == name.partition(":")[0]
    assert device.reason.startswith(reason)


@pytest.mark.parametrize(
    ("asked", "found", "reason"),
    [
        ("cuda", hardware(), "LORAVIT_DEVICE is cuda. torch finds no GPU. Set it to auto or cpu."),
        ("cuda:2", hardware(2), "LORAVIT_DEVICE is cuda:2. torch finds 2 GPUs, numbered from 0. Set it"),
        ("mps", hardware(2), "LORAVIT_DEVICE is mps. torch finds no GPU of an Apple processor. Set it"),
        ("cuda", hardware(1, fault="No memory."), "LORAVIT_DEVICE is cuda. No memory. Set it"),
    ],
)
def test_a_device_that_cannot_be_used_is_refused(asked: str, found: Hardware, reason: str) -> None:
    with pytest.raises(DeviceUnusable) as refused:
        chosen_device(asked, found)
    assert str(refused.value).startswith(reason)


def test_a_device_that_computes_has_no_fault() -> None:
    assert THIS_MACHINE.fault("cpu") is None


def test_a_device_that_this_torch_lacks_has_a_fault() -> None:
    assert str(THIS_MACHINE.fault("vulkan")).startswith("torch cannot compute on vulkan (")
