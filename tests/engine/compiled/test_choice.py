"""OpenVINO computes what is measured to be faster there, if it is installed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest
import torch

from loravit_web.backbones import Base
from loravit_web.engine.compiled import EngineUnusable, OpenVino, choice, openvino_for
from loravit_web.engine.compiled.graph import has_graph
from tests.conftest import tiny_base


class Remembered:
    """Remembers a fixed choice."""

    def __init__(self, chosen: str) -> None:
        self.chosen = chosen
        self.asked: list[str] = []

    def choose(self, what: str, base: Base, choices: Collection[str], measure: Callable[[], str]) -> str:
        assert self.chosen in choices
        self.asked.append(what)
        return self.chosen


def test_what_is_installed_is_used_after_a_measurement() -> None:
    remembers = Remembered("torch")
    assert openvino_for("auto", remembers, installed="2026.4") == OpenVino("2026.4", remembers)
    assert openvino_for("openvino", remembers, installed="2026.4") == OpenVino("2026.4")
    assert openvino_for("torch", remembers, installed="2026.4") is None
    assert openvino_for("auto", remembers, installed=None) is None


def test_an_engine_that_is_asked_for_has_to_be_installed() -> None:
    with pytest.raises(
        EngineUnusable, match=r'not installed. Install it with pip install "loravit-web\[openvino'
    ):
        openvino_for("openvino", Remembered("torch"), installed=None)


@pytest.mark.parametrize("chosen", choice.ENGINES)
def test_each_shape_is_measured_for_itself(chosen: str) -> None:
    remembers, base = Remembered(chosen), tiny_base()
    found = OpenVino("2026.4", remembers).parts(base, base, "loaded")
    assert found is not None
    assert [found._wins(rows, 32) for rows in (1, 4)] == [chosen == "openvino"] * 2
    assert remembers.asked == [
        f"blocks of {rows} x 32 px, float32, loaded, OpenVINO 2026.4" for rows in (1, 4)
    ]


def test_large_batches_are_left_to_pytorch_unmeasured() -> None:
    remembers, base = Remembered("openvino"), tiny_base()
    found = OpenVino("2026.4", remembers).parts(base, base, "loaded")
    assert found is not None
    assert not found._wins(5, 32)
    assert not remembers.asked


@pytest.mark.parametrize(("seconds", "chosen"), [(0.8, "openvino"), (0.95, "torch"), (1.2, "torch")])
def test_openvino_has_to_be_clearly_faster(
    seconds: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    class Run:
        def __init__(self, *_given: Any, **_options: Any) -> None: ...

        def __call__(self, _tokens: torch.Tensor) -> None:
            now[0] += seconds

    def advance(_base: Base, tokens: torch.Tensor, _start: int, _stop: int) -> torch.Tensor:
        now[0] += 1.0
        return tokens

    monkeypatch.setattr(choice, "PartRun", Run)
    monkeypatch.setattr(Base, "advance", advance)
    base = tiny_base()
    assert choice.measured(base, base, 1, 32, clock=lambda: now[0]) == chosen


def test_a_base_with_other_blocks_has_no_graph() -> None:
    base = tiny_base()
    base.blocks[1].mlp.act = torch.nn.Tanh()  # type: ignore[union-attr]
    assert not has_graph(base, base.blocks)
    assert OpenVino("2026.4").parts(base, base, "loaded") is None
