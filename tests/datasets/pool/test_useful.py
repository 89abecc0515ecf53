"""The most useful images are doubted, and differ from one another."""

from __future__ import annotations

import numpy as np
import pytest

from loravit_web.datasets.pool.useful import most_useful


def test_without_variety_the_most_doubted_are_first() -> None:
    features = np.eye(4)
    assert most_useful(np.array([0.2, 0.9, 0.5, 0.7]), features) == [1, 3, 2, 0]


def test_frames_of_one_scene_are_not_asked_about_one_after_the_other() -> None:
    scene = np.tile([1.0, 0.01, 0.0], (5, 1)) + np.random.default_rng(0).normal(0, 1e-3, (5, 3))
    other = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    order = most_useful(np.array([2.0] * 5 + [0.6, 0.5]), np.concatenate([scene, other]))
    assert order[0] < 5
    assert set(order[1:3]) == {5, 6}
    assert sorted(order) == list(range(7))


def test_images_like_labeled_ones_come_later() -> None:
    features = np.eye(3)
    assert most_useful(np.ones(3), features, labeled=features[:2])[0] == 2


@pytest.mark.parametrize("doubt", [0.0, 1.0])
def test_variety_decides_where_all_doubts_are_the_same(doubt: float) -> None:
    features = np.array([[1.0, 0.0], [0.99, 0.1], [0.0, 1.0]])
    assert most_useful(np.full(3, doubt), features)[:2] in ([0, 2], [2, 0])


def test_no_image_and_images_without_features_have_an_order() -> None:
    assert most_useful(np.array([]), np.empty((0, 2))) == []
    assert sorted(most_useful(np.ones(2), np.zeros((2, 3)))) == [0, 1]
