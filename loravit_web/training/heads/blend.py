"""Parts of one head: a trained one and closed forms, added in log-probabilities.

With trained logits a and closed-form logits p, the blend is (1 - w) log softmax(a) + w log softmax(p). A
softmax does not depend on the two normalizers, so the blend is one linear head on the features of all parts,
and an answer costs no more. With several labels per image the same holds for the log-odds of each of them.
The weights are chosen on held-out images (stacking; Wolpert 1992, "Stacked generalization"). Few of them say
little about weights, so a prior holds these near what was best over many tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.training.evaluation import Evaluation
from loravit_web.training.heads.closed_form import ClosedForm
from loravit_web.training.objective import TRAINED_SPREAD, objective_of

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Weights of the closed-form part to choose from."""
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the refitted head in the rest to choose from."""
WEIGHT, SHARE = 0.35, 0.5
"""Most probable weight and share before any image is seen."""
PRIOR_SPREAD = 0.1
"""Spread of both around them."""
SPREAD = 0.2
"""Spread of the temperature; see `fit_temperature`.

Of few validation images, the likeliest temperature alone is too sharp. In 23 trainings with 60 of them, a
spread of 0.2 gave the test images a calibration error of 0.076, and 0.3 one of 0.080.
"""


@dataclass(frozen=True, eq=False)
class Parts:
    """Logits (N, C) of the parts of a head for the same images.

    Attributes:
        trained: Of the trained head.
        refitted: Of the closed form on its features, or None if there is none; see `Refit`.
        closed: Of the closed form on the readout, or None if there is none.
    """

    trained: torch.Tensor
    refitted: torch.Tensor | None = None
    closed: torch.Tensor | None = None


@dataclass(frozen=True)
class Blend:
    """Factors of the parts of a head, and the temperature of the whole.

    Attributes:
        trained: Factor of the trained head.
        refitted: Factor of the closed form on its features.
        closed: Factor of the closed form on the readout.
        temperature: Divisor of the blended logits before the softmax.
    """

    trained: float = 1.0
    refitted: float = 0.0
    closed: float = 0.0
    temperature: float = 1.0

    def logits(self, parts: Parts) -> torch.Tensor:
        """Return the blended logits (N, C), before the temperature."""
        return _total(
            [(self.trained, parts.trained), (self.refitted, parts.refitted), (self.closed, parts.closed)]
        )

    def folded(
        self, trained: nn.Linear, refitted: ClosedForm | None, closed: ClosedForm | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight (C, F) and bias (C,) of the blend as one linear head.

        Args:
            trained: The trained head, on the first features.
            refitted: The closed form on the same features, or None.
            closed: The closed form on the features that follow, or None.
        """
        own, bias = trained.weight.detach().cpu(), trained.bias.detach().cpu()
        again = (None, None) if refitted is None else (refitted.weight, refitted.bias)
        rest = None if closed is None else closed.bias
        weight = _total([(self.trained, own), (self.refitted, again[0])])
        bias = _total([(self.trained, bias), (self.refitted, again[1]), (self.closed, rest)])
        if closed is None:
            return weight, bias
        return torch.cat([weight, self.closed * closed.weight], dim=1), bias


def _total(parts: Iterable[tuple[float, torch.Tensor | None]]) -> torch.Tensor:
    """Return the sum of the products of factors and tensors, without those that are None."""
    products = [factor * tensor for factor, tensor in parts if tensor is not None]
    return torch.stack(products).sum(dim=0)


@dataclass(frozen=True, eq=False)
class Head:
    """A finished head, and what it gave.

    Attributes:
        config: Configuration with the readout.
        change: Change of the adapter type.
        weight: Weight (C, F), columns as in `Adapter.head_weight`.
        bias: Bias (C,).
        temperature: Divisor of its logits.
        thresholds: Probability from which each class counts; empty if exactly one does.
        logits: Logits (N, C) by split. Those of the validation split come from heads that were not fitted on
            it.
    """

    config: ViTAdapterConfig
    change: Any
    weight: torch.Tensor
    bias: torch.Tensor
    temperature: float
    thresholds: tuple[float, ...]
    logits: Mapping[str, torch.Tensor]

    @property
    def calibrated(self) -> torch.Tensor:
        """Calibrated logits (N, C) of the validation split."""
        return self.logits["validation"] / self.temperature

    def evaluated(self, split: str, labels: torch.Tensor) -> Evaluation:
        """Return the evaluation of the calibrated head on a split with these labels."""
        return objective_of(labels).evaluate(
            self.logits[split], labels, temperature=self.temperature, thresholds=self.thresholds
        )


@dataclass(frozen=True)
class Difference:
    """How much better one head predicts the labels of held-out images than another.

    Attributes:
        mean: Mean difference of the losses per image, in nats; positive if the first head is better.
        standard_error: Standard error of the mean.
    """

    mean: float
    standard_error: float


def fit_blend(parts: Parts, labels: torch.Tensor) -> Blend:
    """Choose the factors and the temperature on held-out images.

    Args:
        parts: Logits of all parts.
        labels: Class indices (N,), or a matrix (N, C) of 0 and 1 for several labels per image.
    """
    objective = objective_of(labels)
    alone = parts.refitted is None and parts.closed is None
    if alone:
        return Blend(temperature=objective.temperature(parts.trained, labels, spread=SPREAD))
    own = objective.temperature(parts.trained, labels, spread=TRAINED_SPREAD)
    blends = []
    for share in (0.0,) if parts.refitted is None else SHARES:
        for weight in (0.0,) if parts.closed is None else WEIGHTS:
            blend = Blend((1 - weight) * (1 - share) / own, (1 - weight) * share, weight)
            logits = blend.logits(parts)
            temperature = objective.temperature(logits, labels, spread=SPREAD)
            loss = float(objective.losses(logits / temperature, labels).mean())
            surprise = ((weight - WEIGHT) ** 2 + (share - SHARE) ** 2) / (2 * PRIOR_SPREAD**2)
            blends.append((loss + surprise / len(labels), replace(blend, temperature=temperature)))
    return min(blends, key=lambda pair: pair[0])[1]


def compare(first: torch.Tensor, second: torch.Tensor, labels: torch.Tensor) -> Difference:
    """Compare two heads by their calibrated logits (N, C) for the same labels; see `fit_blend`."""
    losses = [objective_of(labels).losses(logits, labels).double() for logits in (first, second)]
    differences = losses[1] - losses[0]
    error = float(differences.std()) / len(labels) ** 0.5 if len(labels) > 1 else float("inf")
    return Difference(float(differences.mean()), error)
