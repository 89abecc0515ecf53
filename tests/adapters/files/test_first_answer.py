"""A first answer is read back as it was written, and damage is reported."""

from __future__ import annotations

import pytest
import torch

from loravit_web.adapters.files.first_answer import (
    ADAPTER_FILE,
    EVALUATION_FILE,
    FIRST_ANSWER_FILES,
    FirstAnswer,
    FirstAnswerDamaged,
    read_first_adapter,
    read_first_answer,
    write_first_answer,
)
from loravit_web.backbones import Base
from tests.adapters.makers import random_adapter


def test_a_first_answer_is_read_back_as_it_was_written(base: Base) -> None:
    adapter = random_adapter(base)
    answer = FirstAnswer(12.3, adapter.class_names, 8, 0.75, ((0, 0, 6), (1, 0, 2)))
    files = write_first_answer(adapter, base, answer)
    assert tuple(files) == FIRST_ANSWER_FILES
    assert read_first_answer(files[EVALUATION_FILE]) == answer
    stored = read_first_adapter(files[ADAPTER_FILE], base)
    assert torch.equal(stored.head_weight, adapter.head_weight)
    assert stored.config == adapter.config


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"schema": 2}', b'{"schema": 1, "seconds": "soon"}'])
def test_a_damaged_evaluation_is_refused(data: bytes) -> None:
    with pytest.raises(FirstAnswerDamaged, match="cannot be read by this version"):
        read_first_answer(data)
