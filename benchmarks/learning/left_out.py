"""Classes left out of training: whether a task doubts its answers about them more than about its own images.

A probe is fitted on seven of ten classes and classifies images of the other three. No answer to these can be
right, so each of them should be called unsure or unlike. The figure is the area under the ROC curve of
`doubt`, the number that decides both, between the task's own test images and those of the classes left out.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from benchmarks.support.report import Figure, at_least
from loravit_web.adapters.readout import Readout
from loravit_web.backbones import Base
from loravit_web.training.files.reliability import UNLIKE, UNSURE, doubt, reliability_of
from loravit_web.training.heads.probe import candidate_readouts, fit_probe
from loravit_web.training.novelty import fit_novelty

DRAWS = 4
"""Number of draws of the classes that are left out."""
CLASSES, FRACTION = 10, 0.3
"""Largest number of classes of a draw, and the fraction of them that is left out."""
TARGET = 0.75


@dataclass(frozen=True, eq=False)
class Images:
    """Images of a task for this benchmark.

    Attributes:
        train: Pooled values (N, L, P, D) of the training images.
        train_labels: Class indices (N,).
        altered: Pooled values (M, L, P, D) of altered validation images.
        altered_labels: Class indices (M,).
        test: Pooled values (T, L, P, D) of the test images.
        test_labels: Class indices (T,).
        classes: Number of classes.
    """

    train: torch.Tensor
    train_labels: torch.Tensor
    altered: torch.Tensor
    altered_labels: torch.Tensor
    test: torch.Tensor
    test_labels: torch.Tensor
    classes: int


def figures(tasks: Mapping[str, Images], base: Base, readout: Readout) -> list[Figure]:
    """Return the mean over the tasks and the figure of each task.

    Args:
        tasks: Images by the name of the task.
        base: Base that computed the pooled values.
        readout: Features of the trunk that novelty models read.
    """
    found = {
        name: [left_out_auroc(images, base, readout, seed) for seed in range(DRAWS)]
        for name, images in tasks.items()
    }
    means = {name: statistics.mean(values) for name, values in found.items()}
    name = f"classes left out told from the task's own, AUROC, mean of {len(tasks)} tasks"
    by_task = [
        Figure(f"  {task}", f"{means[task]:.2f}", note=f"{min(values):.2f} to {max(values):.2f}")
        for task, values in found.items()
    ]
    return [at_least(name, statistics.mean(means.values()), TARGET), *by_task]


def left_out_auroc(images: Images, base: Base, readout: Readout, seed: int) -> float:
    """Return the area under the ROC curve of one draw.

    Args:
        images: Images of the task.
        base: Base that computed the pooled values.
        readout: Features of the trunk that the novelty model reads.
        seed: Seed of the draw.
    """
    order = torch.randperm(images.classes, generator=torch.Generator().manual_seed(seed))[:CLASSES]
    n_out = max(1, round(FRACTION * len(order)))
    out, kept = order[:n_out], order[n_out:]
    index = torch.full((images.classes,), -1)
    index[kept] = torch.arange(len(kept))
    known, own = index[images.train_labels] >= 0, index[images.test_labels] >= 0
    train = images.train[known]
    probe = fit_probe(
        base, train, index[images.train_labels[known]], len(kept), candidate_readouts(base), seed=seed
    )
    novelty = fit_novelty(base, readout, train, images.altered[index[images.altered_labels] >= 0])
    assert novelty is not None

    def doubts(pooled: torch.Tensor) -> torch.Tensor:
        labels = torch.zeros(len(pooled), dtype=torch.int64)
        values = reliability_of(probe.logits(base, pooled), labels, novelty.ratio(base, pooled))
        assert values.novelty is not None
        pairs = zip(values.confidence, values.novelty, strict=True)
        return torch.tensor([doubt(*pair, unlike=UNLIKE, unsure=UNSURE) for pair in pairs])

    return auroc(doubts(images.test[own]), doubts(images.test[torch.isin(images.test_labels, out)]))


def auroc(low: torch.Tensor, high: torch.Tensor) -> float:
    """Return how often a value of ``high`` (A,) is larger than one of ``low`` (B,); ties count half."""
    larger = (high[:, None] > low).double() + 0.5 * (high[:, None] == low).double()
    return float(larger.mean())
