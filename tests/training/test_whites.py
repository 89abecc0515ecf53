"""Brightness of images of more than 8 bits is learned, and answers see images as the training saw them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from loravit_web.adapters import ViTAdapterConfig
from loravit_web.adapters.files.format import from_files, to_files
from loravit_web.adapters.readout import parse_readout
from loravit_web.backbones import Base
from loravit_web.datasets import DatasetStore, ImageDataset
from loravit_web.engine import MultiLoRAViT
from loravit_web.images.loading import load_rgb
from loravit_web.images.whites import Whites
from loravit_web.training.data import split_data
from loravit_web.training.progress import SilentReporter
from loravit_web.training.trainer import train
from tests.conftest import tiny_base
from tests.training.conftest import quick

PROBE = quick(adapter=ViTAdapterConfig("PROBE", pooling="none", readout=parse_readout(["1-3"])))
CLASSES = {"dark": 900, "light": 3600}


def photo(path: Path, top: int, seed: int) -> Path:
    """Write an image of up to 12 bits in 16. Scaled from its own bits, it is as bright as any other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, top, (32, 32), dtype=np.uint16)
    Image.fromarray(values).save(path)
    return path


@pytest.fixture
def dataset(tmp_path: Path, store: DatasetStore) -> ImageDataset:
    for split, seeds in {"train": range(20), "test": range(20, 30)}.items():
        for seed in seeds:
            for name, top in CLASSES.items():
                photo(tmp_path / "set" / split / name / f"{seed}.{'png' if seed % 2 else 'tif'}", top, seed)
    return store.import_source(tmp_path / "set")


def test_a_class_that_differs_in_brightness_alone_is_learned_and_answered(
    dataset: ImageDataset, tmp_path: Path
) -> None:
    base = tiny_base()
    trained = train(
        base,
        torch.float32,
        split_data(dataset, PROBE),
        PROBE,
        work=tmp_path / "work",
        reporter=SilentReporter(),
    )
    assert trained.test is not None and trained.test.accuracy == 1.0
    assert trained.adapter.preprocessing.whites == Whites(integer=4095.0)
    adapter = from_files(to_files(trained.adapter, base, name="light", title="Light"), base)
    engine = MultiLoRAViT(base, torch.float32)
    engine.add("light", adapter)
    for name, top in CLASSES.items():
        image = load_rgb(photo(tmp_path / f"{name}.png", top, 99))
        (answer,) = engine.forward(adapter.preprocessing([image]), [["light"]])
        assert adapter.class_names[int(answer["light"].argmax())] == name


def test_without_the_white_of_the_set_it_is_chance(dataset: ImageDataset, base: Base, tmp_path: Path) -> None:
    old = split_data(replace(dataset, whites=None), PROBE)
    assert old.whites is None
    trained = train(base, torch.float32, old, PROBE, work=tmp_path / "work", reporter=SilentReporter())
    assert trained.test is not None and trained.test.accuracy < 0.8
    assert trained.adapter.preprocessing == base.preprocessing(32)
