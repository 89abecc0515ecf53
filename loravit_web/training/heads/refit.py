"""The trained head, fitted once more in closed form on the features that were learned.

Training ends with features that separate the classes, and a head that a few steps have moved from zero. Ridge
regression on the same features errs differently, and learns from the validation images too, so both together
predict better than each of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from loravit_web.training.heads.closed_form import ClosedForm, fit_closed_form
from loravit_web.training.objective import Scale, objective_of

MOST_REFITTED = 2000
"""Number of training images, and of validation images, that the head is fitted on."""
STRENGTH = 0.1
"""Regularization strength.

It cannot be chosen by leave-one-out predictions, because the features have learned the labels of the training
images. From 0.03 to 0.3 the results are the same.
"""
_OUTPUTS = Scale(torch.ones(1), torch.zeros(1))


@dataclass(frozen=True, eq=False)
class Refit:
    """A closed form on the features of a trained head.

    Attributes:
        head: The head, fitted on training and validation images.
        validation: Logits (N, C) of the validation images by a head that was fitted on training images only.
    """

    head: ClosedForm
    validation: torch.Tensor


def fit_again(
    train: torch.Tensor,
    validation: torch.Tensor,
    labels: tuple[torch.Tensor, torch.Tensor],
    classes: int,
    fitted: torch.Tensor,
) -> Refit:
    """Fit a closed form, calibrated on the validation images.

    Args:
        train: Features (M, F) of training images.
        validation: Features (N, F) of all validation images.
        labels: Labels of both; see `fit_closed_form`.
        classes: Number of classes C.
        fitted: Indices of the validation images to fit on.
    """
    learned, held_out = labels
    first = fit_closed_form(train, learned, classes, (STRENGTH,), _OUTPUTS)
    outputs = first.logits(validation)
    scale = objective_of(held_out).scale(outputs, held_out)
    features, both = torch.cat([train, validation[fitted]]), torch.cat([learned, held_out[fitted]])
    return Refit(fit_closed_form(features, both, classes, (STRENGTH,), scale), scale.logits(outputs))
