"""Checkpoints are read back exactly, or rejected."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from loravit_web.training import checkpoints
from loravit_web.training.checkpoints import (
    Checkpoint,
    CheckpointError,
    CheckpointNotSaved,
    TrainingState,
    load_checkpoint,
    save_checkpoint,
)


def a_checkpoint(epoch: int = 3) -> Checkpoint:
    generator = torch.Generator().manual_seed(epoch)
    shapes = [(4, 3), (5,)]

    def some() -> list[torch.Tensor]:
        return [torch.randn(shape, generator=generator) for shape in shapes]

    moments = [
        {"exp_avg": a, "exp_avg_sq": b, "step": torch.tensor(float(epoch))}
        for a, b in zip(some(), some(), strict=True)
    ]
    state = TrainingState(epoch, 2, 0.1 + 0.2, 1.5, 7, {1: {"lr": 0.1}, 2: {"lr": 1e-9}})
    return Checkpoint(some(), some(), some(), moments, torch.bfloat16, state)


def test_a_checkpoint_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    path, saved = tmp_path / "run" / "checkpoint.safetensors", a_checkpoint()
    save_checkpoint(path, a_checkpoint(1), identity="own")
    save_checkpoint(path, saved, identity="own")
    found = load_checkpoint(path, identity="own")
    assert found is not None
    assert (found.dtype, found.state) == (saved.dtype, saved.state)
    for name in ("parameters", "best", "mean"):
        one, other = getattr(found, name), getattr(saved, name)
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    for one, other in zip(found.moments, saved.moments, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in ("exp_avg", "exp_avg_sq", "step"))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_missing_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "checkpoint.safetensors", identity="own") is None


def test_a_checkpoint_of_another_training_is_rejected(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", a_checkpoint(), identity="own")
    with pytest.raises(CheckpointError, match="The checkpoint belongs to another recipe, dataset or base"):
        load_checkpoint(tmp_path / "c", identity="another")


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_truncated_checkpoint_is_rejected(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "c"
    save_checkpoint(path, a_checkpoint(), identity="own")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        CheckpointError,
        match="The checkpoint of the run is damaged. Start the training again instead of resuming it",
    ):
        load_checkpoint(path, identity="own")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"checkpoint": "{"},
        {"checkpoint": "{}"},
        {"checkpoint": '{"identity": "own", "dtype": "int4", "standing": {"curve": {}}}'},
        {"checkpoint": '{"identity": "own", "dtype": "float32", "standing": {"curve": {}}}'},
    ],
    ids=["no description", "broken JSON", "an empty description", "a foreign precision", "missing tensors"],
)
def test_a_safetensors_file_that_is_not_a_checkpoint_is_rejected(
    metadata: dict[str, str] | None, tmp_path: Path
) -> None:
    save_file({"parameter.0": torch.zeros(1)}, tmp_path / "c", metadata=metadata)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(tmp_path / "c", identity="own")


def test_a_crash_during_the_write_keeps_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, a_checkpoint(1), identity="own")

    def crash(_tensors: object, target: Path, metadata: object) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", crash)
    with pytest.raises(CheckpointNotSaved, match="Free some space, and resume"):
        save_checkpoint(path, a_checkpoint(2), identity="own")
    found = load_checkpoint(path, identity="own")
    assert found is not None
    assert found.state.epoch == 1
