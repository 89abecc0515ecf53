"""Drawn scenes show what their classes say."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
from scipy.ndimage import label

from loravit_web.datasets import SAMPLES
from loravit_web.datasets.sources.scenes import COUNTS, SHAPES, SIDE, TEXTURES, draw_scene, draw_scenes


def test_equal_seeds_give_equal_images() -> None:
    first, second = ([scene.image.tobytes() for scene in draw_scenes(5, 3)] for _ in range(2))
    assert first == second
    assert first != [scene.image.tobytes() for scene in draw_scenes(5, 4)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", COUNTS)
def test_a_scene_has_as_many_separate_shapes_as_its_class_says(shape: str, count: str) -> None:
    scene = draw_scene(shape, count, "plain", np.random.default_rng(1))
    pixels = np.asarray(scene.image).astype(int)
    ground = np.median(pixels.reshape(-1, 3), axis=0)
    _, found = label(np.abs(pixels - ground).sum(axis=2) > 0)
    assert found == int(count)


@pytest.mark.parametrize("texture", TEXTURES)
def test_a_background_has_the_colors_of_its_texture(texture: str) -> None:
    scene = draw_scene("circle", "1", texture, np.random.default_rng(2))
    assert (scene.image.mode, scene.image.size, scene.texture) == ("RGB", (SIDE, SIDE), texture)
    grounds = len(np.unique(np.asarray(scene.image).reshape(-1, 3), axis=0)) - 2
    assert grounds == {"plain": 1, "noise": grounds}.get(texture, 2)
    assert (grounds > 50) == (texture == "noise")


def test_the_three_samples_have_the_same_images() -> None:
    shapes, counts, textures = (list(_some_of(name)) for name in ("shapes", "counts", "textures"))
    assert shapes == counts == textures


def _some_of(name: str) -> Iterator[tuple[str, str, bytes]]:
    """Yield split, number and content of the first images."""
    for path, content in islice(SAMPLES[name].generate(), 30):
        yield path.split("/")[0], path.rpartition("/")[2], content
