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

from loravit_web.cluster import known, replica, serving
from loravit_web.cluster.channel import Channel, ChannelLost, ReplyFailed
from loravit_web.cluster.cluster import Cluster, NotForRay, Place
from loravit_web.cluster.replica import Refused, Replica
from loravit_web.cluster.replicas import (
    AVOIDED_SECONDS,
    LAST_PAUSE_SECONDS,
    SILENT_SECONDS,
    Replicas,
    ReplicasSilent,
    image_key,
)
from loravit_web.cluster.ring import UNBOUNDED, Ring, Route, preferred
from loravit_web.cluster.router import NAME
from loravit_web.cluster.serving import deploy
from loravit_web.engine import EnginePool, MultiLoRAViT
from loravit_web.serving.answerer import LocalAnswerer, TaskUnavailable
from loravit_web.serving.answers import TaskAnswer
from loravit_web.serving.predictor import Predictor
from loravit_web.serving.stored import stored_adapters
from loravit_web.settings.environment import Settings, SettingsError, read_settings
from registry import Registry
from tests.cluster.test_cluster import TEAM
from tests.serving.test_predictor import Publish, published

__all__ = ["published"]

SECONDS = 30.0


class Channels:
    """The channels of replicas whose code is one function.

    Attributes:
        asked: Replica, method and arguments of each request.
        names: Names of the replicas that Ray Serve lists.
        closed: Names of those whose channel was closed.
    """

    def __init__(self, reply: Callable[..., Any], names: Sequence[str] = ("x", "y")) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.names, self.closed, self._reply = {*names}, list[str](), reply

    def opened(self, name: str) -> Any:
        def ask(method: str, arguments: tuple[Any, ...], _seconds: float) -> Any:
            self.asked.append((name, method, *arguments))
            return self._reply(name, method, *arguments)

        return SimpleNamespace(ask=ask, close=lambda: self.closed.append(name))


class Clock:
    """A clock that only pauses move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)


def replicas(channels: Channels, clock: Clock | None = None) -> Replicas:
    clock = clock or Clock()
    return Replicas(lambda: channels.names, channels.opened, "tiny", clock=clock, pause=clock.pause)


def answers(
    _name: str, _method: str, _image: Image.Image, asked: Sequence[Any], top_k: int
) -> list[TaskAnswer]:
    return [TaskAnswer(one.ref, one.ref.title(), (), None, float(top_k)) for one in asked]


def lost(*_arguments: Any) -> Any:
    raise ChannelLost("gone")


def version(ref: str, base: str = "tiny") -> Any:
    return SimpleNamespace(ref=ref, base=SimpleNamespace(name=base))


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8))


def test_the_versions_of_each_base_are_asked_together_and_answered_in_order(image: Image.Image) -> None:
    channels = Channels(answers)
    first, other, last = version("a@1"), version("b@1", "other"), version("c@2")
    found = replicas(channels).classify(image, [first, other, last], 3)
    assert [one.task for one in found] == ["a@1", "b@1", "c@2"]
    assert [asked[1:] for asked in channels.asked] == [
        ("classify", image, [first, last], 3),
        ("classify", image, [other], 3),
    ]


def test_a_version_that_is_asked_for_twice_is_sent_once(image: Image.Image) -> None:
    channels = Channels(answers)
    found = replicas(channels).classify(image, [version("a@1"), version("b@1"), version("a@1")], 3)
    assert [one.task for one in found] == ["a@1", "b@1", "a@1"]
    assert [one.ref for one in channels.asked[0][3]] == ["a@1", "b@1"]


def test_all_tasks_of_an_image_go_to_the_replica_that_the_ring_names(image: Image.Image) -> None:
    channels = Channels(answers, ["x", "y", "z"])
    ours = replicas(channels)
    for ref in ("a@1", "b@1"):
        ours.classify(image, [version(ref)], 1)
    named = preferred(Ring(channels.names), Route(image_key(image)), {})[0]
    assert [asked[0] for asked in channels.asked] == [named, named]


def test_a_lost_replica_costs_a_retry_on_another_one_and_is_avoided_for_a_while(image: Image.Image) -> None:
    def first_is_lost(name: str, *arguments: Any) -> Any:
        return lost() if name == first else answers(name, *arguments)

    first, second = preferred(Ring(["x", "y"]), Route(image_key(image)), {})
    channels, clock = Channels(first_is_lost), Clock()
    ours = replicas(channels, clock)
    assert ours.classify(image, [version("a@1")], 1)[0].task == "a@1"
    ours.classify(image, [version("a@1")], 1)
    assert [asked[0] for asked in channels.asked] == [first, second, second]
    clock.pause(AVOIDED_SECONDS + 1)
    ours.classify(image, [version("a@1")], 1)
    assert [asked[0] for asked in channels.asked[3:]] == [first, second]


def test_a_request_waits_for_the_first_replica(image: Image.Image) -> None:
    channels, clock = Channels(answers, []), Clock()

    def starts(seconds: float) -> None:
        clock.pause(seconds)
        channels.names = {"x"}

    def opened(name: str) -> Any:
        return channels.opened(name) if name else lost()

    ours = Replicas(lambda: channels.names, opened, "tiny", clock=clock, pause=starts)
    assert ours.classify(image, [version("a@1")], 1)[0].task == "a@1"


def test_without_a_living_replica_the_error_is_one_sentence_and_later_requests_do_not_wait(
    image: Image.Image,
) -> None:
    channels, clock = Channels(lost), Clock()
    ours = replicas(channels, clock)
    for waited, attempts in ((SILENT_SECONDS, 5), (0, 2)):
        began, before = clock.now, len(channels.asked)
        with pytest.raises(
            ReplicasSilent, match=r"^The replicas do not answer\. Please try again in a moment\.$"
        ):
            ours.classify(image, [version("a@1")], 1)
        assert waited <= clock.now - began < waited + 2 * LAST_PAUSE_SECONDS
        assert len(channels.asked) - before >= attempts
        assert {asked[0] for asked in channels.asked[before:]} == {"x", "y"}


def test_replicas_that_are_back_are_asked_again(image: Image.Image) -> None:
    channels, clock = Channels(lost), Clock()
    ours = replicas(channels, clock)
    with pytest.raises(ReplicasSilent):
        ours.classify(image, [version("a@1")], 1)
    channels._reply = answers
    assert ours.classify(image, [version("a@1")], 1)[0].task == "a@1"


def test_the_channel_of_a_replica_that_is_gone_is_closed(image: Image.Image) -> None:
    channels = Channels(answers, ["x"])
    ours = replicas(channels)
    ours.classify(image, [version("a@1")], 1)
    channels.names = {"y"}
    ours.classify(image, [version("a@1")], 1)
    assert channels.closed == ["x"]
    ours.close()
    assert channels.closed == ["x", "y"]


def test_a_replica_with_many_requests_passes_an_image_on(image: Image.Image) -> None:
    inside: list[str] = []

    def nested(name: str, *arguments: Any) -> Any:
        inside.append(name)
        if len(inside) <= UNBOUNDED:
            ours.classify(image, [version("a@1")], 1)
        return answers(name, *arguments)

    ours = replicas(Channels(nested))
    ours.classify(image, [version("a@1")], 1)
    assert len({*inside[:UNBOUNDED]}) == 1
    assert inside[UNBOUNDED] != inside[0]


def test_replicas_that_take_too_long_are_not_asked_again(image: Image.Image) -> None:
    def late(*_arguments: Any) -> Any:
        raise TimeoutError

    channels = Channels(late)
    with pytest.raises(ReplicasSilent):
        replicas(channels).prepare(image, version("a@1"))
    assert len(channels.asked) == 1


def test_errors_of_the_code_are_not_retried(image: Image.Image) -> None:
    def broken(*_arguments: Any) -> Any:
        raise ReplyFailed("TypeError: a bug")

    channels = Channels(broken)
    with pytest.raises(ReplyFailed, match="a bug"):
        replicas(channels).prepare(image, version("a@1"))
    assert len(channels.asked) == 1


def test_what_a_replica_refuses_is_refused_here(image: Image.Image) -> None:
    channels = Channels(lambda *_: Refused("a@1 has no class “x”. Choose one of its classes."))
    with pytest.raises(TaskUnavailable, match="no class “x”"):
        replicas(channels).heatmap(image, version("a@1"), "x")


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
    monkeypatch.setattr(replica, "_place", lambda: ("127.0.0.1", "r1"))
    ours = Replica({"LORAVIT_HOME": str(settings.home)})
    channel = Channel(asyncio.run(ours.address("")))
    counted: list[tuple[int, bool]] = []
    far = Predictor(
        registry,
        pool(),
        answerer=Replicas(lambda: ["x"], lambda _name: channel, "tiny"),
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
    assert asyncio.run(ours.record_autoscaling_stats()) == {"requests": 0.0}
    assert channel.ask("state", (), SECONDS).ray_node == "r1"
    with pytest.raises(ReplyFailed, match="unknown method forget"):
        channel.ask("forget", (), SECONDS)
    ours._refreshing.stop()
    ours._listener.close()
    channel.close()


def test_answers_in_this_process_need_no_other_answerer(registry: Registry, base: Any) -> None:
    engine = MultiLoRAViT(base, torch.float32)
    predictor = Predictor(registry, EnginePool(engine, lambda _name: engine))
    assert isinstance(predictor._answerer, LocalAnswerer)


def test_replicas_need_the_setting_and_a_common_database_and_store(settings: Settings) -> None:
    with pytest.raises(NotForRay, match="LORAVIT_SERVING is local"):
        deploy(Cluster(None, is_own=True), settings, 1, 1, Place())
    with pytest.raises(NotForRay, match="LORAVIT_DATABASE_URL and LORAVIT_ARTIFACT_URL"):
        deploy(Cluster(None, is_own=False), replace(settings, serving="ray"), 1, 1, Place())


@pytest.mark.parametrize("variable", ["LORAVIT_EXECUTOR", "LORAVIT_SERVING"])
def test_the_app_of_a_team_on_ray_needs_postgresql(settings: Settings, variable: str) -> None:
    team = {"LORAVIT_HOME": str(settings.home), "LORAVIT_MODE": "team", variable: "ray"}
    with pytest.raises(SettingsError, match="needs a PostgreSQL database"):
        read_settings(team)
    with pytest.raises(SettingsError, match="needs a PostgreSQL database"):
        read_settings({**team, "LORAVIT_DATABASE_URL": "sqlite:///shared.db"})
    assert read_settings({**team, "LORAVIT_DATABASE_URL": TEAM["database"]}).mode == "team"
    assert read_settings({**team, "LORAVIT_MODE": "local"}).mode == "local"


def test_the_setting_names_where_answers_are_computed(settings: Settings) -> None:
    home = {"LORAVIT_HOME": str(settings.home)}
    assert read_settings(home).serving == "local"
    assert read_settings({**home, "LORAVIT_SERVING": "Ray"}).serving == "ray"
    with pytest.raises(SettingsError, match="LORAVIT_SERVING is cloud. Set it to one of local, ray"):
        read_settings({**home, "LORAVIT_SERVING": "cloud"})


@pytest.mark.parametrize(("requests", "wanted"), [(0, 1), (2, 1), (5, 3), (12, 6)])
def test_autoscaling_wants_a_replica_for_two_requests(requests: int, wanted: int) -> None:
    counts = {"x": requests / 2, "y": requests / 2}
    context = SimpleNamespace(aggregated_metrics={"requests": counts})
    assert serving.replicas_for(context) == (wanted, {})
    assert serving.replicas_for(SimpleNamespace(aggregated_metrics=None)) == (1, {})


def test_the_router_of_ray_serve_tells_all_replicas_and_reaches_a_named_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("ray.serve", reason="Ray is not installed (pip install 'loravit-web[ray]')")
    from ray._common.utils import import_attr
    from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter

    router = import_attr(NAME)
    made = router.__new__(router)
    monkeypatch.setattr(ConsistentHashRouter, "update_replicas", lambda _self, _replicas: None)
    monkeypatch.setattr(known._Known, "names", frozenset())
    candidates = [SimpleNamespace(replica_id=SimpleNamespace(unique_id=name)) for name in "abc"]
    made.update_replicas(candidates)
    assert known.names() == {"a", "b", "c"}

    def chosen(name: str) -> list[list[Any]]:
        context = SimpleNamespace(should_backoff=False)
        pending = SimpleNamespace(args=[name], routing_context=context)
        return asyncio.run(made.choose_replicas(candidates, pending))

    assert chosen("b") == [[candidates[1]]]
    assert chosen("") == [candidates]


def test_errors_of_ray_tell_a_lost_replica_from_a_bug() -> None:
    pytest.importorskip("ray.serve", reason="Ray is not installed (pip install 'loravit-web[ray]')")
    from ray.exceptions import ActorUnavailableError, RayTaskError, WorkerCrashedError

    assert serving.is_loss(ActorUnavailableError("gone", None))
    assert serving.is_loss(WorkerCrashedError())
    assert not serving.is_loss(RayTaskError("classify", "trace", TypeError("a bug")))
    assert not serving.is_loss(TypeError("a bug"))
