"""The values that options choose from are those that the core knows."""

from __future__ import annotations

from typing import get_args

from loravit_web.adapters.config import TARGETS
from loravit_web.adapters.types import ADAPTER_TYPES
from loravit_web.backbones.base import POOLINGS
from loravit_web.cli.choices import AdapterTypeName, FormName, PoolingName, PresetName, TargetName
from loravit_web.datasets.export.forms import Form
from loravit_web.training.recipe import PRESETS


def test_every_value_of_the_core_can_be_chosen_and_no_other() -> None:
    assert get_args(PresetName) == tuple(PRESETS)
    assert get_args(AdapterTypeName) == tuple(ADAPTER_TYPES)
    assert get_args(PoolingName) == POOLINGS
    assert get_args(TargetName) == TARGETS
    assert get_args(FormName) == get_args(Form)
