"""The precision that the clock shows to be faster is chosen."""

from __future__ import annotations

import pytest
import torch

from loravit_web.backbones import Base, fastest_dtype


class Stopwatch:
    """Clock that advances only while a base computes, by the cost of its precision; the first lap is slow."""

    def __init__(self, costs: dict[torch.dtype, float]) -> None:
        self.costs = costs
        self.now = 0.0
        self.warm: set[torch.dtype] = set()

    def __call__(self) -> float:
        return self.now

    def compute(self, base: Base, tokens: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        assert (start, stop) == (0, 2)
        assert tokens.dtype is base.dtype
        cold = base.dtype not in self.warm
        self.warm.add(base.dtype)
        self.now += self.costs[base.dtype] + (1000.0 if cold and base.dtype is torch.bfloat16 else 0.0)
        return tokens


@pytest.fixture(autouse=True)
def _can_do_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")


@pytest.mark.parametrize(
    ("half", "expected"),
    [
        (0.5, torch.bfloat16),
        (0.89, torch.bfloat16),
        (0.91, torch.float32),
        (3.0, torch.float32),
    ],
    ids=["twice as fast", "a tenth faster", "hardly faster", "slower"],
)
def test_bfloat16_is_chosen_if_it_is_ten_percent_faster_after_the_warm_up(
    half: float, expected: torch.dtype, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Stopwatch({torch.float32: 1.0, torch.bfloat16: half})
    monkeypatch.setattr(Base, "advance", lambda base, *rest: watch.compute(base, *rest))
    assert fastest_dtype(base, image_size=32, clock=watch) is expected


def test_a_processor_without_instructions_for_bfloat16_is_not_measured(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setattr(Base, "advance", None)
    assert fastest_dtype(base) is torch.float32


def test_the_measured_base_is_not_changed(base: Base) -> None:
    fastest_dtype(base, image_size=37, rounds=1)
    assert base.dtype is torch.float32
