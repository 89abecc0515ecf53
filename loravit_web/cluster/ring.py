"""Which replica answers a request: consistent hashing with bounded load, by base and then by image.

The trunk's tokens of an image are cached on the replica that saw it, so another task on the same image should
go there. The bound on the load is that of Mirrokni, Thorup and Zadimoghaddam 2018 ("Consistent Hashing with
Bounded Loads").
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil

POINTS = 100
"""Points of each replica on the ring; more points spread the images more evenly."""
BOUND = 1.25
"""Load that a replica may have, relative to the mean of all."""
UNBOUNDED = 4
"""Number of requests up to which the load of a replica is not bounded.

It computes them as one batch, and Serve counts a request for a moment after its end.
"""
HOLDERS = 2
"""Number of replicas that hold a base other than the configured one."""


@dataclass(frozen=True)
class Route:
    """What the way of a request depends on.

    Attributes:
        image: Key of the image.
        base: Key of a base that only `HOLDERS` replicas hold, or None for the base that all of them hold.
        attempt: How often the request has failed; each time another replica is the first.
    """

    image: str
    base: str | None = None
    attempt: int = 0


class Ring:
    """Replicas on a ring of hashes. Immutable; every process computes the same one from the same names.

    Args:
        replicas: Names of the replicas.
    """

    def __init__(self, replicas: Collection[str]) -> None:
        self.replicas = frozenset(replicas)
        points = sorted((_hash(f"{name}:{n}"), name) for name in self.replicas for n in range(POINTS))
        self._hashes = [place for place, _name in points]
        self._names = [name for _place, name in points]

    def order(self, key: str) -> list[str]:
        """Return all replicas in the order in which the ring has them from a key on."""
        start = bisect_right(self._hashes, _hash(key))
        names = dict.fromkeys([*self._names[start:], *self._names[:start]])
        return [*names]


def preferred(ring: Ring, route: Route, loads: Mapping[str, int]) -> list[str]:
    """Return all replicas, the best for a request first.

    Args:
        ring: The replicas.
        route: What the way of the request depends on.
        loads: Number of requests that a replica has now, by name; 0 for others.
    """
    order = ring.order(route.image)
    if route.base is not None:
        holders = frozenset(ring.order(route.base)[:HOLDERS])
        order = [name for name in order if name in holders] + [name for name in order if name not in holders]
    free = _with_room(order, loads)
    ranked = free + [name for name in order if name not in free]
    turn = route.attempt % max(1, len(ranked))
    return ranked[turn:] + ranked[:turn]


def _with_room(order: Sequence[str], loads: Mapping[str, int]) -> list[str]:
    """Return the replicas that stay within the bound with one more request, in the same order."""
    total = sum(loads.get(name, 0) for name in order) + 1
    most = max(UNBOUNDED, ceil(BOUND * total / max(1, len(order))))
    return [name for name in order if loads.get(name, 0) < most]


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
