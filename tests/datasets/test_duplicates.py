"""Near-duplicates are found although their files differ, and other images are not."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loravit_web.datasets import DatasetStore, ImageDataset, duplicates, near_duplicates
from loravit_web.datasets.duplicates import difference_hash

from .makers import zip_of


def scene(number: int) -> Image.Image:
    """Return a smooth image, like a photograph; another one for every number."""
    coarse = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def dataset_of(tmp_path: Path, more: dict[str, bytes]) -> ImageDataset:
    files = {
        f"train/{name}/{n}.png": saved(scene(100 * k + n)) for k, name in enumerate("ab") for n in range(6)
    }
    archive = zip_of(tmp_path / "scenes.zip", {**files, **more})
    return DatasetStore(tmp_path / "store", workers=1).import_source(archive)


def paths(dataset: ImageDataset) -> list[set[str]]:
    return [{pair.first.path, pair.second.path} for pair in near_duplicates(dataset).pairs]


def test_a_recompressed_and_a_resized_copy_are_found_across_splits(tmp_path: Path) -> None:
    more = {
        "test/a/packed.jpg": saved(scene(0), "JPEG", quality=60),
        "test/b/small.png": saved(scene(101).resize((48, 48))),
        "test/b/own.png": saved(scene(999)),
    }
    found = near_duplicates(dataset_of(tmp_path, more))
    assert found.across == 2
    assert found.compared == 15
    assert [{pair.first.path, pair.second.path} for pair in found.pairs] == [
        {"train/a/0.png", "test/a/packed.jpg"},
        {"train/b/1.png", "test/b/small.png"},
    ]


def test_copies_within_a_split_are_found_and_listed_last(tmp_path: Path) -> None:
    more = {
        "train/a/again.jpg": saved(scene(0), "JPEG", quality=80),
        "test/b/again.jpg": saved(scene(101), "JPEG", quality=80),
    }
    found = near_duplicates(dataset_of(tmp_path, more))
    assert [pair.across for pair in found.pairs] == [True, False]


def test_flat_images_of_different_colors_are_not_duplicates(tmp_path: Path) -> None:
    more = {f"test/a/{n}.png": saved(Image.new("RGB", (32, 32), (n * 60, 0, 0))) for n in range(4)}
    assert paths(dataset_of(tmp_path, more)) == []


def test_many_similar_frames_give_few_pairs(tmp_path: Path) -> None:
    more = {f"test/a/{n}.jpg": saved(scene(0), "JPEG", quality=40 + n) for n in range(20)}
    found = near_duplicates(dataset_of(tmp_path, more))
    assert len(found.pairs) == 10


def test_of_many_images_an_evenly_spaced_part_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "MAX_IMAGES", 6)
    assert near_duplicates(dataset_of(tmp_path, {})).compared == 6


def test_the_hash_has_a_bit_for_each_decrease_of_brightness() -> None:
    ramp = Image.fromarray(np.tile(np.linspace(255, 0, 90, dtype=np.uint8), (80, 1)))
    assert difference_hash(ramp) == 2**64 - 1
    assert difference_hash(ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0
