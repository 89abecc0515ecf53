"""The texts of the core that the page translates are those that the core has."""

from __future__ import annotations

from loravit_web.datasets import SAMPLES
from loravit_web.runs.comparison import SHOWN
from loravit_web.runs.curves import LABELS
from loravit_web.runs.next_steps import ADVICE
from loravit_web.training.recipe import PRESETS
from loravit_web.ui.language import core_texts


def test_they_are_those_of_the_core() -> None:
    assert tuple(preset.summary for preset in PRESETS.values()) == core_texts.PRESETS
    assert tuple(sample.title.partition(" (")[0] for sample in SAMPLES.values()) == core_texts.SAMPLES
    assert tuple(LABELS.values()) == core_texts.METRICS
    assert tuple(SHOWN.values()) == core_texts.RESULTS
    assert tuple(ADVICE.values()) == core_texts.ADVICE
