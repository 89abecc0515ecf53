"""A run that is training answers with its probe, for those who see the run, until it ends."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from PIL import Image

from loravit_web.adapters.files.first_answer import FirstAnswer, write_first_answer
from loravit_web.backbones import Base
from loravit_web.engine import EnginePool, MultiLoRAViT
from loravit_web.serving.predictor import Predictor
from loravit_web.serving.stored import names_run, stored_adapters, task_of_run
from registry import (
    DatasetClass,
    NewBase,
    NewDataset,
    NewRun,
    Owners,
    Registry,
    RegistryError,
    Run,
    Visibility,
)
from tests.adapters.makers import random_adapter
from tests.serving.test_predictor import CLASSES, Publish, image, published, refuse, registry

__all__ = ["image", "published", "registry"]

WORKER = "here:1"


@dataclass
class Training:
    """A predictor, and runs whose first answers a test stores."""

    registry: Registry
    base: Base
    predictor: Predictor
    counted: list[int]

    def start(self, owner: str = "ada") -> Run:
        record = self.registry.bases.ensure(
            NewBase(
                self.base.name,
                self.base.weights_sha256,
                self.base.architecture,
                self.base.embed_dim,
                self.base.depth,
            )
        )
        classes = tuple(DatasetClass(name, 4, 0, 0) for name in CLASSES)
        stored = self.registry.datasets.ensure(NewDataset("f" * 64, "pets", "folder", classes))
        new = NewRun("pets", "Pets", record.id, stored.id, 0, {}, {})
        return self.registry.runs.create(new, actor=owner, worker=WORKER)

    def answer_first(self, run: Run) -> None:
        adapter = random_adapter(self.base, classes=CLASSES)
        answer = FirstAnswer(1.0, CLASSES, 3, 1.0, ((0, 0, 1), (1, 1, 1), (2, 2, 1)))
        for name, data in write_first_answer(adapter, self.base, answer).items():
            self.registry.run_files.put(run.id, name, data)


@pytest.fixture
def training(registry: Registry, base: Base) -> Training:
    engine = MultiLoRAViT(base, torch.float32, load=stored_adapters(registry, base))
    counted: list[int] = []
    predictor = Predictor(
        registry, EnginePool(engine, refuse), count=lambda version, _milliseconds: counted.append(version)
    )
    return Training(registry, base, predictor, counted)


def test_the_name_of_an_adapter_is_never_that_of_a_run() -> None:
    assert names_run(task_of_run("a" * 32))
    assert not any(map(names_run, ("run", "run@1", "runs")))


def test_a_run_that_is_training_answers_beside_versions_and_is_not_listed(
    training: Training, published: Publish, image: Image.Image
) -> None:
    published("fruit")
    run = training.start()
    task = task_of_run(run.id)
    (early,) = training.predictor.classify(image, [task]).results
    assert early.error == "“Pets” has no first answer yet. Wait until its images are read."
    training.answer_first(run)
    first, other = training.predictor.classify(image, [task, "fruit"]).results
    assert (first.task, first.title) == (task, "Pets (first answer, still training)")
    assert {label.label for label in first.labels} == {*CLASSES}
    assert other.labels
    assert training.predictor.heatmap(image, task, "cat").ndim == 2
    assert len(training.counted) == 1, "only the version is counted"
    assert [info.slug for info in training.predictor.tasks()] == ["fruit"]
    assert task not in {info.slug for info in training.predictor.offered([task])}


@pytest.mark.parametrize("status", ["cancelled", "failed", "interrupted"])
def test_after_the_end_of_the_run_a_sentence_says_why_there_is_no_answer(
    status: str, training: Training, image: Image.Image
) -> None:
    run = training.start()
    training.answer_first(run)
    task = task_of_run(run.id)
    assert training.predictor.classify(image, [task]).results[0].labels
    training.registry.runs.finish(run.lease, status)  # type: ignore[arg-type]
    (answer,) = training.predictor.classify(image, [task]).results
    assert answer.error == (
        f"“Pets” has no first answer any more, because its run is {status}. Open the run in the tab Runs."
    )


def test_a_run_that_does_not_exist_gets_an_error(training: Training, image: Image.Image) -> None:
    (answer,) = training.predictor.classify(image, [task_of_run("0" * 32)]).results
    assert answer.error
    assert "no run" in answer.error


def test_others_do_not_see_the_first_answer_of_a_hidden_run(training: Training, image: Image.Image) -> None:
    run = training.start("guest-1")
    training.answer_first(run)
    task = task_of_run(run.id)
    assert training.predictor.classify(image, [task]).results[0].labels
    sight = training.registry.seen_by(Visibility(Owners("guest"), own="guest-2"))
    other = training.predictor.seen_by(sight, lambda owner: owner == "guest-2")
    (answer,) = other.classify(image, [task]).results
    assert answer.error
    assert "no run" in answer.error
    with pytest.raises(RegistryError):
        other.heatmap(image, task, "cat")
