"""While database or store is away, tasks in memory answer, others say why not, and all of them recover."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from PIL import Image

from loravit_web.backbones import Base
from loravit_web.backbones.loading import BaseUnavailable
from loravit_web.catalog.publishing import Origin, publish
from loravit_web.engine import EnginePool, MultiLoRAViT
from loravit_web.serving.predictor import Predictor
from loravit_web.serving.stored import stored_adapters
from registry import (
    BlobStoreUnreachable,
    DatabaseNotReadable,
    DatabaseReplaced,
    NewBase,
    Registry,
    RegistryError,
)
from tests.adapters.makers import random_adapter

IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8))
AWAY = DatabaseNotReadable("postgresql://db/team", "connection refused")
STORE_AWAY = BlobStoreUnreachable("s3://team", "connection refused")


class World:
    """A predictor on a catalog of which ``pets`` is in memory and ``birds`` is not, with a clock to set."""

    def __init__(self, registry: Registry, base: Base, patch: pytest.MonkeyPatch) -> None:
        self.registry, self._base, self._patch = registry, base, patch
        self.now, self.asked = 0.0, 0
        patch.setattr("loravit_web.serving.answerer.PRELOADED", 1)
        engine = MultiLoRAViT(base, torch.float32, load=stored_adapters(registry, base))
        self.predictor = Predictor(registry, EnginePool(engine, _no_base), clock=lambda: self.now)
        self.publish("birds")
        self.publish("pets")

    def publish(self, slug: str) -> None:
        base = self._base
        record = self.registry.bases.ensure(
            NewBase(base.name, base.weights_sha256, base.architecture, base.embed_dim, base.depth)
        )
        publish(self.registry, random_adapter(base), base, Origin(slug, slug, record.id, "test"))

    def lose_database(self, error: RegistryError = AWAY) -> None:
        def fail(*_arguments: object) -> NoReturn:
            self.asked += 1
            raise error

        self._patch.setattr(self.registry, "revision", fail)
        self._patch.setattr(self.registry.catalog, "resolve", fail)

    def lose_store(self) -> None:
        def fail(*_arguments: object) -> NoReturn:
            raise STORE_AWAY

        self._patch.setattr(self.registry.catalog, "read_files", fail)

    def recover(self) -> None:
        self._patch.undo()
        self.now += 60

    def errors(self, *tasks: str) -> list[str | None]:
        return [answer.error for answer in self.predictor.classify(IMAGE, tasks).results]


@pytest.fixture
def world(tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "artifacts") as registry:
        yield World(registry, base, monkeypatch)


def _no_base(name: str) -> NoReturn:
    raise BaseUnavailable(f"There is no base {name}.")


def test_a_task_in_memory_answers_without_the_database_and_another_one_says_why_not(world: World) -> None:
    world.predictor.refresh()
    world.lose_database()
    assert world.errors("pets", "birds") == [None, AWAY.in_public]
    assert [info.slug for info in world.predictor.tasks()] == ["birds", "pets"]


def test_a_database_that_is_away_is_not_asked_for_each_answer(world: World) -> None:
    world.predictor.refresh()
    world.lose_database()
    for _ in range(3):
        world.errors("pets")
    assert world.asked == 1
    world.now += 6
    world.errors("pets")
    assert world.asked == 2


def test_after_an_outage_every_task_answers_and_new_ones_are_seen(world: World) -> None:
    world.predictor.refresh()
    world.lose_database()
    world.errors("birds")
    world.recover()
    world.publish("trees")
    assert world.errors("pets", "birds", "trees") == [None, None, None]


def test_a_task_that_the_store_could_not_give_is_offered_again_at_once(world: World) -> None:
    world.predictor.refresh()
    world.lose_store()
    assert world.errors("pets", "birds") == [None, STORE_AWAY.in_public]
    assert {info.status for info in world.predictor.tasks()} == {"ready"}
    world.recover()
    assert world.errors("birds") == [None]


def test_tasks_are_listed_although_the_store_is_away_when_they_should_be_loaded(world: World) -> None:
    world.lose_store()
    assert [info.slug for info in world.predictor.tasks()] == ["birds", "pets"]
    world.recover()
    assert world.errors("pets") == [None]


def test_an_app_that_never_saw_the_catalog_says_that_the_database_is_away(world: World) -> None:
    world.lose_database()
    with pytest.raises(DatabaseNotReadable):
        world.errors("pets")


def test_nothing_answers_once_the_file_of_the_database_was_replaced(world: World) -> None:
    world.predictor.refresh()
    world.lose_database(DatabaseReplaced("registry.db", "was deleted"))
    with pytest.raises(DatabaseReplaced):
        world.errors("pets")
