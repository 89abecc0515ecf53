"""A task with several labels answers with every label over its threshold, or with none."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.labels import READINGS
from loravit_web.backbones import Base
from loravit_web.catalog.publishing import Origin, publish
from loravit_web.engine import EnginePool, MultiLoRAViT
from loravit_web.serving.answers import NONE, Label, TaskAnswer
from loravit_web.serving.predictor import Predictor
from loravit_web.serving.stored import stored_adapters
from loravit_web.serving.table import Row, as_csv, as_table
from registry import NewBase, Registry
from tests.adapters.makers import random_adapter

IMAGE = Image.new("RGB", (40, 40), (200, 30, 90))
SEVERAL = ViTAdapterConfig(r=2, blocks=1, labels="many")


@pytest.fixture
def adapter(base: Base) -> Adapter:
    return random_adapter(base, SEVERAL, classes=("cat", "dog", "hen"))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "artifacts") as opened:
        yield opened


def answered(registry: Registry, base: Base, adapter: Adapter, *, top_k: int = 5) -> TaskAnswer:
    record = registry.bases.ensure(
        NewBase(base.name, base.weights_sha256, base.architecture, base.embed_dim, base.depth)
    )
    publish(registry, adapter, base, Origin("pets", "Pets", record.id, "test"))
    engine = MultiLoRAViT(base, torch.float32, load=stored_adapters(registry, base))
    predictor = Predictor(registry, EnginePool(engine, lambda _name: engine))
    (result,) = predictor.classify(IMAGE, ["pets"], top_k=top_k).results
    assert predictor.tasks()[0].labels == "many"
    return result


def test_each_label_has_a_probability_of_its_own(registry: Registry, base: Base, adapter: Adapter) -> None:
    result = answered(registry, base, adapter)
    engine = MultiLoRAViT(base, torch.float32)
    engine.add("pets", adapter)
    (logits,) = (one["pets"] for one in engine.forward(base.preprocessing(32)([IMAGE]), [["pets"]]))
    expected = torch.sigmoid(logits / adapter.temperature)
    assert {label.label: label.score for label in result.labels} == pytest.approx(
        dict(zip(adapter.class_names, expected.tolist(), strict=True)), abs=1e-4
    )


@pytest.mark.parametrize(("threshold", "count"), [(0.0, 3), (1.0, 0)])
def test_the_answer_has_every_label_over_its_threshold_however_few_labels_were_asked_for(
    threshold: float, count: int, registry: Registry, base: Base, adapter: Adapter
) -> None:
    result = answered(registry, base, replace(adapter, thresholds=(threshold,) * 3), top_k=1)
    assert (len(result.labels), len(result.answer)) == (1, count)
    scores = [label.score for label in result.answer]
    assert scores == sorted(scores, reverse=True)
    assert result.unsure is False
    assert (result.text == NONE) == (count == 0)


def test_thresholds_differ_by_class_and_the_order_is_that_of_the_probabilities() -> None:
    several = READINGS["many"]
    assert several.answer(torch.tensor([0.3, 0.9, 0.6, 0.4]), (0.2, 0.5, 0.7, 0.4)) == [1, 3, 0]
    assert several.answer(torch.tensor([0.1, 0.1]), (0.2, 0.5)) == []
    assert READINGS["one"].answer(torch.tensor([0.1, 0.6, 0.3]), ()) == [1]


def test_probabilities_of_huge_logits_stay_finite_for_both_kinds() -> None:
    logits = torch.tensor([3e38, -3e38, 0.0])
    for reading in READINGS.values():
        assert bool(torch.isfinite(reading.probabilities(logits, 1e-3)).all())


def test_the_table_and_its_csv_have_all_labels_of_an_answer_or_none() -> None:
    cat, dog, hen = Label("cat", 0.9), Label("dog", 0.6), Label("hen", 0.1)
    both = TaskAnswer("pets@1", "Pets", (cat, dog, hen), None, 1.0, None, (cat, dog))
    nothing = TaskAnswer("pets@1", "Pets", (hen,), None, 1.0, None, ())
    one = TaskAnswer("pets@1", "Pets", (cat, dog), None, 1.0)
    rows = [Row(f"{number}.png", (answer,), None) for number, answer in enumerate((both, nothing, one))]
    assert list(as_table(rows)["pets@1"]) == ["cat 90%; dog 60%", "none", "cat 90%"]
    lines = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert [(line["image"], line["label"], line["answer"]) for line in lines] == [
        ("0.png", "cat", "cat;dog"),
        ("0.png", "dog", "cat;dog"),
        ("0.png", "hen", "cat;dog"),
        ("1.png", "hen", "none"),
        ("2.png", "cat", "cat"),
        ("2.png", "dog", "cat"),
    ]
