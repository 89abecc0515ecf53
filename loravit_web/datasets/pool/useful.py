"""Order in which unlabeled images teach a task most: those that it doubts, far from one another.

The first image has the largest doubt. Each next one has the largest product of doubt and distance to all that
were chosen, as in k-center with weights, so that twenty frames of one scene are not asked about one after the
other (Sener and Savarese 2018, "Active learning for convolutional neural networks: a core-set approach").
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float64]
LEAST_DOUBT = 0.05
"""Doubt that every image has at least, so that variety decides where no answer is doubted."""


def most_useful(doubts: Values, features: Values, labeled: Values | None = None) -> list[int]:
    """Return the indices of all images, the most useful one first.

    Args:
        doubts: Doubt of each image (N,), 0 or more; see `training.files.reliability.doubt`.
        features: Features (N, F) of the frozen base.
        labeled: Features (M, F) of images that have a label, from which the first ones should be far too.
    """
    count = len(doubts)
    if not count:
        return []
    weights = np.maximum(np.asarray(doubts, dtype=np.float64), LEAST_DOUBT)
    units = _units(features)
    distance = np.ones(count) if labeled is None or not len(labeled) else _nearest(units, _units(labeled))
    left = np.ones(count, dtype=bool)
    order: list[int] = []
    while left.any():
        scores = np.where(left, weights * distance, -1.0)
        chosen = int(np.argmax(scores))
        order.append(chosen)
        left[chosen] = False
        distance = np.minimum(distance, 1.0 - units @ units[chosen])
    return order


def _units(features: Values) -> Values:
    values = np.asarray(features, dtype=np.float64)
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    units: Values = values / np.where(norms > 0, norms, 1.0)
    return units


def _nearest(units: Values, others: Values) -> Values:
    nearest: Values = 1.0 - (units @ others.T).max(axis=1)
    return nearest
