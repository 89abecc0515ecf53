"""Training loop: epochs of steps on the adapted blocks and the head, with a checkpoint after each."""

from __future__ import annotations

import importlib
import math
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from loravit_web.backbones.base import Base
from loravit_web.errors import LoraVitError
from loravit_web.training.averaging import ParameterMean
from loravit_web.training.blocks import (
    adapter_dropout,
    blocks_to_read,
    trainable_blocks,
    trained_parameters,
)
from loravit_web.training.checkpoints import Checkpoint, TrainingState, save_checkpoint
from loravit_web.training.data import TrainingData
from loravit_web.training.meter import STEP_COST, WorkMeter
from loravit_web.training.objective import TRAINED_SPREAD, objective_of
from loravit_web.training.prefix import PrefixTokens
from loravit_web.training.progress import EPOCH, Reporter
from loravit_web.training.recipe import Recipe

EVALUATION_BATCH = 128
"""Number of images per batch of an evaluation."""
_CHECKED_STEPS = 10
"""On another device than the CPU, number of steps after which a loss is read again."""
_COMPILER = "torch._dynamo"


class TrainingDiverged(LoraVitError):
    """A loss that became NaN or infinite."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What a training loop reports to and stores its checkpoints in.

    Attributes:
        reporter: Receiver of the progress.
        meter: Counter of the work.
        seconds: Returns the seconds since the start of the training process.
        checkpoint: File of the checkpoint.
        identity: Hash of everything that determines the parameters.
    """

    reporter: Reporter
    meter: WorkMeter
    seconds: Callable[[], float]
    checkpoint: Path
    identity: str


class TrainingLoop:
    """Adapted blocks and their head while they are trained.

    Args:
        base: Frozen base in the precision of the training.
        data: Splits of the run.
        recipe: Recipe of the run, resolved for the base.
        surroundings: Where progress and checkpoints go.
        resumed: Checkpoint to continue from, or None.
    """

    def __init__(
        self,
        base: Base,
        data: TrainingData,
        recipe: Recipe,
        surroundings: Surroundings,
        resumed: Checkpoint | None,
    ) -> None:
        self.base, self.data, self.recipe, self.surroundings = base, data, recipe, surroundings
        self.resumed = resumed
        self.objective = objective_of(data.train.labels)
        generator = torch.Generator().manual_seed(recipe.seed)
        self.blocks = trainable_blocks(base, recipe.adapter, generator)
        self.first_block = base.depth - len(self.blocks)
        self._path = blocks_to_read(base, recipe.adapter.pooling, self.blocks)
        features, classes = base.feature_dim(recipe.adapter.pooling), len(data.class_names)
        self.head = nn.Linear(features, classes, device=base.device)
        # Zero, because starting from a probe's weights gave 7 points less on CIFAR-10.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.epochs, self.patience = recipe.schedule(len(data.train))
        if _COMPILER not in sys.modules:
            # The optimizer imports it for a second; meanwhile the images are read.
            threading.Thread(target=importlib.import_module, args=(_COMPILER,), daemon=True).start()
        self._mean = ParameterMean()
        self._parts = 1

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All trained parameters, the head's last."""
        return trained_parameters(self.blocks, self.head)

    def run(self, train: PrefixTokens, validation: PrefixTokens) -> tuple[TrainingState, bool]:
        """Train until the last epoch, the end of the patience or a stop, and assign the best parameters.

        What is validated and kept after an epoch is the mean of the parameters as soon as there is one.

        Returns:
            The state at the end, whose ``best_epoch`` is 0 if no epoch was completed, and whether a user
            stopped the training.

        Raises:
            TrainingDiverged: If the loss becomes NaN or infinite.
        """
        state, reporter = TrainingState(), self.surroundings.reporter
        best = [p.detach().clone() for p in self.parameters]
        if self.resumed is not None:
            best, state = self._restore(self.resumed), self.resumed.state
            self.surroundings.meter.add(self._epoch_units * state.epoch, "Resuming")
        keep = reporter.stop_and_keep()
        earlier = state.seconds
        while state.epoch < self.epochs and not keep:
            if state.epoch - state.best_epoch >= self.patience:
                break
            state.epoch += 1
            train_loss, keep = self._epoch(train, state.epoch)
            if keep:
                state.epoch -= 1  # this epoch was interrupted
                break
            current = [p.detach().clone() for p in self.parameters]
            candidate = self._mean.values or current
            self._assign(candidate)
            logits = self.logits(self.features(validation, self._stage(state.epoch)))
            self._assign(current)
            measured = self.objective.evaluate(logits, self.data.validation.labels)
            last_step = state.epoch * self._steps_per_epoch
            self._check_finite(measured.loss, last_step)
            state.curve[state.epoch] = {
                "train_loss": train_loss,
                "val_loss": measured.loss,
                "val_accuracy": measured.accuracy,
                "lr": self._lr(last_step - 1),
            }
            if measured.mean_average_precision is not None:
                state.curve[state.epoch]["val_map"] = measured.mean_average_precision
            reporter.metrics(state.epoch, state.curve[state.epoch])
            loss = self._calibrated_loss(logits)
            if loss < state.best_loss:
                state.best_epoch, state.best_loss = state.epoch, loss
                best = [values.clone() for values in candidate]
            state.averaged = self._mean.count
            state.seconds = earlier + self.surroundings.seconds()
            checkpoint = self._checkpoint(state, best)
            save_checkpoint(self.surroundings.checkpoint, checkpoint, identity=self.surroundings.identity)
            keep = reporter.stop_and_keep()
        self._assign(best)
        return state, keep

    def features(self, images: PrefixTokens, stage: str, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Return the float32 features (N, F) that the head reads of the plain view of images.

        Args:
            images: Images of a split.
            stage: Stage to report.
            rows: Indices (N,) of the images, or None for all of them.
        """
        rows = torch.arange(len(images)) if rows is None else rows
        result = torch.empty(len(rows), self.head.in_features)
        with torch.inference_mode():
            for start in range(0, len(rows), EVALUATION_BATCH):
                batch = images.tokens[0, rows[start : start + EVALUATION_BATCH]]
                result[start : start + len(batch)] = self._features(batch)
                self.surroundings.meter.add(len(batch) * max(len(self.blocks), 1), stage)
        return result

    @torch.no_grad()
    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, C) of features (N, F), on the CPU."""
        result: torch.Tensor = self.head(features.to(self.base.device))
        return result.cpu()

    def pooled(self, images: PrefixTokens, stage: str) -> torch.Tensor:
        """Return the float32 `Base.parts` (N, L, P, D) of images after each block, the adapted ones included.

        Args:
            images: Images of a split.
            stage: Stage to report.
        """
        result = images.pooled.clone()
        with torch.inference_mode():
            for start in range(0, len(images), EVALUATION_BATCH):
                batch = images.tokens[0, start : start + EVALUATION_BATCH]
                own: list[torch.Tensor] = []
                self.base.run_blocks(self.blocks, batch.to(self.base.device), self.first_block, pooled=own)
                result[start : start + len(batch), self.first_block :] = torch.stack(own, dim=1)
                self.surroundings.reporter.report(stage, self.surroundings.meter.fraction)
        return result

    def _features(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = self.base.run_blocks(self._path, tokens.to(self.base.device), self.first_block)
        return self.base.features(tokens, self.recipe.adapter.pooling)

    @cached_property
    def optimizer(self) -> torch.optim.AdamW:
        """The optimizer, made when it is first needed."""
        decayed = [p for p in self.parameters if p.ndim > 1]
        plain = [p for p in self.parameters if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.recipe.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.recipe.lr, fused=True)

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

    def _epoch(self, train: PrefixTokens, epoch: int) -> tuple[float, bool]:
        """Train for one epoch; return the mean loss and whether a user stopped it."""
        seed = self.recipe.seed * 1_000_003 + epoch
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(train), generator=generator)
        views = torch.randint(train.views, (len(train),), generator=generator)
        weights = self.objective.class_weights(self.data.train.labels, len(self.data.class_names))
        weights = weights.to(self.base.device)
        losses: list[float | torch.Tensor] = []
        with torch.random.fork_rng(devices=[]), adapter_dropout(self.blocks):
            torch.manual_seed(seed)
            first = (epoch - 1) * self._steps_per_epoch
            for step, rows in enumerate(torch.split(order, self.recipe.batch_size), start=first):
                for group in self.optimizer.param_groups:
                    group["lr"] = self._lr(step)
                labels = self.data.train.labels[rows].to(self.base.device)
                loss = self._step(train.tokens[views[rows], rows], labels, weights)
                losses.append(self._checked(loss, step) * len(rows))
                if self.recipe.average and 2 * step >= self.epochs * self._steps_per_epoch:
                    self._mean.add(self.parameters)
                work = STEP_COST * len(rows) * max(len(self.blocks), 1)
                self.surroundings.meter.add(work, self._stage(epoch))
                if self.surroundings.reporter.stop_and_keep():
                    return float(sum(losses)) / len(train), True
        return float(sum(losses)) / len(train), False

    def _step(self, tokens: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Change the parameters by one batch; return its loss.

        If the device has too little memory, this batch and all later ones are computed in twice as many
        parts, whose gradients are added up.
        """
        loss = None
        while loss is None:
            try:
                loss = self._backward(tokens, labels, weights)
            except torch.OutOfMemoryError:  # the tensors of the attempt are free after this clause
                if self._parts >= len(tokens):
                    raise
                self._parts *= 2
                text = f"Out of memory: computing each batch in {self._parts} parts"
                self.surroundings.reporter.report(text, self.surroundings.meter.fraction)
        nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
        self.optimizer.step()
        return loss

    def _backward(self, tokens: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Compute the gradients of a batch in `_parts` parts; return its loss."""
        self.optimizer.zero_grad(set_to_none=True)
        size, losses = math.ceil(len(tokens) / self._parts), []
        for part, truth in zip(torch.split(tokens, size), torch.split(labels, size), strict=True):
            loss = self.objective.loss(
                self.head(self._features(part)), truth, weights, self.recipe.label_smoothing
            )
            if len(part) < len(tokens):
                loss = loss * (len(part) / len(tokens))
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def _checked(self, loss: torch.Tensor, step: int) -> float | torch.Tensor:
        """Return a loss as a number, after a check; beside a CPU mostly as it is, since reading waits."""
        if loss.device.type != "cpu" and step % _CHECKED_STEPS:
            return loss
        self._check_finite(value := loss.item(), step + 1)
        return value

    def _calibrated_loss(self, logits: torch.Tensor) -> float:
        """Return the loss of validation logits at the best temperature, by which epochs are compared.

        Of few images the accuracy says less: with 60 of them it chose epochs with 1 point less on others.
        """
        labels = self.data.validation.labels
        temperature = self.objective.temperature(logits, labels, spread=TRAINED_SPREAD)
        return float(self.objective.losses(logits / temperature, labels).mean())

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

    def _checkpoint(self, state: TrainingState, best: Sequence[torch.Tensor]) -> Checkpoint:
        moments = [self.optimizer.state[p] for p in self.parameters]
        return Checkpoint(self.parameters, best, self._mean.values, moments, self.base.dtype, state)

    def _restore(self, checkpoint: Checkpoint) -> list[torch.Tensor]:
        """Restore the state of the loop from a checkpoint and return the best parameters."""
        self._assign(checkpoint.parameters)
        for parameter, moments in zip(self.parameters, checkpoint.moments, strict=True):
            self.optimizer.state[parameter] = {
                name: moment.to(parameter.device) for name, moment in moments.items()
            }
        mean = [values.to(self.base.device) for values in checkpoint.mean]
        self._mean = ParameterMean(mean, checkpoint.state.averaged)
        return list(checkpoint.best)

    def _assign(self, values: Sequence[torch.Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(value)
