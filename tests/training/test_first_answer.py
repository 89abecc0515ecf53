"""A first answer is read back as it was written, and damage is reported."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from loravit_web.backbones import Base
from loravit_web.training import trainer
from loravit_web.training.data import TrainingData
from loravit_web.training.first_answer import (
    ADAPTER_FILE,
    EVALUATION_FILE,
    FIRST_ANSWER_FILES,
    FirstAnswerDamaged,
    read_first_adapter,
    read_first_answer,
    write_first_answer,
)
from tests.training.conftest import Recorder, quick


def test_a_first_answer_is_read_back_as_it_was_written(
    base: Base, data: TrainingData, tmp_path: Path
) -> None:
    recorder = Recorder()
    trainer.train(base, torch.float32, data, quick(epochs=1), work=tmp_path, reporter=recorder)
    ((adapter, evaluation),) = recorder.first
    files = write_first_answer(adapter, base, evaluation, seconds=12.34)
    assert tuple(files) == FIRST_ANSWER_FILES

    found = read_first_answer(files[EVALUATION_FILE])
    assert (found.seconds, found.n, found.accuracy) == (12.3, evaluation.n, evaluation.accuracy)
    assert (found.class_names, found.confusion) == (data.class_names, evaluation.confusion)
    stored = read_first_adapter(files[ADAPTER_FILE], base)
    assert torch.equal(stored.head_weight, adapter.head_weight)
    assert stored.config == adapter.config


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"schema": 2}', b'{"schema": 1, "seconds": "soon"}'])
def test_a_damaged_evaluation_is_refused(data: bytes) -> None:
    with pytest.raises(FirstAnswerDamaged, match="cannot be read by this version"):
        read_first_answer(data)
