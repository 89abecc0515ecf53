"""Training, validation and test splits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from loravit_web.datasets import DatasetStore, ImageDataset
from loravit_web.training.data import Split, examples, split_data
from loravit_web.training.objective import balanced_weights
from tests.conftest import ColourFolders
from tests.training.conftest import quick


def names(split: Split) -> set[str]:
    return {path.name for path in split.paths}


def test_a_stratified_part_is_held_out_without_validation_images(dataset: ImageDataset) -> None:
    data = split_data(dataset, quick(validation_fraction=0.25))
    assert Counter(data.train.labels.tolist()) == {0: 9, 1: 9}
    assert Counter(data.validation.labels.tolist()) == {0: 3, 1: 3}
    assert Counter(data.test.labels.tolist()) == {0: 4, 1: 4}
    assert not names(data.train) & names(data.validation)
    assert names(data.train) | names(data.validation) == {
        dataset.image_path(item).name for item in dataset.select("train")
    }
    assert data.class_names == ("green", "red")
    assert data.note == ""


def test_the_examples_are_one_training_image_per_class_in_order(dataset: ImageDataset) -> None:
    data = split_data(dataset, quick())
    images = examples(data)
    assert [max(range(3), key=lambda c, p=p: np.asarray(p)[:, :, c].mean()) for p in images] == [1, 0]
    only_red = replace(data, train=Split(data.train.paths[-1:], data.train.labels[-1:]))
    assert len(examples(only_red)) == 1


def test_the_split_depends_on_the_seed_only(dataset: ImageDataset) -> None:
    first = split_data(dataset, quick(seed=1))
    assert split_data(dataset, quick(seed=1)).validation.paths == first.validation.paths
    assert names(split_data(dataset, quick(seed=2)).validation) != names(first.validation)


def test_labels_belong_to_their_images(dataset: ImageDataset) -> None:
    data = split_data(dataset, quick())
    for split in (data.train, data.validation, data.test):
        for path, label in zip(split.paths, split.labels.tolist(), strict=True):
            red, green, _ = Image.open(path).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
            assert data.class_names[label] == ("red" if red > green else "green")


def test_validation_and_test_images_of_the_dataset_are_all_used(
    store: DatasetStore, colour_folders: ColourFolders
) -> None:
    root = colour_folders(per_class=10, test=3)
    for name in ("red", "green"):
        for index in (0, 1):
            target = root / "val" / name
            target.mkdir(parents=True, exist_ok=True)
            (root / "train" / name / f"{index}.png").rename(target / f"{index}.png")
    dataset = store.import_source(root)
    data = split_data(dataset, quick(max_images=6))
    assert names(data.validation) == {dataset.image_path(item).name for item in dataset.select("val")}
    assert (len(data.train), len(data.validation), len(data.test)) == (6, 4, 6)
    assert data.note == "Trained and validated on a stratified subset of 10 of 20 images."


def test_a_subset_is_stratified_and_mentioned_in_the_note(dataset: ImageDataset) -> None:
    data = split_data(dataset, quick(max_images=8, validation_fraction=0.25))
    assert Counter(data.train.labels.tolist()) == {0: 3, 1: 3}
    assert Counter(data.validation.labels.tolist()) == {0: 1, 1: 1}
    assert data.note == "Trained and validated on a stratified subset of 8 of 24 images."


def test_every_class_has_the_same_weight_and_the_mean_is_one() -> None:
    labels = torch.tensor([0] * 6 + [1] * 2 + [2])
    weights = balanced_weights(labels, 3)
    totals = [float(weights[labels[labels == c]].sum()) for c in range(3)]
    assert torch.allclose(torch.tensor(totals), torch.full((3,), 3.0))
    assert float(weights[labels].mean()) == 1.0


def test_a_class_without_images_is_not_a_division_by_zero(tmp_path: Path) -> None:
    assert bool(torch.isfinite(balanced_weights(torch.tensor([0, 0, 2]), 4)).all())
