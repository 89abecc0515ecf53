"""Trainers on a Ray cluster: start, list and stop them. The registry stays the queue and the truth."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from loravit_web.cluster.trainer import Trainer, TrainerState
from loravit_web.errors import LoraVitError
from loravit_web.settings.environment import Settings
from loravit_web.settings.limits import as_environment

NAMESPACE, PREFIX = "loravit", "trainer-"
ANSWER_SECONDS, STOP_SECONDS = 10.0, 30.0
"""Seconds that a trainer has to answer, and to hand its run back."""
MEMORY_GIB = 2.0
"""Memory that Ray reserves for a trainer, unless the caller says otherwise."""
_STORE_PREFIXES = ("AWS_", "FSSPEC_", "GOOGLE_", "AZURE_", "HF_")


class NoRay(LoraVitError):
    """Ray is not installed."""


class NoCluster(LoraVitError):
    """A Ray cluster that cannot be reached."""


class NotForRay(LoraVitError):
    """Settings with which machines of a cluster cannot work together."""


@dataclass(frozen=True)
class Place:
    """What a trainer needs of a machine.

    Attributes:
        cpus: Number of CPU cores.
        gpus: Number of GPUs, or a fraction of one.
        memory_gib: Memory in GiB.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory_gib: float = MEMORY_GIB


@dataclass(frozen=True)
class Listed:
    """A trainer of the cluster.

    Attributes:
        name: Name of its actor.
        state: What it says of itself, or None while it does not answer, as before a machine has room for it.
    """

    name: str
    state: TrainerState | None


class Cluster:
    """The trainers of a connected cluster.

    Args:
        ray: The module of Ray.
        is_own: Whether it was started on this machine for this process.
    """

    def __init__(self, ray: Any, *, is_own: bool) -> None:
        self._ray, self._is_own = ray, is_own

    @property
    def address(self) -> str:
        """Address for `RAY_ADDRESS`."""
        return str(self._ray.get_runtime_context().gcs_address)

    def start(self, settings: Settings, count: int, place: Place) -> list[str]:
        """Create trainers and return their names. Ray places each as soon as a machine has room for it.

        Ray starts a trainer again on another machine if its machine is lost.

        Args:
            settings: Settings of this machine, of which the trainers get those that all have in common.
            count: Number of trainers.
            place: What each trainer needs.

        Raises:
            NotForRay: If the database or the store is on this machine only.
        """
        check_is_ray("LORAVIT_EXECUTOR", settings.executor)
        shared = self.shared(settings)
        actor = self._ray.remote(Trainer)
        names = [f"{PREFIX}{uuid4().hex[:8]}" for _ in range(count)]
        for name in names:
            actor.options(
                name=name,
                namespace=NAMESPACE,
                lifetime="detached",
                max_restarts=-1,
                max_concurrency=2,
                num_cpus=place.cpus,
                num_gpus=place.gpus,
                memory=int(place.memory_gib * (1 << 30)),
                scheduling_strategy="SPREAD",
            ).remote(shared)
        return names

    def shared(self, settings: Settings) -> Mapping[str, str]:
        """Return the variables that all machines of the cluster get from the one that starts it.

        Raises:
            NotForRay: If the database or the store is on this machine only.
        """
        if not self._is_own:
            check_is_shared(settings)
        return shared_environment(settings)

    def trainers(self) -> list[Listed]:
        """Return the trainers, sorted by name."""
        names = self._names()
        asked = {name: self._ray.get_actor(name, NAMESPACE).state.remote() for name in names}
        if asked:
            self._ray.wait([*asked.values()], num_returns=len(asked), timeout=ANSWER_SECONDS)
        return [Listed(name, self._answer(asked[name])) for name in names]

    def stop(self) -> int:
        """Let all trainers hand their runs back, end them, and return their number."""
        names = self._names()
        actors = [self._ray.get_actor(name, NAMESPACE) for name in names]
        stopping = [actor.stop.remote(STOP_SECONDS) for actor in actors]
        if stopping:
            self._ray.wait(stopping, num_returns=len(stopping), timeout=STOP_SECONDS + ANSWER_SECONDS)
        for actor in actors:
            self._ray.kill(actor, no_restart=True)
        return len(names)

    def _names(self) -> list[str]:
        named = self._ray.util.list_named_actors(all_namespaces=True)
        return sorted(
            one["name"] for one in named if one["namespace"] == NAMESPACE and one["name"].startswith(PREFIX)
        )

    def _answer(self, asked: Any) -> TrainerState | None:
        try:
            state: TrainerState = self._ray.get(asked, timeout=0.1)
        except self._ray.exceptions.RayError:
            return None
        return state


@contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """Connect to a Ray cluster for the context.

    Args:
        address: Address of a running cluster, ``auto`` for the one of this machine, or None to start one on
            this machine that ends with the context.

    Raises:
        NoRay: If Ray is not installed.
        NoCluster: If there is no cluster at the address, or it asks for a token. Ray gives its token to the
            cluster of this machine by itself, and to an address only with `RAY_AUTH_MODE`.
    """
    try:
        import ray
    except ImportError as error:
        raise no_ray() from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # a replica that does not tell its queue in 0.1 s, as on a busy machine, would be passed over
    os.environ.setdefault("RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S", "1.0")
    try:
        ray.init(
            address=address or "local",
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level="ERROR",
            **({"include_dashboard": False} if address is None else {}),
        )
    except (ConnectionError, ValueError) as error:
        raise NoCluster(
            f"No Ray cluster answers at {address}. Start one with ray start --head, set RAY_ADDRESS to that "
            "of another one, or set RAY_AUTH_MODE=token if it asks for a token."
        ) from error
    try:
        yield Cluster(ray, is_own=address is None)
    finally:
        ray.shutdown()


def shared_environment(settings: Settings) -> Mapping[str, str]:
    """Return the variables that every trainer and replica gets from the machine that starts it.

    Folders are those of each machine. The credentials of the store are passed on.
    """
    return {
        "LORAVIT_EXECUTOR": settings.executor,
        "LORAVIT_SERVING": settings.serving,
        "LORAVIT_DATABASE_URL": settings.database or str(settings.database_url),
        "LORAVIT_ARTIFACT_URL": settings.artifact_url or str(settings.artifacts),
        "LORAVIT_BASE": settings.base,
        **as_environment(settings.limits),
        **{name: value for name, value in os.environ.items() if name.startswith(_STORE_PREFIXES)},
    }


def check_is_ray(variable: str, value: str) -> None:
    """Raise a `NotForRay` unless the value of a variable is ``ray``."""
    if value != "ray":
        raise NotForRay(f"{variable} is {value}. Set it to ray for this command and for the app.")


def check_is_shared(settings: Settings) -> None:
    """Raise a `NotForRay` if the database or the store is on this machine only."""
    if settings.database is None or settings.artifact_url is None:
        raise NotForRay(
            "The machines of a cluster need a database and a store that all of them reach. Set "
            "LORAVIT_DATABASE_URL and LORAVIT_ARTIFACT_URL."
        )


def no_ray() -> NoRay:
    """Return the error that says how to install Ray."""
    return NoRay('Clusters need Ray. Install it with pip install "loravit-web[ray]".')
