"""Answers of replicas: what they are asked, lost ones, and what they refuse. Ray is played or skipped."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from loravit_web.cluster import replica, serving
from loravit_web.cluster.cluster import Cluster, NotForRay, Place
from loravit_web.cluster.replica import Refused, Replica
from loravit_web.cluster.ring import Ring, Route, preferred
from loravit_web.cluster.router import NAME
from loravit_web.cluster.serving import ANSWER_SECONDS, Replicas, ReplicasSilent, deploy, image_key
from loravit_web.engine import EnginePool, MultiLoRAViT
from loravit_web.serving.answerer import LocalAnswerer, TaskUnavailable
from loravit_web.serving.answers import TaskAnswer
from loravit_web.serving.predictor import Predictor
from loravit_web.serving.stored import stored_adapters
from loravit_web.settings.environment import Settings, SettingsError, read_settings
from registry import Registry
from tests.serving.test_predictor import Publish, published

__all__ = ["published"]


class Lost(Exception):
    """As the errors of Ray for a replica that is gone."""


class Handle:
    """Ray Serve's handle, whose replica is a function.

    Attributes:
        asked: Method, route and other arguments of each request.
    """

    def __init__(self, reply: Callable[..., Any]) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._reply = reply

    def __getattr__(self, method: str) -> Any:
        def remote(*arguments: Any) -> Any:
            self.asked.append((method, *arguments))
            return SimpleNamespace(result=lambda timeout_s: self._reply(*arguments))

        return SimpleNamespace(remote=remote)


class Clock:
    """A clock that only pauses move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)


def replicas(handle: Handle) -> Replicas:
    clock = Clock()
    return Replicas(handle, "tiny", lambda error: isinstance(error, Lost), clock=clock, pause=clock.pause)


def answers(_route: Route, _image: Image.Image, refs: Sequence[str], top_k: int) -> list[TaskAnswer]:
    return [TaskAnswer(ref, ref.title(), (), None, float(top_k)) for ref in refs]


def version(ref: str, base: str = "tiny") -> Any:
    return SimpleNamespace(ref=ref, base=SimpleNamespace(name=base))


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8))


def test_the_versions_of_each_base_are_asked_together_and_answered_in_order(image: Image.Image) -> None:
    handle = Handle(answers)
    asked = [version("a@1"), version("b@1", "other"), version("c@2")]
    assert [one.task for one in replicas(handle).classify(image, asked, 3)] == ["a@1", "b@1", "c@2"]
    key = image_key(image)
    assert handle.asked == [
        ("classify", Route(key), image, ["a@1", "c@2"], 3),
        ("classify", Route(key, "other"), image, ["b@1"], 3),
    ]


def test_a_version_that_is_asked_for_twice_is_sent_once(image: Image.Image) -> None:
    handle = Handle(answers)
    found = replicas(handle).classify(image, [version("a@1"), version("b@1"), version("a@1")], 3)
    assert [one.task for one in found] == ["a@1", "b@1", "a@1"]
    assert handle.asked[0][3] == ["a@1", "b@1"]  # a replica leaves out duplicates


def test_a_lost_replica_costs_a_retry_on_another_one(image: Image.Image) -> None:
    def first_is_lost(route: Route, *arguments: Any) -> Any:
        if route.attempt == 0:
            raise Lost
        return answers(route, *arguments)

    handle = Handle(first_is_lost)
    (answer,) = replicas(handle).classify(image, [version("a@1")], 1)
    assert answer.task == "a@1"
    routes = [asked[1] for asked in handle.asked]
    ring = Ring(["x", "y"])
    assert len({preferred(ring, route, {})[0] for route in routes}) == 2


def test_without_a_living_replica_the_error_is_one_sentence_after_the_time_is_up(image: Image.Image) -> None:
    def all_are_lost(*_arguments: Any) -> Any:
        raise Lost

    handle = Handle(all_are_lost)
    with pytest.raises(
        ReplicasSilent, match=r"^The replicas do not answer\. Please try again in a moment\.$"
    ):
        replicas(handle).classify(image, [version("a@1")], 1)
    assert 10 < len(handle.asked) < ANSWER_SECONDS


def test_replicas_that_take_too_long_are_not_asked_again(image: Image.Image) -> None:
    def late(*_arguments: Any) -> Any:
        raise TimeoutError

    handle = Handle(late)
    with pytest.raises(ReplicasSilent):
        replicas(handle).prepare(image, version("a@1"))
    assert len(handle.asked) == 1


def test_errors_of_the_code_are_not_retried(image: Image.Image) -> None:
    def broken(*_arguments: Any) -> Any:
        raise TypeError("a bug")

    handle = Handle(broken)
    with pytest.raises(TypeError, match="a bug"):
        replicas(handle).prepare(image, version("a@1"))
    assert len(handle.asked) == 1


def test_what_a_replica_refuses_is_refused_here(image: Image.Image) -> None:
    handle = Handle(lambda *_: Refused("a@1 has no class “x”. Choose one of its classes."))
    with pytest.raises(TaskUnavailable, match="no class “x”"):
        replicas(handle).heatmap(image, version("a@1"), "x")


def test_equal_images_have_one_key_and_others_another(image: Image.Image) -> None:
    other = Image.fromarray(np.flipud(np.asarray(image)))
    assert image_key(image.copy()) == image_key(image) != image_key(other)


def test_a_predictor_with_replicas_answers_as_one_without(
    settings: Settings,
    registry: Registry,
    published: Publish,
    base: Any,
    image: Image.Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page's predictor resolves and counts; that of the replica computes."""
    published("pets")
    gone = published("birds")

    def pool() -> EnginePool:
        engine = MultiLoRAViT(base, torch.float32, load=stored_adapters(registry, base))
        return EnginePool(engine, lambda _name: engine)

    service = SimpleNamespace(predictor=Predictor(registry, pool()))
    monkeypatch.setattr(replica, "Service", lambda _settings: service)
    monkeypatch.setattr(replica, "set_up_logs", lambda _environ: None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    ours = Replica({"LORAVIT_HOME": str(settings.home)})
    handle = Handle(lambda *_: None)
    monkeypatch.setattr(
        Handle,
        "__getattr__",
        lambda _self, method: SimpleNamespace(
            remote=lambda *arguments: SimpleNamespace(
                result=lambda timeout_s: asyncio.run(getattr(ours, method)(*arguments))
            )
        ),
    )
    counted: list[tuple[int, bool]] = []
    far = Predictor(
        registry,
        pool(),
        answerer=replicas(handle),
        count=lambda one, milliseconds: counted.append((one, milliseconds is not None)),
    )
    near = Predictor(registry, pool())
    tasks = ["pets", "birds@1", "nothing"]
    assert [(one.task, one.labels, one.error) for one in far.classify(image, tasks).results] == [
        (one.task, one.labels, one.error) for one in near.classify(image, tasks).results
    ]
    label = far.ranked(image, "pets").labels[0].label
    assert torch.equal(far.heatmap(image, "pets", label), near.heatmap(image, "pets", label))
    assert far.prepare(image, "pets")
    with pytest.raises(TaskUnavailable, match="no class “x”"):
        far.heatmap(image, "pets", "x")
    newer = published("pets", seed=5)
    assert far.classify(image, ["pets"]).results[0].task == newer.ref
    assert (gone.id, True) in counted
    assert len(counted) == 3
    ours._refreshing.stop()


def test_answers_in_this_process_need_no_other_answerer(registry: Registry, base: Any) -> None:
    engine = MultiLoRAViT(base, torch.float32)
    predictor = Predictor(registry, EnginePool(engine, lambda _name: engine))
    assert isinstance(predictor._answerer, LocalAnswerer)


def test_replicas_need_the_setting_and_a_common_database_and_store(settings: Settings) -> None:
    with pytest.raises(NotForRay, match="LORAVIT_SERVING is local"):
        deploy(Cluster(None, is_own=True), settings, 1, 1, Place())
    with pytest.raises(NotForRay, match="LORAVIT_DATABASE_URL and LORAVIT_ARTIFACT_URL"):
        deploy(Cluster(None, is_own=False), replace(settings, serving="ray"), 1, 1, Place())


def test_the_setting_names_where_answers_are_computed(settings: Settings) -> None:
    home = {"LORAVIT_HOME": str(settings.home)}
    assert read_settings(home).serving == "local"
    assert read_settings({**home, "LORAVIT_SERVING": "Ray"}).serving == "ray"
    with pytest.raises(SettingsError, match="LORAVIT_SERVING is cloud. Set it to one of local, ray"):
        read_settings({**home, "LORAVIT_SERVING": "cloud"})


def test_the_router_of_ray_serve_follows_the_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray.serve", reason="Ray is not installed (pip install 'loravit-web[ray]')")
    from ray._common.utils import import_attr

    router = import_attr(NAME)
    made = router.__new__(router)
    made.ring = Ring(["a", "b", "c"])
    candidates = [SimpleNamespace(replica_id=SimpleNamespace(unique_id=name)) for name in "abc"]
    loads: dict[Any, int] = {}
    cache = SimpleNamespace(get=lambda one: loads.get(one.unique_id))
    monkeypatch.setattr(router, "replica_queue_len_cache", cache)
    route = Route("image")
    pending = SimpleNamespace(args=[route], routing_context=SimpleNamespace(should_backoff=False))

    def chosen() -> list[str]:
        ranks = asyncio.run(made.choose_replicas(candidates, pending))
        return [replica.replica_id.unique_id for (replica,) in ranks]

    assert chosen() == preferred(made.ring, route, {})
    loads[chosen()[0]] = 9
    assert chosen() == preferred(made.ring, route, loads)


def test_errors_of_ray_tell_a_lost_replica_from_a_bug() -> None:
    pytest.importorskip("ray.serve", reason="Ray is not installed (pip install 'loravit-web[ray]')")
    from ray.exceptions import ActorUnavailableError, RayTaskError, WorkerCrashedError

    assert serving.is_loss(ActorUnavailableError("gone", None))
    assert serving.is_loss(WorkerCrashedError())
    assert not serving.is_loss(RayTaskError("classify", "trace", TypeError("a bug")))
    assert not serving.is_loss(TypeError("a bug"))
