"""The request router of Ray Serve that follows `ring.preferred`."""

from __future__ import annotations

from functools import cache
from typing import Any

from loravit_web.cluster.ring import Ring, Route, preferred

NAME = f"{__name__}.ImageRouter"
"""Name under which Serve imports the class of the router."""


@cache
def image_router() -> type:
    """Return the class of the router. Ray is imported for it only here.

    Serve's own hash router keeps a request with the task that took it up, which the general one does not
    (`ray.serve.experimental.consistent_hash_router`), so this class only chooses the replicas.
    """
    from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter

    class ImageRouter(ConsistentHashRouter):  # type: ignore[misc] # Ray may be missing
        """Sends a request by its `Route`, which is its first argument."""

        ring = Ring(())

        def update_replicas(self, replicas: list[Any]) -> None:
            super().update_replicas(replicas)
            names = frozenset(replica.replica_id.unique_id for replica in replicas)
            if names != self.ring.replicas:
                self.ring = Ring(names)

        async def choose_replicas(
            self, candidate_replicas: list[Any], pending_request: Any = None
        ) -> list[list[Any]]:
            route = pending_request.args[0] if pending_request is not None and pending_request.args else None
            if not isinstance(route, Route):
                return [candidate_replicas]
            pending_request.routing_context.should_backoff = True
            known = {replica.replica_id.unique_id: replica for replica in candidate_replicas}
            loads = {
                name: self.replica_queue_len_cache.get(replica.replica_id) or 0
                for name, replica in known.items()
            }
            return [[known[name]] for name in preferred(self.ring, route, loads) if name in known]

    return ImageRouter


def __getattr__(name: str) -> type:
    """Return the class of the router when Serve imports it: other imports of this module need no Ray."""
    if name == "ImageRouter":
        return image_router()
    raise AttributeError(name)
