"""Replicas on Ray Serve: start, list and stop them, and ask them for answers."""

from __future__ import annotations

import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import torch
from PIL import Image

from loravit_web.cluster.cluster import Cluster, Place, check_is_ray, connected
from loravit_web.cluster.replica import REQUESTS, Refused, Replica
from loravit_web.cluster.ring import Route
from loravit_web.cluster.router import NAME
from loravit_web.errors import LoraVitError
from loravit_web.serving.answerer import TaskUnavailable
from loravit_web.serving.answers import TaskAnswer
from loravit_web.serving.stored import Answering
from loravit_web.settings.environment import Settings

APPLICATION = "loravit"
QUEUED = 2.0
"""Requests per replica, above which autoscaling adds one."""
HEALTH_PERIOD_SECONDS, HEALTH_TIMEOUT_SECONDS = 2.0, 10.0
ANSWER_SECONDS = 120.0
"""Seconds in which replicas have to answer, retries included."""
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.05, 2.0
_SAMPLED = 64
_LOG = logging.getLogger(__name__)


class NoReplicas(LoraVitError):
    """No replicas were started on the cluster."""


class ReplicasSilent(LoraVitError):
    """Replicas that do not answer in time."""


class Replicas:
    """Asks replicas for answers; see `serving.answerer.Answerer`. Thread-safe.

    A request that a replica lost is sent to another one until `ANSWER_SECONDS` have passed.

    Args:
        handle: Ray Serve's handle of the replicas.
        configured: Name of the base that every replica holds.
        is_loss: Returns whether an error means that a replica was lost.
        clock: Returns the time in seconds.
        pause: Waits for a number of seconds.
    """

    def __init__(
        self,
        handle: Any,
        configured: str,
        is_loss: Callable[[Exception], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._handle, self._configured, self._is_loss = handle, configured, is_loss
        self._clock, self._pause = clock, pause

    def classify(self, image: Image.Image, versions: Sequence[Answering], top_k: int) -> list[TaskAnswer]:
        """Return the answers of versions, those of each base from one replica; see `Answerer.classify`."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, version in enumerate(versions):
            places[version.base.name].append(place)
        key = image_key(image)
        answers: dict[int, TaskAnswer] = {}
        for of_base in places.values():
            refs = [*dict.fromkeys(versions[place].ref for place in of_base)]
            computed = self.ask("classify", self._route(key, versions[of_base[0]]), image, refs, top_k)
            by_ref = dict(zip(refs, computed, strict=True))
            answers |= {place: by_ref[versions[place].ref] for place in of_base}
        return [answers[place] for place in range(len(versions))]

    def heatmap(self, image: Image.Image, version: Answering, label: str) -> torch.Tensor:
        """Return which patches contribute to a class; see `Answerer.heatmap`."""
        heat: torch.Tensor = self.ask(
            "heatmap", self._route(image_key(image), version), image, version.ref, label
        )
        return heat

    def prepare(self, image: Image.Image, version: Answering) -> bool:
        """Compute an answer in advance on the replica that will be asked for it; see `Answerer.prepare`."""
        return bool(self.ask("prepare", self._route(image_key(image), version), image, version.ref))

    def _route(self, image: str, version: Answering) -> Route:
        name = version.base.name
        return Route(image, None if name == self._configured else name)

    def ask(self, method: str, route: Route, *arguments: object) -> Any:
        """Return what a replica returns.

        Raises:
            TaskUnavailable: If the replica refuses.
            ReplicasSilent: If no replica answers in time.
        """
        deadline, wait = self._clock() + ANSWER_SECONDS, FIRST_PAUSE_SECONDS
        while (left := deadline - self._clock()) > 0:
            try:
                response = getattr(self._handle, method).remote(route, *arguments)
                result = response.result(timeout_s=left)
            except TimeoutError:
                break
            except Exception as error:
                if not self._is_loss(error):
                    raise
                _LOG.warning("A replica was lost (%s). Its request is sent again.", type(error).__name__)
                route = replace(route, attempt=route.attempt + 1)
                self._pause(min(wait, max(0.0, deadline - self._clock())))
                wait = min(2 * wait, LAST_PAUSE_SECONDS)
                continue
            if isinstance(result, Refused):
                raise TaskUnavailable(result.reason)
            return result
        raise ReplicasSilent("The replicas do not answer. Please try again in a moment.")


def image_key(image: Image.Image) -> str:
    """Return a key of an image for routing, from some of its pixels: equal images have the same key."""
    sampled = image.resize((_SAMPLED, _SAMPLED), Image.Resampling.NEAREST).tobytes()
    return blake2b(sampled + repr(image.size).encode(), digest_size=16).hexdigest()


def is_loss(error: Exception) -> bool:
    """Return whether an error of Ray means that a replica, its machine or its objects were lost."""
    from ray import exceptions
    from ray.serve import exceptions as of_serve

    if isinstance(error, exceptions.RayTaskError):  # raised by the code of the replica
        return isinstance(error.cause, exceptions.RayActorError)
    lost = (
        exceptions.RayError,
        of_serve.BackPressureError,
        of_serve.ReplicaUnavailableError,
        of_serve.RequestCancelledError,
    )
    return isinstance(error, lost)


def deploy(cluster: Cluster, settings: Settings, count: int, most: int, place: Place) -> None:
    """Start replicas on the connected cluster in place of earlier ones, and wait until they are ready.

    Args:
        cluster: The connected cluster.
        settings: Settings of this machine, of which the replicas get those that all have in common.
        count: Number of replicas, or the fewest.
        most: Largest number of replicas; more than ``count`` scales them by the length of their queue.
        place: What each replica needs.

    Raises:
        NotForRay: If the settings say that the app answers, or the database or the store is on this machine
            only.
    """
    check_is_ray("LORAVIT_SERVING", settings.serving)
    shared = cluster.shared(settings)
    from ray import serve
    from ray.serve.config import RequestRouterConfig

    number: dict[str, Any] = {"num_replicas": count}
    if most > count:
        scaling = {"min_replicas": count, "max_replicas": most, "target_ongoing_requests": QUEUED}
        number = {"autoscaling_config": scaling}
    deployment = serve.deployment(
        name="replica",
        max_ongoing_requests=REQUESTS,
        ray_actor_options={
            "num_cpus": place.cpus,
            "num_gpus": place.gpus,
            "memory": int(place.memory_gib * (1 << 30)),
        },
        health_check_period_s=HEALTH_PERIOD_SECONDS,
        health_check_timeout_s=HEALTH_TIMEOUT_SECONDS,
        request_router_config=RequestRouterConfig(request_router_class=NAME),
        **number,
    )(Replica)
    serve.start(proxy_location="Disabled")
    serve.run(deployment.bind(shared), name=APPLICATION, route_prefix=None)


def replica_states() -> dict[str, int]:
    """Return the number of replicas by state on the connected cluster, such as ``RUNNING``."""
    from ray import serve

    application = serve.status().applications.get(APPLICATION)
    deployments = application.deployments.values() if application is not None else ()
    return {
        str(getattr(state, "value", state)): n
        for one in deployments
        for state, n in one.replica_states.items()
    }


def stop_replicas() -> int:
    """Stop the replicas of the connected cluster and return their number.

    Serve ends if nothing else uses it.
    """
    from ray import serve

    count = sum(replica_states().values())
    if APPLICATION in serve.status().applications:
        serve.delete(APPLICATION)
        if not serve.status().applications:
            serve.shutdown()
    return count


@contextmanager
def asking(settings: Settings) -> Iterator[Replicas]:
    """Connect to the cluster at `RAY_ADDRESS`, or to that of this machine, and ask its replicas.

    Raises:
        NoRay: If Ray is not installed.
        NoCluster: If there is no cluster at the address.
        NoReplicas: If no replicas were started on it.
    """
    with connected(os.environ.get("RAY_ADDRESS") or "auto"):
        yield replicas_of(settings)


def replicas_of(settings: Settings) -> Replicas:
    """Return the replicas of the connected cluster.

    Raises:
        NoReplicas: If none were started on it.
    """
    from ray import serve
    from ray.serve.exceptions import RayServeException

    try:
        # `options` makes the router, of which threads would otherwise make one each
        handle = serve.get_app_handle(APPLICATION).options()
    except RayServeException as error:
        raise NoReplicas(
            "No replicas run on the Ray cluster. Start some with python -m loravit_web cluster start "
            "--replicas 2."
        ) from error
    return Replicas(handle, settings.base, is_loss)
