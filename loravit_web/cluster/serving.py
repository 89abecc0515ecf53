"""Replicas on Ray Serve: start, list and stop them, and find them to ask them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from loravit_web.cluster import known
from loravit_web.cluster.channel import Address, Channel, ChannelLost
from loravit_web.cluster.cluster import Cluster, Place, check_is_ray
from loravit_web.cluster.replica import REQUESTS, Replica
from loravit_web.cluster.replicas import Replicas
from loravit_web.cluster.router import NAME
from loravit_web.errors import LoraVitError
from loravit_web.settings.environment import Settings

APPLICATION = "loravit"
QUEUED = 2.0
"""Requests per replica, above which autoscaling adds one."""
MEAN_SECONDS = 30.0
"""Seconds of which autoscaling takes the mean of the requests; replicas report them every 10 s.

With a mean of 10 s, gaps between the reports started the count of `GROW_SECONDS` again and again.
"""
GROW_SECONDS, SHRINK_SECONDS = 10.0, 120.0
"""Seconds in which more or fewer replicas have to be wanted before their number changes."""
HEALTH_PERIOD_SECONDS, HEALTH_TIMEOUT_SECONDS = 2.0, 10.0
FIND_SECONDS = 5.0
"""Seconds in which a replica has to tell where it listens."""


class NoReplicas(LoraVitError):
    """No replicas were started on the cluster."""

    def __init__(self) -> None:
        super().__init__(
            "No replicas run on the Ray cluster. Start some with python -m loravit_web cluster start "
            "--replicas 2."
        )


def is_loss(error: Exception) -> bool:
    """Return whether an error of Ray means that a replica, its machine or its objects were lost."""
    from ray import exceptions
    from ray.serve import exceptions as of_serve

    if isinstance(error, exceptions.RayTaskError):  # raised by the code of the replica
        return isinstance(error.cause, exceptions.RayActorError)
    lost = (
        exceptions.RayError,
        of_serve.BackPressureError,
        of_serve.DeploymentUnavailableError,
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
        number = {"autoscaling_config": _scaling(count, most)}
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


def _scaling(fewest: int, most: int) -> dict[str, Any]:
    return {
        "min_replicas": fewest,
        "max_replicas": most,
        "policy": {"policy_function": f"{__name__}:replicas_for"},
        "look_back_period_s": MEAN_SECONDS,
        "upscale_delay_s": GROW_SECONDS,
        "downscale_delay_s": SHRINK_SECONDS,
    }


def replicas_for(context: Any) -> tuple[int, dict[str, Any]]:
    """Return the number of replicas that autoscaling wants: `QUEUED` requests for each.

    Args:
        context: What Ray Serve knows, with the counts of `Replica.record_autoscaling_stats`.
    """
    counts = (context.aggregated_metrics or {}).get("requests", {})
    return max(1, math.ceil(sum(counts.values()) / QUEUED)), {}


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


def has_replicas() -> bool:
    """Return whether replicas were started on the connected cluster."""
    from ray import serve

    return APPLICATION in serve.status().applications


def finder() -> Callable[[str], Address]:
    """Return a function that returns where a replica of the connected cluster listens.

    Without a name, any replica tells, and the router learns the names of all (`known`). The function raises a
    `ChannelLost` if the replica does not tell.

    Raises:
        NoReplicas: If none were started on it.
    """
    from ray import serve
    from ray.serve.exceptions import RayServeException

    try:
        # `options` makes the router, of which threads would otherwise make one each
        handle = serve.get_app_handle(APPLICATION).options()
    except RayServeException as error:
        raise NoReplicas from error

    def find(name: str) -> Address:
        try:
            address: Address = handle.address.remote(name).result(timeout_s=FIND_SECONDS)
        except Exception as error:
            if isinstance(error, TimeoutError) or is_loss(error):
                raise ChannelLost(type(error).__name__) from error
            raise
        return address

    return find


def replicas_of(settings: Settings) -> Replicas:
    """Return the replicas of the connected cluster.

    Raises:
        NoReplicas: If none were started on it.
    """
    find = finder()
    return Replicas(known.names, lambda name: Channel(find(name)), settings.base)
