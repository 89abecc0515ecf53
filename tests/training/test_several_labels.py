"""Images with several labels are learned by a sigmoid for each, with a threshold for each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from loravit_web.adapters.files.card import model_card
from loravit_web.adapters.files.format import AdapterFormatError, from_files, to_files
from loravit_web.backbones import Base
from loravit_web.datasets import DatasetStore
from loravit_web.engine import MultiLoRAViT
from loravit_web.images.loading import load_rgb
from loravit_web.training.data import TrainingData, examples, split_data
from loravit_web.training.evaluation import (
    FEWEST_POSITIVES,
    MIDDLE,
    average_precision,
    evaluate_several,
    fit_thresholds,
)
from loravit_web.training.heads.closed_form import fit_closed_form
from loravit_web.training.objective import objective_of, platt_scale
from loravit_web.training.trainer import Trained, train
from tests.training.conftest import QUICK, Recorder, quick

COLOURS = {"red": (1, 0), "green": (0, 1)}
PROBE = replace(QUICK.adapter, adapter_type="PROBE", pooling="none", readout=None)


@pytest.fixture
def tagged(tmp_path: Path) -> TrainingData:
    """Return images whose red and green channels are on or off, each with its own label."""
    folder = tmp_path / "tagged"
    folder.mkdir()
    rows = ["path,split,labels"]
    generator = torch.Generator().manual_seed(0)
    for number in range(64):
        red, green = number % 2, number // 2 % 2
        noise = torch.randint(0, 60, (32, 32, 3), generator=generator)
        noise += torch.tensor([150 * red, 150 * green, 0])
        Image.fromarray(noise.to(torch.uint8).numpy()).save(folder / f"{number}.png")
        labels = ";".join(name for name, on in zip(COLOURS, (red, green), strict=True) if on)
        rows.append(f"{number}.png,{'test' if number >= 48 else ''},{labels}")
    (folder / "tags.csv").write_text("\n".join(rows))
    store = DatasetStore(tmp_path / "store", workers=1)
    return split_data(store.import_source(folder / "tags.csv"), QUICK)


def trained_on(base: Base, data: TrainingData, work: Path, recorder: Recorder | None = None) -> Trained:
    return train(base, torch.float32, data, quick(epochs=6), work=work, reporter=recorder or Recorder())


def test_the_splits_hold_a_matrix_with_all_labels_of_each_image(tagged: TrainingData) -> None:
    assert (tagged.labels, tagged.class_names) == ("many", ("green", "red"))
    for split in (tagged.train, tagged.validation, tagged.test):
        assert split.labels.shape == (len(split), 2)
        assert {tuple(row) for row in split.labels.tolist()} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert len(examples(tagged)) == 2


def test_a_training_finds_none_one_and_several_labels_and_its_files_give_the_same_answers(
    base: Base, tagged: TrainingData, tmp_path: Path
) -> None:
    recorder = Recorder()
    trained = trained_on(base, tagged, tmp_path / "work", recorder)
    assert trained.test is not None
    assert trained.test.mean_average_precision is not None
    assert trained.test.mean_average_precision > 0.9
    assert trained.test.accuracy > 0.8
    assert trained.test.confusion == ()
    assert [one.average_precision is not None for one in trained.test.classes] == [True, True]
    assert (trained.suspects, trained.predictions) == (None, {})
    assert all("val_map" in values for epoch, values in recorder.measured.items() if epoch)
    ((first, evaluation),) = recorder.first
    assert first.config.labels == "many"
    assert evaluation.mean_average_precision is not None

    files = to_files(trained.adapter, base, name="tags", title="Tags")
    adapter = from_files(files, base)
    assert adapter.thresholds == trained.adapter.thresholds
    engine = MultiLoRAViT(base, torch.float32)
    engine.add("tags", adapter)
    images = base.preprocessing(32)([load_rgb(path) for path in tagged.test.paths])
    logits = torch.stack([one["tags"] for one in engine.forward(images, [["tags"]] * len(images))])
    answers = [sorted(adapter.answer(scores)) for scores in adapter.scores(logits)]
    right = [
        found == row.nonzero()[:, 0].tolist() for found, row in zip(answers, tagged.test.labels, strict=True)
    ]
    assert sum(right) / len(right) == pytest.approx(trained.test.accuracy)
    card = model_card(adapter, base, name="tags", title="Tags").decode()
    assert "Finds which of 2 labels an image has" in card
    assert "softmax" not in card


def test_the_probe_alone_answers_with_several_labels(
    base: Base, tagged: TrainingData, tmp_path: Path
) -> None:
    recipe = quick(adapter=PROBE)
    trained = train(base, torch.float32, tagged, recipe, work=tmp_path / "work", reporter=Recorder())
    assert trained.adapter.config.labels == "many"
    assert len(trained.adapter.thresholds) == 2
    assert trained.validation.mean_average_precision is not None
    assert trained.validation.mean_average_precision > 0.8


def test_files_with_several_labels_have_a_version_that_older_readers_refuse(
    base: Base, tagged: TrainingData, tmp_path: Path
) -> None:
    recipe = quick(adapter=PROBE)
    trained = train(base, torch.float32, tagged, recipe, work=tmp_path / "work", reporter=Recorder())
    files = to_files(trained.adapter, base, name="tags", title="Tags")
    assert b'"schema_version": 3' in files["task.json"]
    without = files["task.json"].replace(b'"thresholds"', b'"thresholdz"')
    with pytest.raises(AdapterFormatError, match="'thresholds' is missing"):
        from_files({**files, "task.json": without}, base)


def test_left_out_predictions_are_those_of_a_head_that_never_saw_the_image() -> None:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(30, 6, generator=generator)
    labels = (features[:, :3] + 0.5 * torch.randn(30, 3, generator=generator) > 0).float()
    head = fit_closed_form(features, labels, 3)
    scale = torch.corrcoef(torch.stack([head.left_out.flatten(), head.logits(features).flatten()]))
    assert float(scale[0, 1]) > 0.9
    measured = objective_of(labels).evaluate(head.left_out, labels)
    assert measured.mean_average_precision is not None
    assert measured.mean_average_precision > 0.8
    assert measured.loss < 0.6


def test_the_scale_of_an_output_makes_it_a_probability_also_for_rare_and_absent_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2000, 3, generator=generator) - torch.tensor([0.0, 3.0, 30.0])
    labels = (torch.rand(2000, 3, generator=generator) < torch.sigmoid(logits)).float()
    found = platt_scale(0.1 * logits + 0.4, labels).logits(0.1 * logits + 0.4)
    assert torch.allclose(torch.sigmoid(found).mean(dim=0)[:2], labels.mean(dim=0)[:2], atol=0.01)
    assert (found - logits)[:, :2].abs().mean() < 0.3
    assert bool(torch.isfinite(found).all())
    assert float(torch.sigmoid(found[:, 2]).max()) < 0.05


def test_an_output_that_separates_perfectly_stays_finite() -> None:
    labels = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    found = platt_scale(labels, labels).logits(labels)
    assert bool(torch.isfinite(found).all())
    assert bool(((found > 0) == (labels > 0)).all())


def test_average_precision_is_the_mean_precision_at_the_ranks_of_the_images() -> None:
    logits = torch.tensor([[4.0, 0.0], [3.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    assert average_precision(logits, labels).tolist() == pytest.approx([(1 + 2 / 3) / 2, 0])


def test_the_evaluation_counts_labels_and_images_that_are_right_in_all_of_them() -> None:
    labels = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    logits = torch.tensor([[2.0, -2.0, -2.0], [2.0, -1.0, -2.0], [-2.0, -2.0, 1.0]])
    found = evaluate_several(logits, labels)
    assert found.accuracy == pytest.approx(1 / 3)
    assert found.micro_f1 == pytest.approx(4 / 6)
    assert [one.recall for one in found.classes] == [1, 0, 0]
    assert [one.average_precision for one in found.classes] == [1, 1, None]
    assert found.mean_average_precision == 1
    assert found.macro_f1 == pytest.approx(0.5)
    strict = evaluate_several(logits, labels, thresholds=[0.5, 0.25, 0.9])
    assert strict.accuracy == 1
    assert {"mean_average_precision", "micro_f1"} <= strict.as_json().keys()


def test_a_class_has_a_threshold_of_its_own_only_with_enough_images() -> None:
    rare = FEWEST_POSITIVES - 1
    labels = torch.zeros(60, 3)
    labels[:30, 0], labels[:20, 1], labels[:rare, 2] = 1, 1, 1
    scores = torch.where(labels > 0, 0.32, 0.18)
    scores[:, 0] = torch.where(labels[:, 0] > 0, 0.9, 0.62)
    first, second, third = fit_thresholds(scores, labels)
    assert (first, second) == (0.65, 0.3)
    assert third in (first, second)
    assert fit_thresholds(scores[:, 2:], torch.zeros(60, 1)) == (MIDDLE,)


def test_label_smoothing_moves_both_sides_to_the_middle() -> None:
    labels = torch.tensor([[1.0, 0.0]])
    objective = objective_of(labels)
    sure, unsure = torch.tensor([[20.0, -20.0]]), torch.tensor([[2.9, -2.9]])
    weights = objective.class_weights(labels, 2)
    assert objective.loss(sure, labels, weights, 0.0) < objective.loss(unsure, labels, weights, 0.0)
    assert objective.loss(sure, labels, weights, 0.1) > objective.loss(unsure, labels, weights, 0.1)


def test_a_resumed_training_with_several_labels_ends_the_same(
    base: Base, tagged: TrainingData, tmp_path: Path
) -> None:
    whole = trained_on(base, tagged, tmp_path / "whole")
    recorder = Recorder()
    recorder.keep = False
    first = train(base, torch.float32, tagged, quick(epochs=6), work=tmp_path / "two", reporter=recorder)
    again = trained_on(base, tagged, tmp_path / "two")
    for one in (first, again):
        assert torch.equal(one.adapter.head_weight, whole.adapter.head_weight)
        assert one.adapter.thresholds == whole.adapter.thresholds
