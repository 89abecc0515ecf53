"""The replica that answers: the same engine as everywhere, kept alive by Ray Serve."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loravit_web.cluster.channel import Address, Listener
from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.settings.environment import read_settings
from loravit_web.settings.logs import set_up_logs
from loravit_web.util.periodic import Periodic
from registry import RegistryError

REQUESTS = 16
"""Number of requests that a replica computes at once; its engine batches them."""
REFRESH_SECONDS = 0.5
"""Seconds between two looks for changes of the registry; new versions are loaded then or on request."""
METHODS = ("classify", "heatmap", "prepare")
"""Methods of `Answerer`, of which requests name one."""


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
    """Answers with the engines of its process, on its own connections to the registry and the store.

    Settings come from the machine of the replica. Those that all machines have in common come from the
    caller. Ray Serve starts it, ends it and tells where it listens; requests come by its `Listener`.

    Args:
        shared: Environment variables that all machines have in common.
    """

    def __init__(self, shared: Mapping[str, str]) -> None:
        os.environ.update(shared)
        set_up_logs(os.environ)
        predictor = Service(read_settings(os.environ)).predictor
        self._engines, self._answerer = predictor.engines, predictor.answerer
        predictor.refresh()
        self._refreshing = Periodic("refresh", predictor.refresh, REFRESH_SECONDS)
        self._refreshing.start()
        host, self._ray_node = _place()
        self._listener = Listener(host, self._answer, REQUESTS)

    async def address(self, _name: str) -> Address:
        """Return where the replica listens. The name is for the router."""
        return self._listener.address

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Return the number of its requests, for autoscaling."""
        return {"requests": float(self._listener.requests)}

    def state(self) -> ReplicaState:
        """Return the state of the replica."""
        lookups = self._engines.configured.token_lookups
        return ReplicaState(socket.gethostname(), self._ray_node, os.getpid(), *lookups)

    def _answer(self, method: str, arguments: tuple[Any, ...]) -> object:
        """Return what a method of the answerer returns, or `state`."""
        if method == "state":
            return self.state()
        if method not in METHODS:
            raise ValueError(f"unknown method {method}")
        try:
            return getattr(self._answerer, method)(*arguments)
        except (LoraVitError, RegistryError) as error:
            return Refused(error.in_public)


def _place() -> tuple[str, str]:
    """Return the address of this machine in the cluster, and the id of its node."""
    import ray

    return str(ray.util.get_node_ip_address()), str(ray.get_runtime_context().get_node_id())
