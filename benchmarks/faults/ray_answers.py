"""Answers of replicas on a Ray cluster: where an image goes, what the way costs, and that none is lost."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType

import numpy as np
import torch
from PIL import Image

from benchmarks.support.adapters import publish_random
from benchmarks.support.node_cluster import Cluster
from benchmarks.support.report import Figure, at_least, at_most
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.cluster.cluster import Cluster as Connection
from loravit_web.cluster.cluster import Place
from loravit_web.cluster.replica import ReplicaState
from loravit_web.cluster.replicas import Replicas
from loravit_web.cluster.ring import Route
from loravit_web.cluster.serving import deploy, replicas_of, stop_replicas
from loravit_web.service import Service
from loravit_web.serving.predictor import Predictor
from loravit_web.settings.environment import Settings

IMAGES, REPLICAS, CLIENTS, ROUNDS, PER_ROUND = 100, 3, 8, 5, 48
PLACE = Place(cpus=1, memory_gib=1)
VERSIONS_SECONDS = 5.0


class Asking:
    """Clients that ask replicas without a pause, and what becomes of their requests."""

    def __init__(self, made: Cluster, settings: Settings, clients: int = 2) -> None:
        _publish(made, "asked", 0)
        self.answered, self.failed, self.longest = 0, list[str](), 0.0
        self._service = Service(settings, answerer=replicas_of(settings))
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(clients)]

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Wait for the answers of the requests that were sent."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._service.close()

    def _ask(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                (answer,) = self._service.predictor.classify(_image(rng), ["asked"]).results
                problem = answer.error
            except Exception as error:  # noqa: BLE001 - what fails is what is counted
                problem = repr(error)
            if problem is None:
                self.answered += 1
            else:
                self.failed.append(problem)
            self.longest = max(self.longest, time.monotonic() - began)
            self._ended.wait(0.05)


def answer_figures(made: Cluster, connection: Connection, settings: Settings) -> list[Figure]:
    """Return the figures of three replicas, and then of one."""
    for number in range(3):
        _publish(made, f"task-{number}", number)
    torch.set_num_threads(1)
    try:
        deploy(connection, settings, REPLICAS, REPLICAS, PLACE)
        figures = [*_seen_images(settings), _new_version(made, settings)]
        deploy(connection, settings, 1, 1, PLACE)
        return figures + _cost(settings)
    finally:
        stop_replicas()


def _seen_images(settings: Settings) -> list[Figure]:
    """Ask for a task on each image, and then for another one, on whatever replica the router chooses."""
    replicas = replicas_of(settings)
    service = Service(settings, answerer=replicas)
    rng = np.random.default_rng(0)
    images = [_image(rng) for _ in range(IMAGES)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda image: service.predictor.classify(image, ["task-0"]), images))
        first = states(replicas)
        list(pool.map(lambda image: service.predictor.classify(image, ["task-1"]), images))
    second = states(replicas)
    service.close()
    found = sum(second[pid].tokens_cached - first[pid].tokens_cached for pid in first)
    missed = sum(second[pid].tokens_missing - first[pid].tokens_missing for pid in first)
    shares = sorted(state.tokens_missing for state in first.values())
    return [
        at_least(
            "second task on a seen image: tokens of the trunk that are cached",
            100 * found / (found + missed),
            95,
            " %",
            note=f"{found} of {found + missed}, 4 clients",
        ),
        Figure("images by replica", ", ".join(map(str, shares))),
    ]


def _new_version(made: Cluster, settings: Settings) -> Figure:
    """Publish a version and ask each replica for it."""
    replicas = replicas_of(settings)
    image = _image(np.random.default_rng(1))
    published = time.monotonic()
    version = made.registry.catalog.resolve(_publish(made, "task-0", 9))
    for attempt in range(REPLICAS):
        (answer,) = replicas.ask("classify", Route("new", attempt=attempt), image, [version], 1)
        assert answer.error is None, answer.error
    seconds = time.monotonic() - published
    return at_most(
        "seconds until each replica has answered with a new version", seconds, VERSIONS_SECONDS, " s"
    )


def _cost(settings: Settings) -> list[Figure]:
    """Compare answers through one replica with those of this process, in turn, each in one thread."""
    remote, local = Service(settings, answerer=replicas_of(settings)), Service(settings)
    ratios: dict[int, list[float]] = {1: [], CLIENTS: []}
    paces: dict[int, list[tuple[float, float]]] = {1: [], CLIENTS: []}
    for clients in ratios:
        _pace(remote.predictor, clients, 0)
        _pace(local.predictor, clients, 0)
        for number in range(ROUNDS):
            there, here = (_pace(one.predictor, clients, number + 1) for one in (remote, local))
            ratios[clients].append(there / here)
            paces[clients].append((there, here))
    remote.close()
    local.close()
    return [
        at_least(
            f"answers through one replica / this process, {clients} clients",
            statistics.median(values),
            0.85,
            "x",
            note="answers/s: " + ", ".join(f"{there:.0f}/{here:.0f}" for there, here in paces[clients]),
        )
        for clients, values in ratios.items()
    ]


def _pace(predictor: Predictor, clients: int, seed: int) -> float:
    """Return the answers per second for new images."""
    rng = np.random.default_rng((clients, seed))  # new images, because answers are cached
    images = [_image(rng) for _ in range(PER_ROUND)]
    ask: Callable[[Image.Image], object] = partial(predictor.classify, tasks=["task-1", "task-2"])
    with ThreadPoolExecutor(clients) as pool:
        began = time.monotonic()
        list(pool.map(ask, images))
        return PER_ROUND / (time.monotonic() - began)


def states(replicas: Replicas) -> dict[int, ReplicaState]:
    """Return the states of all replicas by process: each attempt of a request asks another one first."""
    told: list[ReplicaState] = [
        replicas.ask("state", Route("state", attempt=attempt)) for attempt in range(REPLICAS)
    ]
    return {state.pid: state for state in told}


def _publish(made: Cluster, slug: str, seed: int) -> str:
    return publish_random(made.registry, made.base, slug, seed, ViTAdapterConfig()).ref


def _image(rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (224, 224, 3), dtype=np.uint8))
