"""A choice is measured until two measurements in a row agree, and remembered from then on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from loravit_web.backbones import Base, NothingRemembered, RememberedChoices, measured, remembered_dtype
from loravit_web.backbones import precision as precision_module

CHOICES = ("slow", "fast")


def measuring(*results: str) -> Callable[[], str]:
    """Return a measurement with these results, one after the other; one too many fails."""
    left = list(results)
    return lambda: left.pop(0)


def test_what_two_measurements_agree_on_is_measured_no_more(base: Base, tmp_path: Path) -> None:
    measure = measuring("fast", "slow", "slow")
    for expected in ("fast", "slow", "slow", "slow", "slow"):
        assert RememberedChoices(tmp_path / "m.json").choose("speed", base, CHOICES, measure) == expected


def test_what_is_no_choice_any_more_is_measured_again(base: Base, tmp_path: Path) -> None:
    remembers = RememberedChoices(tmp_path / "m.json")
    for _ in range(2):
        remembers.choose("speed", base, CHOICES, measuring("fast"))
    assert remembers.choose("speed", base, ("slow", "faster"), measuring("faster")) == "faster"


def test_another_question_or_base_or_machine_is_measured_by_itself(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembers = RememberedChoices(tmp_path / "m.json")
    for _ in range(2):
        remembers.choose("speed", base, CHOICES, measuring("fast"))
    assert remembers.choose("size", base, CHOICES, measuring("slow")) == "slow"
    monkeypatch.setattr(measured, "_processor", lambda: "another processor")
    assert remembers.choose("speed", base, CHOICES, measuring("slow")) == "slow"


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"speed": 3}'])
def test_a_damaged_file_is_written_anew(content: str, base: Base, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(content, encoding="utf-8")
    for _ in range(2):
        RememberedChoices(path).choose("speed", base, CHOICES, measuring("fast"))
    assert RememberedChoices(path).choose("speed", base, CHOICES, measuring()) == "fast"


def test_a_file_that_cannot_be_written_is_told_and_costs_a_measurement(
    base: Base, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    remembers = RememberedChoices(tmp_path / "file" / "m.json")
    assert remembers.choose("speed", base, CHOICES, measuring("fast")) == "fast"
    assert "The next start measures again." in caplog.text


def test_the_file_keeps_the_newest_choices(base: Base, tmp_path: Path) -> None:
    remembers = RememberedChoices(tmp_path / "m.json")
    for number in range(measured.MAX_CHOICES + 3):
        remembers.choose(f"speed {number}", base, CHOICES, measuring("fast"))
    assert len(remembers._read()) == measured.MAX_CHOICES
    assert remembers.choose("speed 0", base, CHOICES, measuring("slow")) == "slow"


def test_without_memory_each_time_is_measured(base: Base) -> None:
    measure = measuring("fast", "slow")
    assert [NothingRemembered().choose("speed", base, CHOICES, measure) for _ in range(2)] == ["fast", "slow"]


def test_a_precision_is_remembered_by_its_name(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [torch.bfloat16, torch.bfloat16]
    monkeypatch.setattr(precision_module, "fastest_dtype", lambda _base: results.pop())
    remembers = RememberedChoices(tmp_path / "m.json")
    assert [remembered_dtype(base, remembers) for _ in range(3)] == [torch.bfloat16] * 3
