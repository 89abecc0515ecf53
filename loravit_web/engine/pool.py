"""Engines by base: the configured one always, one more while it is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from loravit_web.engine.multilora import MultiLoRAViT
from loravit_web.errors import LoraVitError

RETRY_SECONDS = 60.0

LoadEngine = Callable[[str], MultiLoRAViT]


class BaseRefused(LoraVitError):
    """A base that can't be had now, or whose weights are not those that an adapter was trained on."""


class EnginePool:
    """At most two bases in memory: the configured one and the last other one that a task needed.

    Safe to call from any number of threads; a base is loaded once, however many ask for it, and answers
    of other bases do not wait for it.
    """

    def __init__(
        self, configured: MultiLoRAViT, load: LoadEngine, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """
        Args:
            configured: stays for ever.
            load: gives the engine of a base by its name; may take minutes, or raise a `LoraVitError`.
        """
        self.configured = configured
        self._load, self._clock = load, clock
        self._other: MultiLoRAViT | None = None
        self._loading = threading.Lock()
        self._failures: dict[str, tuple[float, str]] = {}

    def resident(self, weights_sha256: str) -> MultiLoRAViT | None:
        """The engine of these weights, where it is in memory."""
        for engine in (self.configured, self._other):
            if engine is not None and engine.base.weights_sha256 == weights_sha256:
                return engine
        return None

    def known_refusal(self, name: str, weights_sha256: str) -> str | None:
        """Why a base would be refused if it were asked for now; None when only trying would tell."""
        for engine in (self.configured, self._other):
            if engine is not None and engine.base.name == name:
                found = engine.base.weights_sha256
                return None if found == weights_sha256 else _other_weights(name, found, weights_sha256)
        return self.failure(name)

    def failure(self, name: str) -> str | None:
        """Why the base of that name could not be had a moment ago; None when there is no such reason."""
        failed = self._failures.get(name)
        return failed[1] if failed is not None and self._clock() - failed[0] < RETRY_SECONDS else None

    def get(self, name: str, weights_sha256: str) -> MultiLoRAViT:
        """The engine of a base, loaded now if need be; another one makes room for it.

        Raises:
            LoraVitError: if the base can't be loaded.
            BaseRefused: for `RETRY_SECONDS` afterwards, without trying again; or if a base of that name
                has other weights here.
        """
        engine = self.resident(weights_sha256)
        if engine is not None:
            return engine
        with self._loading:
            engine = self.resident(weights_sha256)
            if engine is None:
                engine = self._fetch(name, weights_sha256)
            return engine

    def forget_adapters(self) -> None:
        """Let every adapter go, because its name may mean another one now; each is loaded when asked for."""
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
        f"({wanted[:12]}): use the timm that it was trained with, or train it anew."
    )
