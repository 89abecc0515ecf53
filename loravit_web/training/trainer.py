"""Training of one adapter, from images to an `Adapter` with its evaluation.

It does not know the registry, processes or the page: it reports to a `Reporter` and returns a value.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from loravit_web.adapters.adapter import Adapter, compute_reference_logits
from loravit_web.adapters.types import adapter_type
from loravit_web.backbones.base import Base
from loravit_web.errors import LoraVitError
from loravit_web.training.blocks import adapter_dropout, trainable_blocks, trained_parameters
from loravit_web.training.checkpoints import Checkpoint, TrainingState, load_checkpoint, save_checkpoint
from loravit_web.training.data import Split, TrainingData, class_weights
from loravit_web.training.evaluation import Evaluation, evaluate, fit_temperature
from loravit_web.training.meter import STEP_COST, WorkMeter, work_of
from loravit_web.training.predictions import Predictions, predictions_of
from loravit_web.training.prefix import PrefixTokens, compute_prefix_tokens
from loravit_web.training.probe import LinearProbe, fit_linear_probe
from loravit_web.training.progress import EPOCH, Reporter, TrainingStopped
from loravit_web.training.recipe import Recipe
from loravit_web.util.uninterruptible import run_with_progress

EVALUATION_BATCH = 128
"""Number of images per batch of an evaluation."""
_NOTHING_TO_KEEP = "The training was stopped before its first epoch ended, so there is nothing to keep."


class TrainingDiverged(LoraVitError):
    """A loss that became NaN or infinite."""


@dataclass(frozen=True, eq=False)
class Trained:
    """Result of a training.

    Attributes:
        adapter: Adapter with the parameters of the best epoch.
        validation: Evaluation of the calibrated adapter on the validation split.
        test: Evaluation on the test split, done once; None without test images.
        probe_validation_accuracy: Accuracy of the linear probe on the validation split.
        probe_test_accuracy: Accuracy of the linear probe on the test split; None without test images.
        epochs: Number of completed epochs.
        best_epoch: Epoch whose parameters were kept, from 1.
        kept_early: Whether a user stopped the training and kept the best epoch.
        predictions: Predictions for the validation and test images.
    """

    adapter: Adapter
    validation: Evaluation
    test: Evaluation | None
    probe_validation_accuracy: float
    probe_test_accuracy: float | None
    epochs: int
    best_epoch: int
    kept_early: bool
    predictions: Predictions


def train(
    base: Base,
    dtype: torch.dtype,
    data: TrainingData,
    recipe: Recipe,
    *,
    work: Path,
    reporter: Reporter,
    clock: Callable[[], float] = time.perf_counter,
) -> Trained:
    """Train one adapter.

    Args:
        base: Base in float32.
        dtype: Precision of the computation, unless a checkpoint continues in another one. Trained parameters
            are float32.
        data: Splits of the run.
        recipe: Recipe of the run.
        work: Folder of this run for its checkpoint and mapped tokens. If it has a checkpoint, the training
            continues from there.
        reporter: Receiver of the progress.
        clock: Returns the time in seconds.

    Raises:
        TrainingStopped: If the reporter stops the training before there is anything to keep.
        TrainingDiverged: If the loss becomes NaN or infinite.
        LoraVitError: If settings, images or the checkpoint are invalid.
    """
    return _Training(base, dtype, data, recipe, work, reporter, clock).run()


class _Training:
    def __init__(
        self,
        base: Base,
        dtype: torch.dtype,
        data: TrainingData,
        recipe: Recipe,
        work: Path,
        reporter: Reporter,
        clock: Callable[[], float],
    ) -> None:
        self.master = base
        self.data, self.work = data, work
        self.recipe = recipe = replace(recipe, adapter=recipe.adapter.resolved(base))
        self.reporter, self.clock, self.started = reporter, clock, clock()
        self.path = work / "checkpoint.safetensors"
        self.resumed = load_checkpoint(self.path, identity=self._identity())
        self.base = base.cast(dtype if self.resumed is None else self.resumed.dtype)
        self.preprocessing = base.preprocessing(recipe.image_size)
        self.type = adapter_type(recipe.adapter.adapter_type)
        generator = torch.Generator().manual_seed(recipe.seed)
        self.blocks = trainable_blocks(self.base, recipe.adapter, generator)
        self.first_block = base.depth - len(self.blocks)
        pooling = recipe.adapter.pooling
        # The same blocks without the computations that the head does not read.
        self.adapted_path = self.base.fastest_blocks([pooling], self.blocks)
        self.frozen_path = self.base.fastest_blocks([pooling], self.base.blocks[self.first_block :])
        self.head = nn.Linear(base.feature_dim(pooling), len(data.class_names))
        # Zero, because starting from the linear probe's weights gave 7 points less on CIFAR-10.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.epochs, self.patience = recipe.schedule(len(data.train))
        self.meter = WorkMeter(work_of(data, recipe).passes(self.first_block, base.depth), reporter)
        self.optimizer = self._optimizer()

    def run(self) -> Trained:
        self.reporter.begin({} if self.resumed is None else self.resumed.state.curve)
        tokens = {name: self._prefix(name) for name in ("train", "validation", "test")}
        probe, test_features = self._probe(tokens)
        state, kept_early = self._epochs(tokens["train"], tokens["validation"])
        self.reporter.report("Evaluating", self.meter.fraction)
        logits = self._logits(tokens["validation"], "Evaluating")
        temperature = fit_temperature(logits, self.data.validation.labels)
        validation = evaluate(logits, self.data.validation.labels, temperature=temperature)
        predictions = {"validation": predictions_of(self.data.validation, logits, temperature)}
        test = probe_test = None
        if test_features is not None:
            logits = self._logits(tokens["test"], "Testing")
            test = evaluate(logits, self.data.test.labels, temperature=temperature)
            predictions["test"] = predictions_of(self.data.test, logits, temperature)
            probe_test = evaluate(probe.logits(test_features), self.data.test.labels).accuracy
        measured = {"validation": {**validation.as_json(), "linear_probe_accuracy": probe.accuracy}}
        if test is not None:
            measured["test"] = {**test.as_json(), "linear_probe_accuracy": probe_test}
        summary = {**self._summary(state), "metrics": measured}
        return Trained(
            adapter=self._adapter(temperature, summary),
            validation=validation,
            test=test,
            probe_validation_accuracy=probe.accuracy,
            probe_test_accuracy=probe_test,
            epochs=state.epoch,
            best_epoch=state.best_epoch,
            kept_early=kept_early,
            predictions=predictions,
        )

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All trained parameters, the head's last."""
        return trained_parameters(self.blocks, self.head)

    def _optimizer(self) -> torch.optim.AdamW:
        decayed = [p for p in self.parameters if p.ndim > 1]
        plain = [p for p in self.parameters if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.recipe.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.recipe.lr)

    def _lr(self, step: int) -> float:
        """Return the learning rate of a step: warm-up in the first tenth, then cosine decay to zero."""
        total = self.epochs * self._steps_per_epoch
        warm_up = max(1, total // 10)
        if step < warm_up:
            return self.recipe.lr * (step + 1) / warm_up
        return self.recipe.lr * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, total - warm_up)))

    @property
    def _steps_per_epoch(self) -> int:
        return math.ceil(len(self.data.train) / self.recipe.batch_size)

    def _prefix(self, name: str) -> PrefixTokens:
        split: Split = getattr(self.data, name)
        views = 2 if self.recipe.mirror and name == "train" else 1
        stage = f"Reading {len(split)} {name} images"
        start = self.meter.done
        units = views * len(split) * max(self.first_block, 1)
        return compute_prefix_tokens(
            self.base,
            split.paths,
            self.preprocessing,
            first_block=self.first_block,
            mirror=views == 2,
            scratch=self.work / f"{name}.tokens",
            progress=lambda fraction: self._reading(start + units * fraction, stage),
        )

    def _reading(self, done: float, stage: str) -> None:
        self.meter.set_done(done, stage)
        if self.resumed is None and self.reporter.stop_and_keep():
            raise TrainingStopped(_NOTHING_TO_KEEP)

    def _probe(self, tokens: Mapping[str, PrefixTokens]) -> tuple[LinearProbe, torch.Tensor | None]:
        features = {name: self._base_features(t) for name, t in tokens.items() if len(t)}
        probe = run_with_progress(
            lambda _progress: fit_linear_probe(
                features["train"],
                self.data.train.labels,
                features["validation"],
                self.data.validation.labels,
                len(self.data.class_names),
            ),
            lambda _fraction, stage: self.reporter.report(stage, self.meter.fraction),
            stage="Fitting the linear probe",
        )
        self.reporter.metrics(0, {"linear_probe_accuracy": probe.accuracy})
        return probe, features.get("test")

    def _base_features(self, tokens: PrefixTokens) -> torch.Tensor:
        """Return the features (N, F) of the plain view from the base without an adapter."""
        return self._through(tokens, self.frozen_path, "Fitting the linear probe")

    def _through(self, tokens: PrefixTokens, blocks: Sequence[nn.Module], stage: str) -> torch.Tensor:
        parts = []
        with torch.inference_mode():
            for start in range(0, len(tokens), EVALUATION_BATCH):
                batch = tokens.tokens[0, start : start + EVALUATION_BATCH]
                parts.append(self._features(batch, blocks))
                self.meter.add(len(batch) * max(len(blocks), 1), stage)
        return torch.cat(parts).clone()

    def _features(self, tokens: torch.Tensor, blocks: Sequence[nn.Module]) -> torch.Tensor:
        tokens = self.base.run_blocks(blocks, tokens, self.first_block)
        return self.base.features(tokens, self.recipe.adapter.pooling)

    def _logits(self, tokens: PrefixTokens, stage: str) -> torch.Tensor:
        features = self._through(tokens, self.adapted_path, stage)
        with torch.no_grad():
            return self.head(features)  # type: ignore[no-any-return]

    def _epochs(self, train: PrefixTokens, validation: PrefixTokens) -> tuple[TrainingState, bool]:
        """Train until the last epoch, the end of the patience or a stop, and restore the best parameters."""
        state, keep = TrainingState(), False
        best = [p.detach().clone() for p in self.parameters]
        if self.resumed is not None:
            best, state = self._restore(self.resumed), self.resumed.state
            self.started -= state.seconds
            self.meter.add(self._epoch_units * state.epoch, "Resuming")
        if self.reporter.stop_and_keep() and not state.best_epoch:
            raise TrainingStopped(_NOTHING_TO_KEEP)
        while state.epoch < self.epochs and not keep:
            if state.epoch - state.best_epoch >= self.patience:
                break
            state.epoch += 1
            train_loss, keep = self._epoch(train, state.epoch)
            if keep and state.best_epoch:
                state.epoch -= 1  # this epoch was interrupted, and an earlier one is kept
                break
            logits = self._logits(validation, self._stage(state.epoch))
            measured = evaluate(logits, self.data.validation.labels)
            last_step = state.epoch * self._steps_per_epoch
            self._check_finite(measured.loss, last_step)
            state.curve[state.epoch] = {
                "train_loss": train_loss,
                "val_loss": measured.loss,
                "val_accuracy": measured.accuracy,
                "lr": self._lr(last_step - 1),
            }
            self.reporter.metrics(state.epoch, state.curve[state.epoch])
            if (measured.accuracy, -measured.loss) > (state.best_accuracy, -state.best_loss):
                state.best_epoch = state.epoch
                state.best_accuracy, state.best_loss = measured.accuracy, measured.loss
                best = [p.detach().clone() for p in self.parameters]
            state.seconds = self.clock() - self.started
            save_checkpoint(self.path, self._checkpoint(state, best), identity=self._identity())
            keep = keep or self.reporter.stop_and_keep()
        self._assign(best)
        return state, keep

    def _epoch(self, train: PrefixTokens, epoch: int) -> tuple[float, bool]:
        """Train for one epoch; return the mean loss and whether to stop and keep the best epoch."""
        seed = self.recipe.seed * 1_000_003 + epoch
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(train), generator=generator)
        views = torch.randint(train.views, (len(train),), generator=generator)
        weights = class_weights(self.data.train.labels, len(self.data.class_names))
        losses = []
        with torch.random.fork_rng(devices=[]), adapter_dropout(self.blocks):
            torch.manual_seed(seed)
            first = (epoch - 1) * self._steps_per_epoch
            for step, rows in enumerate(torch.split(order, self.recipe.batch_size), start=first):
                for group in self.optimizer.param_groups:
                    group["lr"] = self._lr(step)
                loss = self._step(train.tokens[views[rows], rows], self.data.train.labels[rows], weights)
                self._check_finite(loss, step + 1)
                losses.append(loss * len(rows))
                self.meter.add(STEP_COST * len(rows) * max(len(self.blocks), 1), self._stage(epoch))
                if self.reporter.stop_and_keep() and epoch > 1:  # at least the first epoch is completed
                    return sum(losses) / len(train), True
        return sum(losses) / len(train), False

    def _step(self, tokens: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> float:
        logits = self.head(self._features(tokens, self.adapted_path))
        loss = F.cross_entropy(logits, labels, weights, label_smoothing=self.recipe.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
        self.optimizer.step()
        return loss.item()

    def _check_finite(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            became = "NaN" if math.isnan(loss) else "infinite"
            raise TrainingDiverged(
                f"The loss became {became} at step {step}. Lower the learning rate and train again."
            )

    def _stage(self, epoch: int) -> str:
        return f"{EPOCH} {epoch} of {self.epochs}"

    @property
    def _epoch_units(self) -> int:
        blocks = max(len(self.blocks), 1)
        return (STEP_COST * len(self.data.train) + len(self.data.validation)) * blocks

    def _identity(self) -> str:
        """Return a hash of everything that determines the parameters."""
        document = {
            "recipe": self.recipe.as_json(),
            "base": self.master.weights_sha256,
            "files": [path.name for split in (self.data.train, self.data.validation) for path in split.paths],
        }
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    def _checkpoint(self, state: TrainingState, best: Sequence[torch.Tensor]) -> Checkpoint:
        moments = [self.optimizer.state[p] for p in self.parameters]
        return Checkpoint(self.parameters, best, moments, self.base.dtype, state)

    def _restore(self, checkpoint: Checkpoint) -> list[torch.Tensor]:
        """Restore the state of the loop from a checkpoint and return the best parameters."""
        self._assign(checkpoint.parameters)
        for parameter, moments in zip(self.parameters, checkpoint.moments, strict=True):
            self.optimizer.state[parameter] = dict(moments)
        return list(checkpoint.best)

    def _assign(self, values: Sequence[torch.Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(value)

    def _adapter(self, temperature: float, summary: Mapping[str, Any]) -> Adapter:
        adapter = Adapter(
            config=self.recipe.adapter,
            base_name=self.master.name,
            base_sha256=self.master.weights_sha256,
            preprocessing=self.preprocessing,
            class_names=self.data.class_names,
            change=self.type.change(self.blocks, self.recipe.adapter, self.base),
            head_weight=self.head.weight.detach().clone(),
            head_bias=self.head.bias.detach().clone(),
            temperature=temperature,
            reference_logits=torch.empty(0),
            summary=summary,
        )
        return replace(adapter, reference_logits=compute_reference_logits(self.master, adapter))

    def _summary(self, state: TrainingState) -> dict[str, Any]:
        return {
            "recipe": self.recipe.as_json(),
            "epochs": state.epoch,
            "best_epoch": state.best_epoch,
            "train_images": len(self.data.train),
            "validation_images": len(self.data.validation),
            "test_images": len(self.data.test),
            "note": self.data.note,
            "seconds": round(self.clock() - self.started, 1),
            "precision": str(self.base.dtype).removeprefix("torch."),
        }
