"""A plain training loop, as one writes it for a model of timm or PEFT: the whole model at every step.

The order of the images, the batches, the schedule, the optimizer and the loss are those of this project's
training.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from loravit_web.backbones import Base, Preprocessing
from loravit_web.images.loading import load_rgb
from loravit_web.training.data import Split, TrainingData
from loravit_web.training.objective import balanced_weights
from loravit_web.training.recipe import Recipe

_EVALUATION_BATCH = 128
_READING_BATCH = 32
_BUDGET_PARTS = 1000


@dataclass(frozen=True, eq=False)
class PlainResult:
    """Result of a plain training, of the epoch with the best validation.

    Attributes:
        seconds: Duration in seconds, including reading and evaluating the images.
        validation_accuracy: Accuracy on the validation split, 0 to 1.
        validation_logits: Float32 logits (N, C) of the validation images.
        test_logits: Float32 logits (N, C) of the test images; empty if there are none.
        parameters: Number of trained parameters.
    """

    seconds: float
    validation_accuracy: float
    validation_logits: torch.Tensor
    test_logits: torch.Tensor
    parameters: int


@dataclass(frozen=True, eq=False)
class Learner:
    """A model and its head while they are trained.

    Attributes:
        model: Model that returns features (B, F). Its trained parameters have ``requires_grad``.
        head: Linear head, trained too.
        lr_factor: Learning rate of the model as a multiple of the head's, which is the recipe's.
        autocast: Precision that a float32 model is computed in, or None for its own.
    """

    model: Any
    head: nn.Linear
    lr_factor: float = 1.0
    autocast: torch.dtype | None = None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All trained parameters, the head's last."""
        return [*(p for p in self.model.parameters() if p.requires_grad), *self.head.parameters()]

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return the float32 logits (B, C) of images (B, 3, S, S)."""
        with torch.autocast("cpu", dtype=self.autocast, enabled=self.autocast is not None):
            features = self.model(images)
        logits: torch.Tensor = self.head(features.float())
        return logits


def new_head(base: Base, classes: int) -> nn.Linear:
    """Return a head that starts at zero, as in this project's training."""
    head = nn.Linear(base.embed_dim, classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def plain_training(
    learner: Learner,
    dtype: torch.dtype,
    data: TrainingData,
    recipe: Recipe,
    base: Base,
    *,
    budget: float | None = None,
) -> PlainResult:
    """Train all epochs, or as many steps as fit into a time budget.

    Args:
        learner: Model and head to train.
        dtype: Precision of the images.
        data: Splits of the run. The images are read once, for all epochs.
        recipe: Settings of the training.
        base: Base of the model, for its preprocessing.
        budget: Seconds after which the training ends, however many epochs that are. The learning rate then
            follows the time instead of the steps.
    """
    started = time.perf_counter()
    preprocessing = base.preprocessing(recipe.image_size)
    train, validation, test = (
        _read(split, preprocessing, dtype) for split in (data.train, data.validation, data.test)
    )
    optimizer = _optimizer(learner, recipe)
    epochs, best = recipe.schedule(len(data.train))[0], (-1.0, -math.inf)
    schedule = _Schedule(epochs * math.ceil(len(train) / recipe.batch_size), recipe.lr, started, budget)
    epoch, kept = 0, (torch.empty(0), torch.empty(0))
    while not schedule.is_over:
        epoch += 1
        _epoch(learner, optimizer, train, data, recipe, epoch, schedule)
        logits = _logits(learner, validation)
        measured = _measured(logits, data.validation.labels)
        if measured > best:
            # the test images now, so that no copy of the model need be kept
            best, kept = measured, (logits, _logits(learner, test))
    seconds = time.perf_counter() - started
    return PlainResult(seconds, best[0], *kept, sum(p.numel() for p in learner.parameters))


class _Schedule:
    """Learning rate of each step: warm-up in the first tenth, then cosine decay to zero.

    Args:
        steps: Number of steps without a budget.
        peak: Peak learning rate.
        started: Start of the training, by `time.perf_counter`.
        budget: Time budget in seconds, or None to make all steps.
    """

    def __init__(self, steps: int, peak: float, started: float, budget: float | None) -> None:
        self.steps, self.peak, self.started, self.budget = steps, peak, started, budget
        self.step = 0

    @property
    def is_over(self) -> bool:
        """Whether there is at least one step, and no further one."""
        return self.step > 0 and self._position()[0] >= self._position()[1]

    def next_lr(self) -> float:
        """Return the learning rate of the next step, and count the step."""
        position, total = self._position()
        self.step += 1
        warm_up = max(1, total // 10)
        if position < warm_up:
            return self.peak * (position + 1) / warm_up
        done = min((position - warm_up) / max(1, total - warm_up), 1.0)
        return self.peak * 0.5 * (1 + math.cos(math.pi * done))

    def _position(self) -> tuple[int, int]:
        if self.budget is None:
            return self.step, self.steps
        elapsed = time.perf_counter() - self.started
        return int(_BUDGET_PARTS * elapsed / self.budget), _BUDGET_PARTS


def _read(split: Split, preprocessing: Preprocessing, dtype: torch.dtype) -> torch.Tensor:
    size = preprocessing.image_size
    images = torch.empty(len(split), 3, size, size, dtype=dtype)
    for start in range(0, len(split), _READING_BATCH):
        paths = split.paths[start : start + _READING_BATCH]
        images[start : start + len(paths)] = preprocessing([load_rgb(path) for path in paths])
    return images


def _optimizer(learner: Learner, recipe: Recipe) -> torch.optim.AdamW:
    groups: list[dict[str, Any]] = []
    for parameters, factor in (
        ([p for p in learner.model.parameters() if p.requires_grad], learner.lr_factor),
        (list(learner.head.parameters()), 1.0),
    ):
        decayed = [p for p in parameters if p.ndim > 1]
        plain = [p for p in parameters if p.ndim <= 1]
        groups.append({"params": decayed, "weight_decay": recipe.weight_decay, "factor": factor})
        groups.append({"params": plain, "weight_decay": 0.0, "factor": factor})
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=recipe.lr)


def _epoch(
    learner: Learner,
    optimizer: torch.optim.AdamW,
    images: torch.Tensor,
    data: TrainingData,
    recipe: Recipe,
    epoch: int,
    schedule: _Schedule,
) -> None:
    weights = balanced_weights(data.train.labels, len(data.class_names))
    learner.model.train()
    for rows in _batches(len(images), recipe, epoch):
        if schedule.is_over:
            break
        lr = schedule.next_lr()
        for group in optimizer.param_groups:
            group["lr"] = group["factor"] * lr
        logits = learner.logits(images[rows])
        loss = F.cross_entropy(
            logits, data.train.labels[rows], weights, label_smoothing=recipe.label_smoothing
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learner.parameters, recipe.clip)
        optimizer.step()
    learner.model.eval()


def _batches(count: int, recipe: Recipe, epoch: int) -> Iterator[torch.Tensor]:
    """Yield the rows of each batch, in the order of this project's training."""
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
    yield from torch.split(torch.randperm(count, generator=generator), recipe.batch_size)


@torch.inference_mode()
def _logits(learner: Learner, images: torch.Tensor) -> torch.Tensor:
    parts: Sequence[torch.Tensor] = torch.split(images, _EVALUATION_BATCH)
    return torch.cat([learner.logits(part) for part in parts]) if len(images) else torch.empty(0)


def _measured(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Return the accuracy and minus the loss."""
    accuracy = int((logits.argmax(dim=1) == labels).sum()) / len(labels)
    return accuracy, -float(F.cross_entropy(logits, labels))
