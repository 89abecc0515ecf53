"""The request router of Ray Serve: it tells which replicas there are, and reaches one by its name."""

from __future__ import annotations

from functools import cache
from typing import Any

from loravit_web.cluster import known

NAME = f"{__name__}.NamedRouter"
"""Name under which Serve imports the class of the router."""


@cache
def named_router() -> type:
    """Return the class of the router. Ray is imported for it only here.

    Serve's own hash router keeps a request with the task that took it up, which the general one does not
    (`ray.serve.experimental.consistent_hash_router`), so this class only chooses the replica.
    """
    from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter

    class NamedRouter(ConsistentHashRouter):  # type: ignore[misc] # Ray may be missing
        """Sends a request to the replica whose name is its first argument, or to any for an empty name."""

        def update_replicas(self, replicas: list[Any]) -> None:
            super().update_replicas(replicas)
            known.tell(replica.replica_id.unique_id for replica in replicas)

        async def choose_replicas(
            self, candidate_replicas: list[Any], pending_request: Any = None
        ) -> list[list[Any]]:
            named = pending_request.args[0] if pending_request is not None and pending_request.args else None
            if pending_request is not None:
                pending_request.routing_context.should_backoff = True
            if not named:
                return [candidate_replicas]
            return [[one for one in candidate_replicas if one.replica_id.unique_id == named]]

    return NamedRouter


def __getattr__(name: str) -> type:
    """Return the class of the router when Serve imports it: other imports of this module need no Ray."""
    if name == "NamedRouter":
        return named_router()
    raise AttributeError(name)
