"""Asks the replicas on a cluster for answers, each by a channel of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Protocol

import torch
from PIL import Image

from loravit_web.cluster.channel import ChannelLost
from loravit_web.cluster.replica import Refused
from loravit_web.cluster.ring import Ring, Route, preferred
from loravit_web.errors import LoraVitError
from loravit_web.serving.answerer import TaskUnavailable
from loravit_web.serving.answers import TaskAnswer
from loravit_web.serving.stored import Answering

ANSWER_SECONDS = 120.0
"""Seconds in which a replica has to answer, retries included."""
SILENT_SECONDS = 20.0
"""Seconds without any replica after which requests no longer wait for one; Ray replaces one in less."""
AVOIDED_SECONDS = 5.0
"""Seconds in which a lost replica is the last choice. Serve no longer lists it after that."""
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.05, 2.0
_SAMPLED = 64
_LOG = logging.getLogger(__name__)


class ReplicasSilent(LoraVitError):
    """Replicas that do not answer in time."""


class ReplicaChannel(Protocol):
    """Sends requests to one replica; see `channel.Channel`."""

    def ask(self, method: str, arguments: tuple[Any, ...], seconds: float) -> Any:
        """Return the reply to a request."""

    def close(self) -> None:
        """Close the connections."""


class Replicas:
    """Asks replicas for answers; see `serving.answerer.Answerer`. Thread-safe.

    A request that a replica lost is sent to another one.

    Args:
        names: Returns the names of the replicas.
        opened: Returns the channel of a replica by its name, or raises a `ChannelLost`.
        configured: Name of the base that every replica holds.
        clock: Returns the time in seconds.
        pause: Waits for a number of seconds.
    """

    def __init__(
        self,
        names: Callable[[], Collection[str]],
        opened: Callable[[str], ReplicaChannel],
        configured: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._names, self._opened, self._configured = names, opened, configured
        self._clock, self._pause = clock, pause
        self._lock = threading.Lock()
        self._ring = Ring(())
        self._channels: dict[str, ReplicaChannel] = {}
        self._loads: Counter[str] = Counter()
        self._avoided: dict[str, float] = {}
        self._silent_since: float | None = None

    def classify(self, image: Image.Image, versions: Sequence[Answering], top_k: int) -> list[TaskAnswer]:
        """Return the answers of versions, those of each base from one replica; see `Answerer.classify`."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, version in enumerate(versions):
            places[version.base.name].append(place)
        key = image_key(image)
        answers: dict[int, TaskAnswer] = {}
        for of_base in places.values():
            asked = {versions[place].ref: versions[place] for place in of_base}
            route = self._route(key, versions[of_base[0]])
            computed = self.ask("classify", route, image, [*asked.values()], top_k)
            by_ref = dict(zip(asked, computed, strict=True))
            answers |= {place: by_ref[versions[place].ref] for place in of_base}
        return [answers[place] for place in range(len(versions))]

    def heatmap(self, image: Image.Image, version: Answering, label: str) -> torch.Tensor:
        """Return which patches contribute to a class; see `Answerer.heatmap`."""
        route = self._route(image_key(image), version)
        heat: torch.Tensor = self.ask("heatmap", route, image, version, label)
        return heat

    def prepare(self, image: Image.Image, version: Answering) -> bool:
        """Compute an answer in advance on the replica that will be asked for it; see `Answerer.prepare`."""
        return bool(self.ask("prepare", self._route(image_key(image), version), image, version))

    def ask(self, method: str, route: Route, *arguments: object) -> Any:
        """Return what a replica returns.

        Raises:
            TaskUnavailable: If the replica refuses.
            ReplicasSilent: If no replica answers in time.
        """
        deadline, wait = self._clock() + ANSWER_SECONDS, FIRST_PAUSE_SECONDS
        while (left := deadline - self._clock()) > 0:
            name = self._chosen(route)
            try:
                with self._counted(name):
                    result = self._channel(name).ask(method, arguments, left)
            except TimeoutError:
                break
            except ChannelLost as error:
                route = replace(route, attempt=route.attempt + 1)
                if self._is_silent(name, error, route.attempt):
                    break
                self._pause(min(wait, max(0.0, deadline - self._clock())))
                wait = min(2 * wait, LAST_PAUSE_SECONDS)
                continue
            self._silent_since = None
            if isinstance(result, Refused):
                raise TaskUnavailable(result.reason)
            return result
        raise ReplicasSilent("The replicas do not answer. Please try again in a moment.")

    def close(self) -> None:
        """Close all channels."""
        with self._lock:
            channels, self._channels = self._channels, {}
        for channel in channels.values():
            channel.close()

    def _route(self, image: str, version: Answering) -> Route:
        name = version.base.name
        return Route(image, None if name == self._configured else name)

    def _chosen(self, route: Route) -> str:
        """Return the best replica for a request, or an empty text without any."""
        with self._lock:
            self._follow(frozenset(self._names()))
            order = preferred(self._ring, route, self._loads)
            now = self._clock()
            return min(order, key=lambda name: now < self._avoided.get(name, now), default="")

    def _follow(self, names: frozenset[str]) -> None:
        """Take up new replicas and forget those that are gone; the caller holds the lock."""
        if names != self._ring.replicas:
            self._ring = Ring(names)
            for gone in self._channels.keys() - names:
                self._channels.pop(gone).close()
            self._avoided = {name: until for name, until in self._avoided.items() if name in names}

    def _channel(self, name: str) -> ReplicaChannel:
        channel = self._channels.get(name)
        if channel is None:
            opened = self._opened(name)
            with self._lock:
                channel = self._channels.setdefault(name, opened)
        return channel

    @contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        with self._lock:
            self._loads[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._loads[name] -= 1

    def _is_silent(self, lost: str, error: ChannelLost, attempts: int) -> bool:
        """Note a lost replica, and return whether to give up: all were tried, and for long none answered."""
        with self._lock:
            now = self._clock()
            if now >= self._avoided.get(lost, now):
                _LOG.warning("Replica %s was lost (%s). Its requests are sent again.", lost or "-", error)
            self._avoided[lost] = now + AVOIDED_SECONDS
            if self._silent_since is None:
                self._silent_since = now
            all_tried = attempts >= len(self._ring.replicas)
            return all_tried and now - self._silent_since > SILENT_SECONDS


def image_key(image: Image.Image) -> str:
    """Return a key of an image for routing, from some of its pixels: equal images have the same key."""
    sampled = image.resize((_SAMPLED, _SAMPLED), Image.Resampling.NEAREST).tobytes()
    return blake2b(sampled + repr(image.size).encode(), digest_size=16).hexdigest()
