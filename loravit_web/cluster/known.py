"""The replicas that Ray Serve's router knows in this process."""

from __future__ import annotations

from collections.abc import Iterable


class _Known:
    names: frozenset[str] = frozenset()


def tell(names: Iterable[str]) -> None:
    """Replace the names of the replicas."""
    _Known.names = frozenset(names)


def names() -> frozenset[str]:
    """Return the names of the replicas that run, or ran when Serve was last heard of."""
    return _Known.names
