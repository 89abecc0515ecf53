"""Replies of the engine as answers of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from loravit_web.adapters import Adapter
from loravit_web.adapters.adapter import NonFiniteLogits
from loravit_web.engine.batching import Reply
from loravit_web.errors import LoraVitError
from loravit_web.serving.answers import Label, TaskAnswer
from loravit_web.serving.stored import Answering
from loravit_web.training.files.reliability import confidence
from loravit_web.util.labels import several
from registry import RegistryError


def answer_of(task: str, version: Answering, adapter: Adapter, reply: Reply, top_k: int) -> TaskAnswer:
    """Return the answer of a version, or its error if the logits are not finite.

    Args:
        task: Task as it was asked for.
        version: Version that answered.
        adapter: Its adapter.
        reply: Reply of the engine.
        top_k: Maximum number of labels.
    """
    try:
        scores = adapter.scores(reply.logits[version.ref])
    except NonFiniteLogits as error:
        return no_answer(task, error)
    names = version.shown_classes or adapter.class_names
    ordered = _labels(names, scores, scores.topk(min(max(top_k, 2), len(scores))).indices.tolist())
    over = _labels(names, scores, adapter.answer(scores)) if several(adapter.config.labels) else None
    return TaskAnswer(
        task=version.ref,
        title=version.title,
        labels=ordered[:top_k],
        error=None,
        milliseconds=reply.seconds[version.ref] * 1000,
        novelty=reply.novelty.get(version.ref),
        over=over,
        confidence=confidence(*(label.score for label in ordered[:2])) if over is None else None,
        thresholds=version.thresholds,
    )


def _labels(names: Sequence[str], scores: torch.Tensor, indices: Iterable[int]) -> tuple[Label, ...]:
    return tuple(Label(names[index], float(scores[index])) for index in indices)


def no_answer(task: str, error: LoraVitError | RegistryError) -> TaskAnswer:
    """Return the answer of a task that failed."""
    return TaskAnswer(task, task, (), error.in_public, 0.0)
