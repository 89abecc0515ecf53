"""The mode that the clock shows to be fastest is chosen, and the engine itself is measured."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from loravit_web.backbones.fingerprint import weights_sha256
from loravit_web.engine import ComputeMode, MultiLoRAViT, fastest_engine, fastest_mode, measure
from loravit_web.engine.lanes import Lanes, shared_lanes
from loravit_web.engine.multilora import MERGED_BUDGET
from tests.conftest import tiny_base

LANES = Lanes(2)
COSTS = {"merged": 3.0, "mixed": 4.0, "merged in lanes": 2.0, "mixed in lanes": 2.5}


class Stopwatch:
    """Clock that advances only while an engine computes, by the cost of its mode; first laps are slow."""

    def __init__(self, costs: dict[str, float]) -> None:
        self.costs, self.now = costs, 0.0
        self.laps: dict[MultiLoRAViT, int] = {}

    def __call__(self) -> float:
        return self.now

    def forward(self, engine: MultiLoRAViT, *_arguments: Any) -> None:
        merged = "merged" if engine._branches.budget else "mixed"
        mode = merged + (" in lanes" if engine.lanes is not None else "")
        self.now += self.costs[mode] / 100 + (0 if engine in self.laps else 1 / self.costs[mode])
        self.laps[engine] = self.laps.get(engine, 0) + 1


@pytest.mark.parametrize("fastest", COSTS)
def test_the_fastest_mode_by_the_clock_is_chosen(fastest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(2)
    watch = Stopwatch({**COSTS, fastest: 1.0})
    monkeypatch.setattr(MultiLoRAViT, "forward", lambda engine, *rest: watch.forward(engine, *rest))
    mode = fastest_mode(tiny_base(), torch.float32, image_size=32, clock=watch)
    assert mode.merged is fastest.startswith("merged")
    assert mode.lanes is (shared_lanes(torch.device("cpu")) if "lanes" in fastest else None)


def test_modes_with_lanes_are_not_measured_without_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Stopwatch(COSTS)
    monkeypatch.setattr(MultiLoRAViT, "forward", lambda engine, *rest: watch.forward(engine, *rest))
    assert str(fastest_mode(tiny_base(), torch.float32, image_size=32, clock=watch)) == "merged weights"
    assert len(watch.laps) == 2


def test_a_slow_base_is_measured_once_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Stopwatch({mode: 100 * cost for mode, cost in COSTS.items()})
    monkeypatch.setattr(MultiLoRAViT, "forward", lambda engine, *rest: watch.forward(engine, *rest))
    fastest_mode(tiny_base(), torch.float32, image_size=32, clock=watch)
    assert set(watch.laps.values()) == {2}


def test_a_mode_that_is_much_slower_is_dropped_after_one_lap(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(2)
    monkeypatch.setattr(measure, "_SECONDS", 60)
    watch = Stopwatch(COSTS)
    monkeypatch.setattr(MultiLoRAViT, "forward", lambda engine, *rest: watch.forward(engine, *rest))
    fastest_mode(tiny_base(), torch.float32, image_size=32, clock=watch)
    assert sorted(watch.laps.values()) == [2, 2, 5, 5]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_mode_makes_an_engine_that_computes_in_it(dtype: torch.dtype) -> None:
    base = tiny_base()
    for merged in (True, False):
        engine = ComputeMode(merged, LANES).engine(base, dtype)
        assert engine.lanes is LANES
        assert engine._branches.budget == (MERGED_BUDGET if merged else 0)
    assert fastest_engine(base, dtype).base.dtype is dtype
    assert base.depth == 3
    assert weights_sha256(base.model.state_dict()) == base.weights_sha256
