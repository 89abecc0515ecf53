"""A plain training loop, as one writes it for a model of timm or PEFT: the whole model at every step.

What decides the result is as in this project's training: the order of the images, the batches, the
schedule, the optimizer and the loss.
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
from loravit_web.training.data import Split, TrainingData, class_weights
from loravit_web.training.recipe import Recipe

_EVALUATION_BATCH = 128
_READING_BATCH = 32


@dataclass(frozen=True)
class PlainResult:
    """What a plain loop gives; the accuracies are those of the epoch best in validation."""

    seconds: float
    validation_accuracy: float
    test_accuracy: float | None
    parameters: int


@dataclass(frozen=True, eq=False)
class Learner:
    """What is trained.

    Attributes:
        model: gives features (B, F); what it trains has ``requires_grad``.
        head: trained too.
        lr_factor: the model's learning rate is so many times the recipe's, which the head has.
        autocast: the precision that a float32 model is computed in, where not its own.
    """

    model: Any
    head: nn.Linear
    lr_factor: float = 1.0
    autocast: torch.dtype | None = None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All that is trained, head last."""
        return [*(p for p in self.model.parameters() if p.requires_grad), *self.head.parameters()]

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, S, S) to float32 logits (B, C)."""
        with torch.autocast("cpu", dtype=self.autocast, enabled=self.autocast is not None):
            features = self.model(images)
        logits: torch.Tensor = self.head(features.float())
        return logits


def new_head(base: Base, classes: int) -> nn.Linear:
    """A head that starts at zero, as this project's."""
    head = nn.Linear(base.embed_dim, classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def plain_training(
    learner: Learner, dtype: torch.dtype, data: TrainingData, recipe: Recipe, base: Base
) -> PlainResult:
    """Train all epochs; reading the images, once for all epochs, is part of the time."""
    started = time.perf_counter()
    preprocessing = base.preprocessing(recipe.image_size)
    images = {
        name: _read(split, preprocessing, dtype)
        for name, split in (("train", data.train), ("validation", data.validation), ("test", data.test))
    }
    optimizer = _optimizer(learner, recipe)
    epochs, best, test = recipe.schedule(len(data.train))[0], (-1.0, -math.inf), None
    for epoch in range(1, epochs + 1):
        _epoch(learner, optimizer, images["train"], data, recipe, epoch, epochs)
        measured = _measured(learner, images["validation"], data.validation.labels)
        if measured > best:
            best = measured
            if len(data.test):  # at the moment of the best epoch, so that no copy need be kept
                test = _measured(learner, images["test"], data.test.labels)[0]
    seconds = time.perf_counter() - started
    return PlainResult(seconds, best[0], test, sum(p.numel() for p in learner.parameters))


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
    epochs: int,
) -> None:
    weights = class_weights(data.train.labels, len(data.class_names))
    steps = math.ceil(len(images) / recipe.batch_size)
    learner.model.train()
    for step, rows in enumerate(_batches(len(images), recipe, epoch), start=(epoch - 1) * steps):
        for group in optimizer.param_groups:
            group["lr"] = group["factor"] * _lr(step, epochs * steps, recipe.lr)
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
    """Rows of each batch, in the order in which this project's training takes them."""
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
    yield from torch.split(torch.randperm(count, generator=generator), recipe.batch_size)


def _lr(step: int, total: int, peak: float) -> float:
    warm_up = max(1, total // 10)
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, total - warm_up)))


@torch.inference_mode()
def _measured(learner: Learner, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Accuracy and minus the loss."""
    parts: Sequence[torch.Tensor] = torch.split(images, _EVALUATION_BATCH)
    logits = torch.cat([learner.logits(part) for part in parts])
    accuracy = int((logits.argmax(dim=1) == labels).sum()) / len(labels)
    return accuracy, -float(F.cross_entropy(logits, labels))
