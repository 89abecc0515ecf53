"""What an adapter's logits say of the labels of an image: the one place that knows softmax from sigmoid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import torch

from loravit_web.util.labels import Labels


class Reading(Protocol):
    """How logits become probabilities, and probabilities an answer.

    Attributes:
        function: Name of the function from logits to probabilities.
    """

    function: str

    def probabilities(self, logits: torch.Tensor, temperature: float) -> torch.Tensor:
        """Return calibrated probabilities (..., C) of finite logits (..., C)."""

    def log_odds(self, logits: torch.Tensor, label: int) -> torch.Tensor:
        """Return log p / (1 - p) of the probability p (...) of a class, from calibrated logits (..., C)."""

    def answer(self, probabilities: torch.Tensor, thresholds: Sequence[float]) -> list[int]:
        """Return the indices of the classes that an image has by its probabilities (C,), the best first.

        Args:
            probabilities: Calibrated probabilities (C,).
            thresholds: Probability from which each class counts; empty if exactly one class does.
        """


class _OneLabel:
    """Exactly one class is right, so the probabilities add up to 1."""

    function = "softmax"

    def probabilities(self, logits: torch.Tensor, temperature: float) -> torch.Tensor:
        scaled = logits / temperature
        if not bool(torch.isfinite(scaled).all()):  # overflow: the softmax depends on differences only
            scaled = (logits - logits.amax(dim=-1, keepdim=True)) / temperature
        return torch.softmax(scaled, dim=-1)

    def log_odds(self, logits: torch.Tensor, label: int) -> torch.Tensor:
        others = [index for index in range(logits.shape[-1]) if index != label]
        return logits[..., label] - logits[..., others].logsumexp(dim=-1)

    def answer(self, probabilities: torch.Tensor, _thresholds: Sequence[float]) -> list[int]:
        return [int(probabilities.argmax())]


class _SeveralLabels:
    """Each class is right or not, whatever the others are."""

    function = "sigmoid"

    def probabilities(self, logits: torch.Tensor, temperature: float) -> torch.Tensor:
        return torch.sigmoid(logits / temperature)

    def log_odds(self, logits: torch.Tensor, label: int) -> torch.Tensor:
        return logits[..., label]

    def answer(self, probabilities: torch.Tensor, thresholds: Sequence[float]) -> list[int]:
        over = torch.nonzero(probabilities >= torch.tensor(thresholds, device=probabilities.device))[:, 0]
        order = probabilities[over].argsort(descending=True, stable=True)
        return [int(index) for index in over[order]]


READINGS: Mapping[Labels, Reading] = MappingProxyType({"one": _OneLabel(), "many": _SeveralLabels()})
"""How logits are read, by the number of labels that an image can have."""
