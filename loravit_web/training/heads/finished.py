"""The head of a finished training: what was trained, blended with closed forms; see `blend`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

import torch

from loravit_web.adapters.readout import Readout, last_block
from loravit_web.adapters.types import adapter_type
from loravit_web.training.heads.blend import Head, Parts, fit_blend
from loravit_web.training.heads.closed_form import ClosedForm
from loravit_web.training.heads.probe import fit_probe, refit_probe, subset, trunk_readout
from loravit_web.training.heads.refit import MOST_REFITTED, Refit, fit_again
from loravit_web.training.loop import TrainingLoop
from loravit_web.training.objective import objective_of
from loravit_web.training.prefix import PrefixTokens

T = TypeVar("T")
_STAGES = {"validation": "Evaluating", "test": "Testing"}


class Computing(Protocol):
    """Computes something while progress is reported."""

    def __call__(self, fit: Callable[[], T], stage: str) -> T:
        """Return the result of ``fit``, and report a stage meanwhile."""


def finished_head(loop: TrainingLoop, images: Mapping[str, PrefixTokens], computed: Computing) -> Head:
    """Return the head of a training whose loop has ended.

    Args:
        loop: The loop, with the best parameters.
        images: Images of each split.
        computed: Computes the closed forms.
    """
    base, data, recipe = loop.base, loop.data, loop.recipe
    features = {name: loop.features(images[name], stage) for name, stage in _STAGES.items()}
    refitted = None
    if recipe.refit and loop.head.in_features:
        rows = subset(data.train.labels, MOST_REFITTED, recipe.seed)
        learned = loop.features(images["train"], "Evaluating", rows)
        refitted = computed(lambda: _refitted(loop, learned, rows, features), "Fitting the head again")
    readout = (
        trunk_readout(base, loop.first_block) if recipe.adapter.readout is None else recipe.adapter.readout
    )
    closed: dict[str, torch.Tensor] = {}
    part = None
    if readout:
        part, closed = _on_readout(loop, images, readout, computed)
    parts = {
        name: Parts(
            loop.logits(features[name]),
            None if refitted is None else _logits_again(refitted, name, features[name]),
            closed.get(name),
        )
        for name in _STAGES
    }
    labels = data.validation.labels
    blend = fit_blend(parts["validation"], labels)
    weight, bias = blend.folded(loop.head, None if refitted is None else refitted.head, part)
    logits = {name: blend.logits(each) for name, each in parts.items()}
    config = replace(recipe.adapter, readout=readout)
    return Head(
        config=config,
        change=adapter_type(config.adapter_type).change(loop.blocks, config, base),
        weight=weight,
        bias=bias,
        temperature=blend.temperature,
        thresholds=objective_of(labels).thresholds(logits["validation"], labels, blend.temperature),
        logits=logits,
    )


def _refitted(
    loop: TrainingLoop, learned: torch.Tensor, rows: torch.Tensor, features: Mapping[str, torch.Tensor]
) -> Refit:
    labels = loop.data.train.labels[rows], loop.data.validation.labels
    fitted = subset(labels[1], MOST_REFITTED, loop.recipe.seed)
    return fit_again(learned, features["validation"], labels, len(loop.data.class_names), fitted)


def _logits_again(refitted: Refit, split: str, features: torch.Tensor) -> torch.Tensor:
    return refitted.validation if split == "validation" else refitted.head.logits(features)


def _on_readout(
    loop: TrainingLoop, images: Mapping[str, PrefixTokens], readout: Readout, computed: Computing
) -> tuple[ClosedForm, dict[str, torch.Tensor]]:
    """Return the closed form on a readout, and the logits of validation and test images."""
    base, data, seed = loop.base, loop.data, loop.recipe.seed
    own = last_block(readout) > loop.first_block
    pooled = {name: loop.pooled(each, "Evaluating") if own else each.pooled for name, each in images.items()}
    classes = len(data.class_names)
    stage = "Fitting the second part of the head"
    first = computed(
        lambda: fit_probe(base, pooled["train"], data.train.labels, classes, (readout,), seed=seed), stage
    )
    both = [pooled["train"], pooled["validation"]]
    final = computed(lambda: refit_probe(first, base, both, data.fitted.labels, seed=seed), stage)
    logits = {
        "validation": first.logits(base, pooled["validation"]),
        "test": final.logits(base, pooled["test"]),
    }
    return final.head, logits
