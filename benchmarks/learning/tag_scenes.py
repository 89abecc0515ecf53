"""Drawn scenes with up to three different shapes each: the images of the task with several labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from loravit_web.datasets.sources.scenes import SHAPES, TEXTURES, draw_shapes

_SCENES, _SEED, _MOST_SHAPES = 1250, 11, 3


def write_tag_scenes(folder: Path) -> Path:
    """Write the scenes and the CSV with their shapes as labels; return the CSV. Every fifth is a test image.

    Args:
        folder: Folder to create.
    """
    folder.mkdir(parents=True)
    random = np.random.default_rng(_SEED)
    rows = ["path,split,labels"]
    for number in range(_SCENES):
        count = int(random.integers(0, _MOST_SHAPES, endpoint=True))
        shapes = [str(name) for name in random.choice(list(SHAPES), count, replace=False)]
        image = draw_shapes(shapes, str(random.choice(TEXTURES)), random)
        image.save(folder / f"{number:04}.png", compress_level=1)
        rows.append(f"{number:04}.png,{'test' if number % 5 == 0 else 'train'},{';'.join(shapes)}")
    csv = folder / "tags.csv"
    csv.write_text("\n".join(rows))
    return csv
