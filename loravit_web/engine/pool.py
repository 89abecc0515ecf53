"""Engines by base: the configured one is always in memory, one other base while it is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from loravit_web.engine.multilora import MultiLoRAViT
from loravit_web.errors import LoraVitError

RETRY_SECONDS = 60.0
"""Seconds during which a base that failed to load is not tried again."""

LoadEngine = Callable[[str], MultiLoRAViT]
"""Loads the engine of a base by its name."""


class BaseRefused(LoraVitError):
    """A base that failed to load shortly before, or whose weights differ from those of an adapter."""


class EnginePool:
    """At most two bases in memory: the configured one, and the last other one that a task needed.

    Thread-safe.

    Concurrent requests for a base load it once, and requests for other bases do not wait for it.

    Args:
        configured: Engine of the configured base; never evicted.
        load: Returns the engine of a base by its name. May take minutes, or raise a `LoraVitError`.
        clock: Returns the time in seconds.
    """

    def __init__(
        self, configured: MultiLoRAViT, load: LoadEngine, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.configured = configured
        self._load, self._clock = load, clock
        self._other: MultiLoRAViT | None = None
        self._loading = threading.Lock()
        self._failures: dict[str, tuple[float, str]] = {}

    def resident(self, weights_sha256: str) -> MultiLoRAViT | None:
        """Return the engine with these weights, or None if it is not in memory."""
        for engine in (self.configured, self._other):
            if engine is not None and engine.base.weights_sha256 == weights_sha256:
                return engine
        return None

    def known_refusal(self, name: str, weights_sha256: str) -> str | None:
        """Return why a request for a base would fail now, or None if that is not known."""
        for engine in (self.configured, self._other):
            if engine is not None and engine.base.name == name:
                found = engine.base.weights_sha256
                return None if found == weights_sha256 else _other_weights(name, found, weights_sha256)
        return self.failure(name)

    def failure(self, name: str) -> str | None:
        """Return why loading a base failed within the last `RETRY_SECONDS`, or None if it did not."""
        failed = self._failures.get(name)
        return failed[1] if failed is not None and self._clock() - failed[0] < RETRY_SECONDS else None

    def get(self, name: str, weights_sha256: str) -> MultiLoRAViT:
        """Return the engine of a base; load it if needed and evict the other one.

        Args:
            name: Name of the base.
            weights_sha256: Hash that the base's weights must have.

        Raises:
            LoraVitError: If the base cannot be loaded.
            BaseRefused: If loading failed within the last `RETRY_SECONDS`, or if the base has other weights.
        """
        engine = self.resident(weights_sha256)
        if engine is not None:
            return engine
        with self._loading:
            engine = self.resident(weights_sha256)
            if engine is None:
                engine = self._fetch(name, weights_sha256)
            return engine

    def remove_adapters(self) -> None:
        """Remove every adapter, because a name may stand for another one now.

        Each is loaded again on request.
        """
        for engine in filter(None, (self.configured, self._other)):
            engine.clear()

    def _fetch(self, name: str, weights_sha256: str) -> MultiLoRAViT:
        reason = self.failure(name)
        if reason is not None:
            raise BaseRefused(reason)
        try:
            engine = self._load(name)
            found = engine.base.weights_sha256
            if found != weights_sha256:
                raise BaseRefused(_other_weights(name, found, weights_sha256))
        except LoraVitError as error:
            self._failures[name] = (self._clock(), error.in_public)
            raise
        self._failures.pop(name, None)
        self._other = engine
        return engine


def _other_weights(name: str, found: str, wanted: str) -> str:
    return (
        f"The base {name} has other weights here ({found[:12]}) than the adapter was trained on "
        f"({wanted[:12]}). Use the same version of timm as for the training, or train the adapter again."
    )
