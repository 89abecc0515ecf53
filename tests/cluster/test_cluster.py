"""Trainers on a Ray cluster, of which Ray itself is played; `python -m benchmarks ray` has the real one."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from loravit_web.backbones import Base
from loravit_web.cluster import trainer
from loravit_web.cluster.cluster import NAMESPACE, Cluster, NoRay, NotForRay, Place, connected
from loravit_web.cluster.trainer import Trainer
from loravit_web.datasets import DatasetStore
from loravit_web.settings.environment import Settings
from loravit_web.worker import reaper
from loravit_web.worker.worker import Worker
from registry import Registry
from tests.training.conftest import Queue, quick

SECONDS = 30.0


class RayError(Exception):
    """As `ray.exceptions.RayError`."""


@dataclass
class FakeRay:
    """Ray with actors that are ordinary objects."""

    actors: dict[str, Any] = field(default_factory=dict)
    options: list[dict[str, Any]] = field(default_factory=list)
    killed: list[Any] = field(default_factory=list)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(RayError=RayError))

    @property
    def util(self) -> Any:
        named = [{"name": name, "namespace": NAMESPACE} for name in self.actors]
        return SimpleNamespace(list_named_actors=lambda all_namespaces: named)

    def remote(self, actor: Any) -> Any:
        def options(**given: Any) -> Any:
            self.options.append(given)

            def create(shared: Any) -> None:
                self.actors[given["name"]] = _remote(actor(shared))

            return SimpleNamespace(remote=create)

        return SimpleNamespace(options=options)

    def get_actor(self, name: str, _namespace: str) -> Any:
        return self.actors[name]

    def wait(self, asked: list[Any], **_: Any) -> None:
        pass

    def get(self, asked: Any, timeout: float) -> Any:
        if isinstance(asked, RayError):
            raise asked
        return asked

    def kill(self, actor: Any, *, no_restart: bool) -> None:
        assert no_restart
        self.killed.append(actor)


def _remote(actor: Any) -> Any:
    def called(name: str) -> Any:
        return SimpleNamespace(remote=lambda *arguments: getattr(actor, name)(*arguments))

    return SimpleNamespace(state=called("state"), stop=called("stop"))


class Quiet:
    """An actor that trains nothing."""

    def __init__(self, shared: Any) -> None:
        self.shared = shared

    def state(self) -> Any:
        return trainer.TrainerState("forge", "r1", "n1", True, "")

    def stop(self, seconds: float) -> bool:
        return True


TEAM = {"database": "postgresql+psycopg://user@db/loravit", "artifact_url": "s3://bucket", "executor": "ray"}


def test_trainers_are_kept_alive_by_ray_where_a_machine_has_room(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loravit_web.cluster.cluster.Trainer", Quiet)
    ray = FakeRay()
    cluster = Cluster(ray, is_own=False)
    names = cluster.start(replace(settings, **TEAM), 2, Place(cpus=2, gpus=0.5, memory_gib=3))
    assert len(set(names)) == 2
    for given in ray.options:
        assert (given["num_cpus"], given["num_gpus"], given["memory"]) == (2, 0.5, 3 << 30)
        assert (given["lifetime"], given["max_restarts"]) == ("detached", -1)
    assert [(one.name, one.state and one.state.machine) for one in cluster.trainers()] == [
        (name, "forge") for name in sorted(names)
    ]
    assert cluster.stop() == 2
    assert len(ray.killed) == 2


def test_a_trainer_without_an_answer_is_listed_as_such(settings: Settings) -> None:
    silent = SimpleNamespace(state=SimpleNamespace(remote=lambda: RayError("pending")))
    (listed,) = Cluster(FakeRay(actors={"trainer-1": silent}), is_own=True).trainers()
    assert listed.state is None


def test_machines_of_a_cluster_need_a_common_database_and_store(settings: Settings) -> None:
    local = replace(settings, executor="ray")
    with pytest.raises(NotForRay, match="LORAVIT_DATABASE_URL and LORAVIT_ARTIFACT_URL"):
        Cluster(FakeRay(), is_own=False).start(local, 1, Place())
    with pytest.raises(NotForRay, match="LORAVIT_EXECUTOR is workers"):
        Cluster(FakeRay(), is_own=False).start(replace(settings, executor="workers"), 1, Place())


def test_without_ray_the_command_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(NoRay, match=r"pip install"), connected("auto"):
        pass


def test_a_trainer_trains_the_queue_is_listed_as_a_node_and_ends(
    settings: Settings,
    registry: Registry,
    store: DatasetStore,
    queue: Queue,
    base: Base,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextmanager
    def opened(_settings: Settings, *, worker_id: str, node: str) -> Iterator[Worker]:
        ours = replace(settings, executor="ray")
        yield Worker(ours, registry, store, load=lambda *_: base, worker_id=worker_id, node=node)

    monkeypatch.setattr(trainer, "opened_worker", opened)
    monkeypatch.setattr(trainer, "set_up_logs", lambda _environ: None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    context = SimpleNamespace(get_node_id=lambda: "r1")
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get_runtime_context=lambda: context))
    monkeypatch.setattr(trainer, "_WATCH_SECONDS", 0.05)
    monkeypatch.setattr(reaper, "STALE_AFTER", timedelta(seconds=-1))
    silent = queue(worker="elsewhere", recipe=quick(epochs=1))
    run = queue(recipe=quick(epochs=1))
    training = Trainer({"LORAVIT_HOME": str(settings.home)})
    _wait_for(lambda: registry.runs.get(run.id).status == "completed")
    _wait_for(lambda: registry.runs.get(silent.id).status == "completed")  # which it took up
    (node,) = registry.nodes.list()
    assert (node.id, node.slots) == (training.state().node, 1)
    assert training.state().is_open
    assert registry.runs.get(run.id).node == node.id
    assert training.stop(SECONDS)
    assert registry.nodes.list() == []


def _wait_for(happened: Callable[[], bool]) -> None:
    waiting, waited = threading.Event(), 0
    while not happened():
        assert waited < SECONDS / 0.02
        waited += 1
        waiting.wait(0.02)
