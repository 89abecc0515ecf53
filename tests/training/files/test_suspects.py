"""Images whose label looks wrong are found by heads that were fitted without them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from loravit_web.backbones import Base
from loravit_web.datasets import ImageDataset
from loravit_web.training.data import Split, TrainingData
from loravit_web.training.files.suspects import (
    SUSPECTS,
    Suspect,
    Suspects,
    SuspectsDamaged,
    read_suspects,
    self_confidence,
    suspects_of,
    write_suspects,
)
from loravit_web.training.progress import SilentReporter
from loravit_web.training.trainer import train
from registry import Registry
from tests.training.conftest import WORKER, Execute, Queue, quick

FOUND = Suspects(24, (Suspect("ab" * 32, 0, 1, 0.75),))


def logits_of(*probabilities: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(probabilities).log()


def images(*labels: int) -> Split:
    """Return images whose hashes are their numbers."""
    return Split(tuple(Path(f"/store/{number}.png") for number in range(len(labels))), torch.tensor(labels))


def test_the_image_with_the_least_probable_label_comes_first() -> None:
    logits = logits_of((0.1, 0.8, 0.1), (0.02, 0.08, 0.9), (0.9, 0.05, 0.05))
    found = suspects_of(images(0, 0, 0), logits)
    assert found == Suspects(3, (Suspect("1", 0, 2, 0.9), Suspect("0", 0, 1, 0.8)))


@pytest.mark.parametrize(
    ("probabilities", "is_listed"), [((0.1, 0.9), True), ((0.4, 0.6), False), ((0.9, 0.1), False)]
)
def test_only_an_image_with_a_clearly_more_probable_class_is_listed(
    probabilities: tuple[float, float], is_listed: bool
) -> None:
    found = suspects_of(images(0), logits_of(probabilities)).found
    assert bool(found) is is_listed


def test_the_same_image_in_two_splits_is_listed_once() -> None:
    twice = Split((Path("/store/a.png"), Path("/store/a.png")), torch.tensor([0, 0]))
    found = suspects_of(twice, logits_of((0.1, 0.9), (0.05, 0.95)))
    assert found == Suspects(2, (Suspect("a", 0, 1, 0.95),))


def test_self_confidence_is_the_probability_of_the_label() -> None:
    confidence = self_confidence(logits_of((0.3, 0.7), (0.2, 0.8)), torch.tensor([0, 1]))
    assert confidence.tolist() == pytest.approx([0.3, 0.8])


def test_suspects_survive_a_round_trip() -> None:
    assert read_suspects(write_suspects(FOUND)) == FOUND
    assert read_suspects(write_suspects(Suspects(3, ()))) == Suspects(3, ())


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", write_suspects(FOUND).replace(b'"schema":1', b'"schema":2'), b'{"schema":1}'],
)
def test_a_file_that_is_not_suspects_is_rejected(data: bytes) -> None:
    with pytest.raises(SuspectsDamaged, match="cannot be read by this version of the app. Train again"):
        read_suspects(data)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_training_suspects_a_flipped_label_first(
    split: str, base: Base, data: TrainingData, tmp_path: Path
) -> None:
    flipped = getattr(data, split)
    flipped.labels[0] = 1 - flipped.labels[0]
    trained = train(base, torch.float32, data, quick(epochs=1), work=tmp_path, reporter=SilentReporter())
    assert trained.suspects.examined == 24
    first = trained.suspects.found[0]
    assert (first.sha256, first.label) == (flipped.paths[0].stem, int(flipped.labels[0]))
    assert first.suggested == 1 - first.label


def test_a_completed_run_stores_its_suspects(
    registry: Registry, queue: Queue, carry_out: Execute, dataset: ImageDataset
) -> None:
    run = carry_out(queue(worker=WORKER))
    suspects = read_suspects(registry.run_files.read(run.id, SUSPECTS))
    assert suspects == Suspects(len(dataset.select("train")), ())
