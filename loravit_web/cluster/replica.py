"""The replica that answers: the same engine as everywhere, kept alive by Ray Serve."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch
from PIL import Image

from loravit_web.cluster.ring import Route
from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.serving.answers import TaskAnswer
from loravit_web.settings.environment import read_settings
from loravit_web.settings.logs import set_up_logs
from loravit_web.util.periodic import Periodic
from registry import RegistryError

REQUESTS = 16
"""Number of requests that a replica computes at once; its engine batches them."""
REFRESH_SECONDS = 2.0
"""Seconds between two looks for new versions, which are loaded then. Requests look too."""
T = TypeVar("T")


@dataclass(frozen=True)
class Refused:
    """A problem that is shown to users, as a value, because errors of replicas are retried.

    Attributes:
        reason: Its text for visitors.
    """

    reason: str


@dataclass(frozen=True)
class ReplicaState:
    """What a replica says of itself.

    Attributes:
        machine: Name of its machine.
        ray_node: Id of the node of the cluster.
        pid: Process id.
        tokens_cached: Number of times that the trunk's tokens of an image were cached.
        tokens_missing: Number of times that they were not.
    """

    machine: str
    ray_node: str
    pid: int
    tokens_cached: int
    tokens_missing: int


class Replica:
    """Answers with a predictor on its own connections to the registry and the store.

    Settings come from the machine of the replica. Those that all machines have in common come from the
    caller. The first argument of each method is for the router.

    Args:
        shared: Environment variables that all machines have in common.
    """

    def __init__(self, shared: Mapping[str, str]) -> None:
        os.environ.update(shared)
        set_up_logs(os.environ)
        self._service = Service(read_settings(os.environ))
        self._predictor = self._service.predictor
        self._predictor.refresh()
        self._threads = ThreadPoolExecutor(REQUESTS, "answer")
        self._refreshing = Periodic("refresh", self._predictor.refresh, REFRESH_SECONDS)
        self._refreshing.start()

    async def classify(
        self, _route: Route, image: Image.Image, refs: Sequence[str], top_k: int
    ) -> list[TaskAnswer] | Refused:
        """Return the answers of versions, in their order; see `Answerer.classify`."""
        return await self._run(lambda: [*self._predictor.classify(image, refs, top_k=top_k).results])

    async def heatmap(
        self, _route: Route, image: Image.Image, ref: str, label: str
    ) -> torch.Tensor | Refused:
        """Return which patches contribute to a class; see `Answerer.heatmap`."""
        return await self._run(lambda: self._predictor.heatmap(image, ref, label))

    async def prepare(self, _route: Route, image: Image.Image, ref: str) -> bool | Refused:
        """Compute an answer in advance; see `Answerer.prepare`."""
        return await self._run(lambda: self._predictor.prepare(image, ref))

    async def state(self, _route: Route) -> ReplicaState:
        """Return the state of the replica that gets the request."""
        import ray

        node = ray.get_runtime_context().get_node_id()
        lookups = self._predictor.engines.configured.token_lookups
        return ReplicaState(socket.gethostname(), node, os.getpid(), *lookups)

    async def _run(self, job: Callable[[], T]) -> T | Refused:
        """Run a job on a thread, because Serve awaits all requests of a replica on a single one."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _tried, job)


def _tried(job: Callable[[], T]) -> T | Refused:
    try:
        return job()
    except (LoraVitError, RegistryError) as error:
        return Refused(error.in_public)
