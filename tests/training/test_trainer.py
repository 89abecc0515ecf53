"""The training loop learns, is reproducible, can be stopped, and resumes exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.files.format import from_files, to_files
from loravit_web.adapters.lora import LoRAChange
from loravit_web.backbones import Base
from loravit_web.backbones.fingerprint import weights_sha256
from loravit_web.engine import MultiLoRAViT
from loravit_web.images.loading import load_rgb
from loravit_web.training import loop, trainer
from loravit_web.training.checkpoints import CheckpointError
from loravit_web.training.data import Split, TrainingData
from loravit_web.training.evaluation import evaluate
from loravit_web.training.files.reliability import read_reliability
from loravit_web.training.loop import TrainingDiverged, TrainingLoop
from loravit_web.training.novelty import novelty_readout
from loravit_web.training.objective import objective_of
from loravit_web.training.prefix import compute_prefix_tokens
from loravit_web.training.progress import SilentReporter, TrainingStopped
from loravit_web.training.recipe import Recipe
from loravit_web.training.trainer import Trained
from tests.conftest import tiny_base
from tests.training.conftest import Recorder, quick

STEPS_PER_EPOCH = 3  # 18 images, 6 at a time


def train(
    base: Base,
    data: TrainingData,
    recipe: Recipe,
    work: Path,
    reporter: SilentReporter | None = None,
    dtype: torch.dtype = torch.float32,
) -> Trained:
    return trainer.train(base, dtype, data, recipe, work=work, reporter=reporter or SilentReporter())


def numbers(adapter: Adapter) -> list[torch.Tensor]:
    assert isinstance(adapter.change, LoRAChange)
    factors = [t for f in adapter.change.factors for t in (f.a, f.b)]
    return [*factors, adapter.head_weight, adapter.head_bias, adapter.reference_logits]


def assert_bit_equal(one: Trained, other: Trained) -> None:
    for a, b in zip(numbers(one.adapter), numbers(other.adapter), strict=True):
        assert torch.equal(a, b)
    assert one.adapter.temperature == other.adapter.temperature
    assert (one.best_epoch, one.epochs) == (other.best_epoch, other.epochs)


def stop_at(stage: str, reports: int = 1) -> Callable[[str], None]:
    """Return a callback that cancels at the n-th report of a stage."""
    left = [reports]

    def meanwhile(reported: str) -> None:
        if reported.startswith(stage):
            left[0] -= 1
            if left[0] == 0:
                raise TrainingStopped

    return meanwhile


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_training_separates_red_from_green_and_does_not_change_the_base(
    dtype: torch.dtype, base: Base, data: TrainingData, tmp_path: Path
) -> None:
    recorder = Recorder()
    trained = train(base, data, quick(), tmp_path / "work", recorder, dtype)
    assert trained.validation.accuracy > 0.9
    assert trained.test is not None
    assert trained.test.accuracy > 0.9
    assert weights_sha256(base.model.state_dict()) == base.weights_sha256
    assert not any(p.requires_grad for p in base.model.parameters())

    # The returned adapter is the evaluated one.
    engine = MultiLoRAViT(base, torch.float32)
    engine.add("colours", from_files(to_files(trained.adapter, base, name="colours", title="Colours"), base))
    images = base.preprocessing(32)([load_rgb(path) for path in data.validation.paths])
    logits = torch.stack([one["colours"] for one in engine.forward(images, [["colours"]] * len(images))])
    measured = evaluate(logits, data.validation.labels, temperature=trained.adapter.temperature)
    assert measured.accuracy == trained.validation.accuracy
    assert measured.loss == pytest.approx(
        trained.validation.loss, abs=1e-3 if dtype is torch.float32 else 0.1
    )
    assert measured.n == trained.validation.n == 6


def test_the_probe_answers_before_the_first_epoch_with_the_accuracy_that_is_reported(
    base: Base, data: TrainingData, tmp_path: Path
) -> None:
    recorder = Recorder()
    stages = recorder.stages
    epochs: list[bool] = []
    recorder.first_answer = lambda adapter, base, evaluation: (  # type: ignore[method-assign]
        epochs.append(any(stage.startswith("Epoch") for stage in stages)),
        recorder.first.append((adapter, evaluation)),
    )[1]
    trained = train(base, data, quick(), tmp_path, recorder)
    ((adapter, evaluation),) = recorder.first
    assert epochs == [False]
    assert adapter.config.adapter_type == "PROBE"
    assert evaluation.n == len(data.validation)
    assert evaluation.accuracy == trained.probe_validation_accuracy
    assert adapter.class_names == data.class_names


def test_the_first_answer_and_the_result_tell_images_that_are_unlike_the_training_images(
    base: Base, data: TrainingData, tmp_path: Path
) -> None:
    recorder = Recorder()
    trained = train(base, data, quick(), tmp_path, recorder)
    ((first, _evaluation),) = recorder.first
    assert first.novelty is not None
    assert trained.adapter.novelty is not None
    assert trained.adapter.novelty.readout == novelty_readout(base, trained.adapter.first_block)


def test_the_result_has_the_values_from_which_its_reliability_is_told(
    base: Base, data: TrainingData, tmp_path: Path
) -> None:
    trained = train(base, data, quick(), tmp_path)
    metrics = trained.adapter.summary["metrics"]
    for name, evaluation in (("validation", trained.validation), ("test", trained.test)):
        values = read_reliability(metrics[name]["reliability"])
        assert evaluation is not None
        assert sum(values.correct) == round(evaluation.accuracy * evaluation.n)
        assert values.novelty is not None
        assert len(values.novelty) == len(values.confidence) == evaluation.n


def test_leave_one_out_validation_counts_every_training_and_validation_image(
    base: Base, data: TrainingData, tmp_path: Path
) -> None:
    left_out = train(base, data, quick(), tmp_path, Recorder()).left_out
    assert left_out is not None
    assert left_out.images == len(data.train) + len(data.validation)
    assert left_out.correct > left_out.images / 2


def test_a_probe_alone_has_no_first_answer(base: Base, data: TrainingData, tmp_path: Path) -> None:
    recorder = Recorder()
    probe = ViTAdapterConfig(adapter_type="PROBE", pooling="none", readout=None)
    train(base, data, quick(adapter=probe), tmp_path, recorder)
    assert recorder.first == []


def test_the_metrics_cover_every_epoch_and_progress_never_decreases(
    base: Base, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    losses: list[float] = []
    real = TrainingLoop._calibrated_loss

    def recorded(self: TrainingLoop, logits: torch.Tensor) -> float:
        losses.append(real(self, logits))
        return losses[-1]

    monkeypatch.setattr(TrainingLoop, "_calibrated_loss", recorded)
    trained = train(base, data, quick(epochs=3), tmp_path, recorder)
    assert set(recorder.measured) == {0, 1, 2, 3}
    assert recorder.measured[0] == {"linear_probe_accuracy": trained.probe_validation_accuracy}
    best = 1 + losses.index(min(losses))
    assert trained.best_epoch == best
    assert recorder.measured[best]["val_accuracy"] == trained.validation.accuracy
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[0] > 0
    assert recorder.fractions[-1] == pytest.approx(1.0)
    assert trained.adapter.summary["metrics"]["validation"]["accuracy"] == trained.validation.accuracy
    assert trained.adapter.summary["train_images"] == 18


def test_the_same_seed_gives_the_same_adapter_bit_for_bit(
    base: Base, data: TrainingData, tmp_path: Path, one_thread: None
) -> None:
    first = train(base, data, quick(epochs=2), tmp_path / "a")
    torch.manual_seed(12345)  # the global state of the process must not matter
    again = train(tiny_base(), data, quick(epochs=2), tmp_path / "b")
    assert_bit_equal(first, again)
    other = train(base, data, quick(epochs=2, seed=1), tmp_path / "c")
    assert not torch.equal(first.adapter.head_weight, other.adapter.head_weight)


def test_skipping_tokens_that_the_head_does_not_read_gives_the_same_adapter(
    base: Base, data: TrainingData, tmp_path: Path
) -> None:
    assert base.supports_first_token_block
    whole = replace(base, supports_first_token_block=False)
    curves = []
    for name, one in (("first", base), ("whole", whole)):
        recorder = Recorder()
        train(one, data, quick(), tmp_path / name, recorder)
        curves.append(recorder.measured)
    assert list(curves[0]) == list(curves[1])
    for epoch, values in curves[0].items():
        assert values == pytest.approx(curves[1][epoch], abs=0.01)


@pytest.mark.parametrize(("stage", "reports"), [("Epoch 3", 1), ("Epoch 3", 3), ("Evaluating", 1)], ids=str)
def test_a_resumed_training_gives_the_same_adapter_as_an_uninterrupted_one(
    stage: str, reports: int, base: Base, data: TrainingData, tmp_path: Path, one_thread: None
) -> None:
    recipe = quick(epochs=4, lr=2e-2)
    straight = train(base, data, recipe, tmp_path / "straight")
    with pytest.raises(TrainingStopped):
        train(base, data, recipe, tmp_path / "work", Recorder(stop_at(stage, reports)))
    torch.manual_seed(999)
    recorder = Recorder()
    resumed = train(base, data, recipe, tmp_path / "work", recorder)
    assert set(recorder.measured) == ({0, 3, 4} if stage == "Epoch 3" else {0})
    assert_bit_equal(straight, resumed)


def test_a_checkpoint_of_another_recipe_is_rejected(base: Base, data: TrainingData, tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped):
        train(base, data, quick(), tmp_path, Recorder(stop_at("Epoch 2")))
    with pytest.raises(CheckpointError, match="The checkpoint belongs to another recipe, dataset or base"):
        train(base, data, quick(lr=1e-4), tmp_path)


@pytest.mark.parametrize("stage", ["Reading 18 train", "Fitting", "Epoch 1", "Evaluating", "Testing"])
def test_a_cancelled_training_ends_at_once_in_every_stage(
    stage: str, base: Base, data: TrainingData, tmp_path: Path
) -> None:
    recorder = Recorder(stop_at(stage))
    with pytest.raises(TrainingStopped):
        train(base, data, quick(epochs=1), tmp_path, recorder)
    assert [reported for reported in recorder.stages if reported.startswith(stage)] == recorder.stages[-1:]


def test_progress_is_reported_after_every_step(base: Base, data: TrainingData, tmp_path: Path) -> None:
    recorder = Recorder()
    train(base, data, quick(epochs=2), tmp_path, recorder)
    for epoch in (1, 2):
        assert (
            recorder.stages.count(f"Epoch {epoch} of 2") == STEPS_PER_EPOCH + 1
        )  # and once after the validation


@pytest.mark.parametrize(
    ("reported", "epochs"),
    [("Epoch 2 of 4", 1), ("Epoch 3 of 4", 2)],
    ids=["in the second", "in the third"],
)
def test_stopping_and_keeping_ends_with_the_best_epoch_so_far(
    reported: str, epochs: int, base: Base, data: TrainingData, tmp_path: Path
) -> None:
    recorder = Recorder()

    def request_stop(stage: str) -> None:
        recorder.keep = recorder.keep or stage == reported

    recorder._meanwhile = request_stop
    trained = train(base, data, quick(), tmp_path, recorder)
    assert trained.kept_early
    assert (trained.epochs, trained.kept) == (epochs, "adapter")
    stopped_at = recorder.stages.index(reported)
    assert not any(stage.startswith("Epoch") for stage in recorder.stages[stopped_at + 1 :])
    assert from_files(to_files(trained.adapter, base, name="a", title="A"), base).class_names == (
        "green",
        "red",
    )
    assert recorder.measured[trained.best_epoch]["val_accuracy"] == trained.validation.accuracy


@pytest.mark.parametrize("stage", ["Fitting the probe", "Epoch 1 of 4"])
def test_stopping_and_keeping_before_the_first_epoch_ends_keeps_the_probe(
    stage: str, base: Base, data: TrainingData, tmp_path: Path
) -> None:
    recorder = Recorder()

    def request_stop(reported: str) -> None:
        recorder.keep = recorder.keep or reported == stage

    recorder._meanwhile = request_stop
    trained = train(base, data, quick(), tmp_path, recorder)
    assert (trained.kept, trained.kept_early, trained.best_epoch) == ("probe", True, 0)
    assert trained.adapter.config.adapter_type == "PROBE"
    assert trained.validation.accuracy == trained.probe_validation_accuracy


def test_patience_ends_a_training_that_no_longer_improves(
    base: Base, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([0.5, 0.1, 0.2, 0.1, 0.3, 0.0])
    monkeypatch.setattr(TrainingLoop, "_calibrated_loss", lambda _self, _logits: next(losses))
    trained = train(base, data, quick(epochs=10, patience=2), tmp_path)
    assert (trained.best_epoch, trained.epochs, trained.kept_early) == (2, 4, False)


@pytest.mark.parametrize(("value", "name"), [(math.nan, "NaN"), (math.inf, "infinite")])
def test_a_loss_that_is_not_finite_ends_the_training_with_the_step(
    value: float, name: str, base: Base, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    real = loop.TrainingLoop._step

    def step(self: Any, *args: Any) -> torch.Tensor:
        taken.append(1)
        loss: torch.Tensor = torch.tensor(value) if len(taken) == 5 else real(self, *args)
        return loss

    monkeypatch.setattr(loop.TrainingLoop, "_step", step)
    with pytest.raises(TrainingDiverged, match=f"loss became {name} at step 5. Lower the learning rate"):
        train(base, data, quick(), tmp_path)
    assert len(taken) == 5


def test_an_overflowing_loss_is_detected(
    base: Base, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = type(objective_of(data.train.labels))
    monkeypatch.setattr(objective, "class_weights", lambda *_: torch.tensor([1e38, 1e38]))
    with pytest.raises(TrainingDiverged, match="at step 1"):
        train(base, data, quick(clip=1e6), tmp_path)


def test_parameters_that_become_nan_in_the_last_step_are_not_kept(
    base: Base, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loop.TrainingLoop._step

    def step(self: Any, *args: Any) -> torch.Tensor:
        real(self, *args)
        with torch.no_grad():
            self.head.bias[0] = math.nan
        return torch.tensor(0.5)

    monkeypatch.setattr(loop.TrainingLoop, "_step", step)
    with pytest.raises(TrainingDiverged, match="loss became NaN at step 3"):
        train(base, data, quick(epochs=1), tmp_path)


def test_a_resumed_training_reports_the_curve_so_far_and_the_total_time(
    base: Base, data: TrainingData, tmp_path: Path
) -> None:
    first, recorder = Recorder(stop_at("Epoch 3")), Recorder()
    past, now = iter(range(1000)), iter(range(100, 10_000, 100))
    with pytest.raises(TrainingStopped):
        trainer.train(
            base, torch.float32, data, quick(), work=tmp_path, reporter=first, clock=lambda: float(next(past))
        )
    resumed = trainer.train(
        base, torch.float32, data, quick(), work=tmp_path, reporter=recorder, clock=lambda: float(next(now))
    )
    assert first.begun == [{}]
    assert recorder.begun == [{epoch: first.measured[epoch] for epoch in (1, 2)}]
    own, before = 300, 2  # the checkpoint is of the second look at the clock after the start
    assert resumed.adapter.summary["seconds"] == own + before


@pytest.mark.parametrize("first", [torch.float32, torch.bfloat16], ids=str)
def test_a_resumed_training_keeps_its_precision(
    first: torch.dtype, base: Base, data: TrainingData, tmp_path: Path
) -> None:
    other = torch.bfloat16 if first is torch.float32 else torch.float32
    with pytest.raises(TrainingStopped):
        train(base, data, quick(), tmp_path, Recorder(stop_at("Epoch 3")), first)
    resumed = train(base, data, quick(), tmp_path, dtype=other)
    assert resumed.adapter.summary["precision"] == str(first).removeprefix("torch.")


def test_a_damaged_checkpoint_is_rejected_before_any_image_is_read(
    base: Base, data: TrainingData, tmp_path: Path
) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(b"damaged")
    recorder = Recorder()
    with pytest.raises(CheckpointError, match="is damaged"):
        train(base, data, quick(), tmp_path, recorder)
    assert recorder.stages == []


def test_a_linear_probe_is_trained_by_the_same_loop(base: Base, data: TrainingData, tmp_path: Path) -> None:
    trained = train(base, data, quick(adapter=ViTAdapterConfig("LINEAR"), epochs=8, lr=5e-2), tmp_path)
    assert trained.validation.accuracy > 0.9
    assert trained.adapter.parameter_count == 2 * 32 + 2
    assert trained.adapter.first_block == base.depth


def test_tokens_on_disk_give_the_same_adapter_as_tokens_in_memory(
    base: Base, data: TrainingData, tmp_path: Path, one_thread: None
) -> None:
    in_memory = train(base, data, quick(epochs=1), tmp_path / "a")
    mapped = trainer.train(
        base,
        torch.float32,
        data,
        quick(epochs=1),
        work=tmp_path / "b",
        reporter=SilentReporter(),
        compute=partial(compute_prefix_tokens, ram_limit=1),
    )
    assert (tmp_path / "b" / "train.tokens").exists()
    assert_bit_equal(in_memory, mapped)


def test_a_dataset_without_test_images_has_no_test_results(
    base: Base, data: TrainingData, tmp_path: Path
) -> None:
    untested = replace(data, test=Split((), torch.zeros(0, dtype=torch.int64)))
    trained = train(base, untested, quick(epochs=1), tmp_path)
    assert (trained.test, trained.probe_test_accuracy) == (None, None)
    assert set(trained.adapter.summary["metrics"]) == {"validation"}


def test_stopping_and_keeping_while_images_are_read_cancels_the_run(
    base: Base, data: TrainingData, tmp_path: Path
) -> None:
    recorder = Recorder()
    recorder.keep = True
    with pytest.raises(TrainingStopped, match="before there was anything to keep"):
        train(base, data, quick(), tmp_path, recorder)
    assert recorder.stages == ["Reading 18 train images"]  # and no later stage
