"""Training of one adapter, from images to an `Adapter` with its evaluation.

A probe in closed form comes first, so there is an answer within seconds, and nothing worse than it is ever
kept. It does not know the registry, processes or the page: it reports to a `Reporter` and returns a value.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import torch

from loravit_web.adapters.adapter import Adapter, compute_reference_logits
from loravit_web.adapters.novelty import Novelty
from loravit_web.adapters.readout import last_block, readout_text
from loravit_web.adapters.types import adapter_type
from loravit_web.backbones.base import Base
from loravit_web.training.checkpoints import TrainingState, load_checkpoint
from loravit_web.training.data import Split, TrainingData
from loravit_web.training.evaluation import Evaluation
from loravit_web.training.files.predictions import Predictions, predictions_of
from loravit_web.training.files.reliability import reliability_of
from loravit_web.training.files.suspects import Suspects, suspects_of
from loravit_web.training.heads.blend import Difference, Head, compare
from loravit_web.training.heads.finished import finished_head
from loravit_web.training.heads.probe import (
    PROBE_SPREAD,
    LeaveOneOut,
    Probe,
    candidate_readouts,
    fit_probe,
    refit_probe,
)
from loravit_web.training.loop import Surroundings, TrainingLoop
from loravit_web.training.meter import WorkMeter, work_of
from loravit_web.training.novelty import altered_pooled, novelty_readout, trunk_novelty
from loravit_web.training.objective import objective_of
from loravit_web.training.prefix import SCRATCH_SUFFIX, PrefixTokens, compute_prefix_tokens
from loravit_web.training.progress import Reporter, TrainingStopped
from loravit_web.training.recipe import Recipe
from loravit_web.util.labels import several
from loravit_web.util.uninterruptible import run_with_progress

T = TypeVar("T")
SPLITS = ("train", "validation", "test")
_NOTHING_TO_KEEP = "The training was stopped before there was anything to keep."

Kept = Literal["adapter", "probe"]
"""What a training kept: the trained adapter, or the probe because it was better."""


@dataclass(frozen=True, eq=False)
class Trained:
    """Result of a training.

    Attributes:
        adapter: The adapter that was kept, with the parameters of the best epoch, or the probe.
        kept: Which of the two it is. A probe that was asked for is ``adapter``.
        lead: How much better the trained adapter predicts the validation labels than the probe; None if only
            one of them exists.
        validation: Evaluation of the calibrated adapter on the validation split.
        test: Evaluation on the test split, done once; None without test images.
        probe_validation_accuracy: Accuracy of the probe on the validation split.
        probe_test_accuracy: Accuracy of the probe on the test split; None without test images.
        epochs: Number of completed epochs.
        best_epoch: Epoch whose parameters were kept, from 1; 0 if there was none.
        kept_early: Whether a user stopped the training and kept the best so far.
        predictions: Predictions for the validation and test images; empty for several labels per image.
        suspects: Training and validation images whose label looks wrong to the probe; None for several labels
            per image, where they are not searched for.
        left_out: Leave-one-out validation of the probe on the training and validation images; None for
            several labels per image.
    """

    adapter: Adapter
    kept: Kept
    lead: Difference | None
    validation: Evaluation
    test: Evaluation | None
    probe_validation_accuracy: float
    probe_test_accuracy: float | None
    epochs: int
    best_epoch: int
    kept_early: bool
    predictions: Predictions
    suspects: Suspects | None
    left_out: LeaveOneOut | None


def train(
    base: Base,
    dtype: torch.dtype,
    data: TrainingData,
    recipe: Recipe,
    *,
    work: Path,
    reporter: Reporter,
    compute: Callable[..., PrefixTokens] = compute_prefix_tokens,
    clock: Callable[[], float] = time.perf_counter,
) -> Trained:
    """Train one adapter.

    Args:
        base: Base in float32.
        dtype: Precision of the computation, unless a checkpoint continues in another one. Trained parameters
            are float32.
        data: Splits of the run.
        recipe: Recipe of the run.
        work: Folder of this run for mapped tokens and its checkpoint, from which the training continues.
        reporter: Receiver of the progress.
        compute: Computes the prefix tokens of a split, or returns those of an earlier training.
        clock: Returns the time in seconds.

    Raises:
        TrainingStopped: If the reporter stops the training before there is anything to keep.
        TrainingDiverged: If the loss becomes NaN or infinite.
        LoraVitError: If settings, images or the checkpoint are invalid.
    """
    return _Training(base, dtype, data, recipe, work, reporter, compute, clock).run()


@dataclass(frozen=True)
class _Examined:
    """What leave-one-out predictions of the probe tell: `Trained.suspects` and `Trained.left_out`."""

    suspects: Suspects | None
    left_out: LeaveOneOut | None


class _Training:
    def __init__(
        self,
        base: Base,
        dtype: torch.dtype,
        data: TrainingData,
        recipe: Recipe,
        work: Path,
        reporter: Reporter,
        compute: Callable[..., PrefixTokens],
        clock: Callable[[], float],
    ) -> None:
        self.master, self.data, self.work = base, data, work
        self.objective = objective_of(data.train.labels)
        adapter = replace(recipe.adapter, labels=data.labels).resolved(base)
        self.recipe = recipe = replace(recipe, adapter=adapter)
        self.reporter, self._compute, self.clock, self.started = reporter, compute, clock, clock()
        path, identity = work / "checkpoint.safetensors", self._identity()
        resumed = load_checkpoint(path, identity=identity)
        self.earlier = 0.0 if resumed is None else resumed.state.seconds
        self.curve = {} if resumed is None else resumed.state.curve
        self.base = base.cast(dtype if resumed is None else resumed.dtype)
        self.preprocessing = replace(base.preprocessing(recipe.image_size), whites=data.whites)
        self.first_block = base.depth - recipe.adapter.adapted_blocks(base.depth)
        self.meter = WorkMeter(work_of(data, recipe).passes(self.first_block, base.depth), reporter)
        self.loop: TrainingLoop | None = None
        if recipe.is_trained:
            surroundings = Surroundings(reporter, self.meter, lambda: clock() - self.started, path, identity)
            self.loop = TrainingLoop(self.base, data, recipe, surroundings, resumed)

    def run(self) -> Trained:
        self.reporter.begin(self.curve)
        images = {name: self._images(name) for name in SPLITS}
        probe, examined = self._probe(images)
        altered = self._altered()
        state, kept_early, trained, lead = TrainingState(), False, None, None
        if self.loop is not None:
            first = probe.change.first_block
            self._first_answer(probe, trunk_novelty(self.base, first, images["train"].pooled, altered))
            state, kept_early = self.loop.run(images["train"], images["validation"])
            if state.best_epoch:
                self.reporter.report("Evaluating", self.meter.fraction)
                trained = finished_head(self.loop, images, self._computed)
                lead = compare(trained.calibrated, probe.calibrated, self.data.validation.labels)
        better = lead is not None and (lead.mean > 0 or not self.recipe.floor)
        kept: Kept = "adapter" if better or self.loop is None else "probe"
        head = probe if trained is None or kept == "probe" else trained
        novelty = trunk_novelty(self.base, head.change.first_block, images["train"].pooled, altered)
        return self._trained(head, probe, images, novelty, state, kept, lead, kept_early, examined)

    def _images(self, name: str) -> PrefixTokens:
        split = self._split(name)
        views = 2 if self.recipe.mirror and name == "train" and self.loop is not None else 1
        stage, start = f"Reading {len(split)} {name} images", self.meter.done
        units = len(split) * ((views - 1) * self.first_block + self.base.depth)
        return self._compute(
            self.base,
            split.paths,
            self.preprocessing,
            first_block=self.first_block,
            mirror=views == 2,
            keep_tokens=self.loop is not None,
            scratch=self.work / f"{name}{SCRATCH_SUFFIX}",
            progress=lambda fraction: self._reading(start + units * fraction, stage),
        )

    def _split(self, name: str) -> Split:
        return cast(Split, getattr(self.data, name))

    def _reading(self, done: float, stage: str) -> None:
        self.meter.set_done(done, stage)
        if not self.curve and self.reporter.stop_and_keep():
            raise TrainingStopped(_NOTHING_TO_KEEP)

    def _probe(self, images: Mapping[str, PrefixTokens]) -> tuple[Head, _Examined]:
        """Fit the probe, report its accuracy, and fit it once more on training and validation images."""
        chosen = self.recipe.adapter.readout if self.loop is None else None
        readouts = candidate_readouts(self.base) if chosen is None else (chosen,)
        probe = self._computed(
            lambda: fit_probe(
                self.base,
                images["train"].pooled,
                self.data.train.labels,
                len(self.data.class_names),
                readouts,
                seed=self.recipe.seed,
            ),
            "Fitting the probe",
        )
        validation, truth = probe.logits(self.base, images["validation"].pooled), self.data.validation.labels
        temperature = self.objective.temperature(validation, truth, spread=PROBE_SPREAD)
        thresholds = self.objective.thresholds(validation, truth, temperature)
        measured = self.objective.evaluate(validation, truth, temperature=temperature, thresholds=thresholds)
        self.reporter.metrics(0, {"linear_probe_accuracy": measured.accuracy})
        final = self._on_all(probe, images["train"].pooled, images["validation"].pooled)
        config = replace(self.recipe.adapter, adapter_type="PROBE", pooling="none", readout=probe.readout)
        head = Head(
            config=config,
            change=adapter_type("PROBE").change([], config, self.base),
            weight=final.head.weight,
            bias=final.head.bias,
            temperature=temperature,
            thresholds=thresholds,
            logits={"validation": validation, "test": final.logits(self.base, images["test"].pooled)},
        )
        if several(self.data.labels):
            return head, _Examined(None, None)
        logits = final.left_out(self.base, images["train"].pooled, images["validation"].pooled)
        correct = int((logits.argmax(dim=1) == self.data.fitted.labels).sum())
        return head, _Examined(suspects_of(self.data.fitted, logits), LeaveOneOut(correct, len(logits)))

    def _first_answer(self, probe: Head, novelty: Novelty | None) -> None:
        """Report the probe as an adapter that can answer during the training."""
        labels = self.data.validation.labels
        evaluation = probe.evaluated("validation", labels)
        self.reporter.first_answer(self._adapter(probe, novelty, {}), self.master, evaluation)

    def _on_all(self, probe: Probe, train: torch.Tensor, validation: torch.Tensor) -> Probe:
        """Return a probe fitted on training and validation images, whose pooled values are given."""
        labels, pooled = self.data.fitted.labels, [train, validation]
        return self._computed(
            lambda: refit_probe(probe, self.base, pooled, labels, seed=self.recipe.seed), "Fitting the probe"
        )

    def _computed(self, fit: Callable[[], T], stage: str) -> T:
        self.reporter.report(stage, self.meter.fraction)
        return run_with_progress(
            lambda _progress: fit(),
            lambda _fraction, text: self.reporter.report(text, self.meter.fraction),
            stage=stage,
        )

    def _trained(
        self,
        head: Head,
        probe: Head,
        images: Mapping[str, PrefixTokens],
        novelty: Novelty | None,
        state: TrainingState,
        kept: Kept,
        lead: Difference | None,
        kept_early: bool,
        examined: _Examined,
    ) -> Trained:
        labels = {name: self._split(name).labels for name in SPLITS[1:] if len(self._split(name))}
        evaluations = {name: head.evaluated(name, truth) for name, truth in labels.items()}
        probed = {name: probe.evaluated(name, truth).accuracy for name, truth in labels.items()}
        ratios = {} if novelty is None else {n: novelty.ratio(self.base, images[n].pooled) for n in labels}
        told = {
            n: reliability_of(head.logits[n] / head.temperature, labels[n], ratios.get(n)).as_json()
            for n in ([] if several(self.data.labels) else labels)
        }
        metrics = {
            name: {**evaluation.as_json(), "linear_probe_accuracy": probed[name]}
            | ({"reliability": told[name]} if name in told else {})
            for name, evaluation in evaluations.items()
        }
        summary = {**self._summary(state, head, kept, lead), "metrics": metrics}
        return Trained(
            adapter=self._adapter(head, novelty, summary),
            kept=kept,
            lead=lead,
            validation=evaluations["validation"],
            test=evaluations.get("test"),
            probe_validation_accuracy=probed["validation"],
            probe_test_accuracy=probed.get("test"),
            epochs=state.epoch,
            best_epoch=state.best_epoch,
            kept_early=kept_early,
            predictions={
                name: predictions_of(self._split(name), head.logits[name], head.temperature)
                for name in ([] if several(self.data.labels) else labels)
            },
            suspects=examined.suspects,
            left_out=examined.left_out,
        )

    def _identity(self) -> str:
        """Return a hash of everything that determines the parameters."""
        document = {
            "recipe": self.recipe.as_json(),
            "base": self.master.weights_sha256,
            "files": [path.name for split in (self.data.train, self.data.validation) for path in split.paths],
            **({} if self.data.whites is None else {"whites": self.data.whites.as_json()}),
        }
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    def _altered(self) -> torch.Tensor:
        """Return the pooled values of altered validation images, for the thresholds of novelty models."""
        self.reporter.report("Learning what the training images look like", self.meter.fraction)
        paths, stop = self.data.validation.paths, last_block(novelty_readout(self.base, self.base.depth))
        return altered_pooled(self.base, paths, self.preprocessing, stop=stop, seed=self.recipe.seed)

    def _adapter(self, head: Head, novelty: Novelty | None, summary: Mapping[str, Any]) -> Adapter:
        adapter = Adapter(
            config=head.config,
            base_name=self.master.name,
            base_sha256=self.master.weights_sha256,
            preprocessing=self.preprocessing,
            class_names=self.data.class_names,
            change=head.change,
            head_weight=head.weight,
            head_bias=head.bias,
            temperature=head.temperature,
            reference_logits=torch.empty(0),
            thresholds=head.thresholds,
            novelty=novelty,
            summary=summary,
        )
        return replace(adapter, reference_logits=compute_reference_logits(self.master, adapter))

    def _summary(
        self, state: TrainingState, head: Head, kept: Kept, lead: Difference | None
    ) -> dict[str, Any]:
        return {
            "recipe": self.recipe.as_json(),
            "epochs": state.epoch,
            "best_epoch": state.best_epoch,
            **{f"{name}_images": len(self._split(name)) for name in SPLITS},
            "note": self.data.note,
            "kept": kept,
            "readout": readout_text(head.config.taps),
            "lead": None if lead is None else {"log_loss": lead.mean, "standard_error": lead.standard_error},
            "seconds": round(self.earlier + self.clock() - self.started, 1),
            "precision": str(self.base.dtype).removeprefix("torch."),
        }
