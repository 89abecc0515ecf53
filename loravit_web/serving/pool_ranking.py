"""Which images of a pool a task should learn next, with its answers.

The ranking of the whole pool is computed once per version and stored beside the images. Later requests read
it, until another version answers or images are added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from loravit_web.backbones import Base, Preprocessing
from loravit_web.datasets.pool.record import PoolImage
from loravit_web.datasets.pool.store import PoolStore
from loravit_web.datasets.pool.useful import Values, most_useful
from loravit_web.errors import LoraVitError
from loravit_web.images.loading import ImageError, load_rgb
from loravit_web.serving.answers import TaskAnswer
from loravit_web.serving.predictor import Predictor
from registry import Version

MOST_RANKED = 1000
"""Number of images that are ranked at once; each costs two forward passes."""
LABELS = 3
"""Number of classes that are suggested for an image."""
_BATCH = 16
Progress = Callable[[float, str], None]
"""Called with a fraction from 0 to 1 and a sentence."""


class SeveralLabelsNotRanked(LoraVitError):
    """A pool of a task whose images can have several labels."""


@dataclass(frozen=True, slots=True)
class Suggested:
    """An image of a pool with the answer of its task.

    Attributes:
        image: The image.
        labels: Most probable classes with their probabilities, best first.
        is_unsure: Whether the answer is unsure.
        is_unlike: Whether the image is unlike the training images; None if the version cannot tell.
        doubt: Doubt of the answer; see `training.files.reliability.doubt`.
    """

    image: PoolImage
    labels: tuple[tuple[str, float], ...]
    is_unsure: bool
    is_unlike: bool | None
    doubt: float


@dataclass(frozen=True, slots=True)
class _Answered:
    """An answer as it is stored, and the features of its image (F,)."""

    document: dict[str, Any]
    features: Values


def suggestions(
    predictor: Predictor,
    version: Version,
    pools: PoolStore,
    *,
    most: int,
    progress: Progress = lambda _fraction, _text: None,
) -> list[Suggested]:
    """Return the open images of a pool that are most useful to a task, best first.

    Args:
        predictor: Predictor that answers.
        version: Version that answers.
        pools: Pools on disk.
        most: Maximum number of images.
        progress: Called while answers are computed; may raise an error to stop.

    Raises:
        SeveralLabelsNotRanked: If images of the task can have several labels.
        LoraVitError: If the version cannot be used.
        RegistryError: If its files are damaged.
        OSError: If the ranking cannot be stored.
    """
    if version.config.get("labels") == "many":
        raise SeveralLabelsNotRanked(
            f"{version.ref} has several labels per image, which cannot be confirmed here. Use a CSV instead."
        )
    images = {one.sha256: one for one in pools.images(version.slug) if one.is_open}
    if not images:
        return []
    stored = pools.ranking(version.slug)
    answers: Any = stored.get("answers", {})
    if stored.get("version") != _identity(version) or not set(images) <= {
        *answers,
        *stored.get("unread", []),
    }:  # type: ignore[misc]
        stored = _ranked(predictor, version, pools, list(images.values()), progress)
        pools.store_ranking(version.slug, stored)
        answers = stored["answers"]
    chosen = [images[sha256] for sha256 in answers if sha256 in images][:most]
    return [_suggested(one, answers[one.sha256]) for one in chosen]


def _identity(version: Version) -> str:
    """Return a text that changes with the version and with the titles of its classes."""
    return f"{version.ref} {version.manifest_sha256} {list(version.shown_classes)}"


def _ranked(
    predictor: Predictor,
    version: Version,
    pools: PoolStore,
    images: Sequence[PoolImage],
    progress: Progress,
) -> dict[str, Any]:
    """Return answers by hash, the most useful image first."""
    engine = predictor.engines.get(version.base.name, version.base.weights_sha256)
    preprocessing = engine.ensure(version.ref).preprocessing
    answered: dict[str, _Answered] = {}
    unread = [one.sha256 for one in images[MOST_RANKED:]]
    for number, one in enumerate(images[:MOST_RANKED], start=1):
        try:
            image = load_rgb(pools.image_path(version.slug, one))
        except (ImageError, FileNotFoundError):
            unread.append(one.sha256)
            continue
        answer = predictor.ranked(image, version.ref)
        features = _features(engine.master, [image], preprocessing)[0]
        answered[one.sha256] = _Answered(_document(answer), features)
        progress(number / len(images), f"Answered {number} of {len(images)} images")
    hashes = list(answered)
    doubts = np.array([answered[sha256].document["doubt"] for sha256 in hashes])
    features = np.stack([answered[sha256].features for sha256 in hashes]) if hashes else np.empty((0, 1))
    order = most_useful(doubts, features)
    return {
        "version": _identity(version),
        "answers": {hashes[index]: answered[hashes[index]].document for index in order},
        "unread": unread,
    }


def _features(base: Base, images: Sequence[Any], preprocessing: Preprocessing) -> Values:
    """Return what the last block of the frozen base makes of images, float64 (N, F)."""
    with torch.inference_mode():
        pooled = base.trunk(base.embed(preprocessing(images)), 0, base.depth).pooled[:, -1]
    values: Values = pooled.flatten(1).double().cpu().numpy()
    return values


def _document(answer: TaskAnswer) -> dict[str, Any]:
    return {
        "labels": [[one.label, round(one.score, 4)] for one in answer.labels[:LABELS]],
        "unsure": answer.unsure,
        "unlike": answer.unlike,
        "doubt": round(answer.doubt or 0.0, 4),
    }


def _suggested(image: PoolImage, document: dict[str, Any]) -> Suggested:
    return Suggested(
        image,
        tuple((str(name), float(score)) for name, score in document["labels"]),
        bool(document["unsure"]),
        document["unlike"],
        float(document["doubt"]),
    )
