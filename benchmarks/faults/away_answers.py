"""Answers of a web node while the store, and then the database, is away for a minute."""

from __future__ import annotations

import io
import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from PIL import Image

from benchmarks.support.adapters import publish_random
from benchmarks.support.http import Asker, Refused
from benchmarks.support.node_cluster import Cluster, Node, wait
from benchmarks.support.report import Figure, at_least, at_most, spread
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.serving.answerer import PRELOADED

AWAY_SECONDS = 60.0
RECOVERY_SECONDS = 15.0
"""Seconds within which everything must work again."""
_NOT_LOADED = 40
"""Number of tasks that are not in memory, of which each is asked once."""
_SAYING = ("cannot be read", "does not answer", "could not save")
"""Words of the sentences that tell a visitor that database or store is away."""


@dataclass
class _Heard:
    """Replies to one kind of request.

    Attributes:
        seconds: Duration of each.
        kinds: How many ``answered``, how many ``said`` that something is away, and how many ``failed``.
    """

    seconds: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)


class _Visitor:
    """A visitor who asks a task in memory, one that is not, the list of tasks, and the page."""

    def __init__(self, node: Node, tasks: list[str]) -> None:
        self._asker, self._url = Asker(node.url, timeout=30), node.url
        self._loaded, self._others = tasks[-1], iter(tasks[:-PRELOADED])
        self._number = itertools.count()

    def ask(self, heard: dict[str, _Heard]) -> None:
        other = next(self._others)
        requests: dict[str, Callable[[], Any]] = {
            "a task in memory": lambda: self._classify(self._loaded),
            "a task that is not": lambda: self._classify(other),
            "the list of tasks": lambda: self._asker.call("tasks", []),
            "the page": lambda: httpx.get(self._url, timeout=30).raise_for_status(),
        }
        for name, request in requests.items():
            began = time.monotonic()
            kind = _kind(request)
            here = heard.setdefault(name, _Heard())
            here.seconds.append(time.monotonic() - began)
            here.kinds[kind] += 1

    def works(self) -> bool:
        heard: dict[str, _Heard] = {}
        self.ask(heard)
        return all(each.kinds["answered"] for each in heard.values())

    def _classify(self, task: str) -> None:
        image = self._asker.upload("image.png", _png(next(self._number)))
        (answer,) = self._asker.classify(image, [task])["results"]
        if answer["error"] is not None:
            raise Refused(answer["error"])


def figures(made: Cluster) -> list[Figure]:
    """Take the store away for a minute, then the database, and ask all the time."""
    config = ViTAdapterConfig(r=2, blocks=1)
    tasks = [f"task-{number}" for number in range(_NOT_LOADED + PRELOADED)]
    for number, task in enumerate(tasks):
        publish_random(made.registry, made.base, task, number, config, image_size=56)
    found: list[Figure] = []
    with made.web_node("app") as node:
        wait(node.is_ready)
        visitor = _Visitor(node, tasks)
        wait(visitor.works)
        for name, server in (("store", made.s3), ("database", made.postgres)):
            found += _without(name, server, visitor)
        log = (node.home / "node.log").read_text(errors="replace")
    if "Traceback" in log:
        print(log[-4000:], file=sys.stderr)
    return [*found, at_most("answers: tracebacks in the log", log.count("Traceback"), 0)]


def _without(name: str, server: Any, visitor: _Visitor) -> list[Figure]:
    heard: dict[str, _Heard] = {}
    server.stop()
    until = time.monotonic() + AWAY_SECONDS
    while time.monotonic() < until:
        visitor.ask(heard)
        time.sleep(4)
    server.start()
    back = time.monotonic()
    wait(visitor.works, 120)
    seconds = time.monotonic() - back
    rows = [
        at_most(
            f"answers without the {name}: {what}: failed",
            each.kinds["failed"],
            0,
            note=f"{each.kinds['answered']} answered, {each.kinds['said']} said why not; "
            + spread(each.seconds, " s"),
        )
        for what, each in heard.items()
    ]
    in_memory = heard["a task in memory"].kinds
    return [
        *rows,
        at_least(
            f"answers without the {name}: of a task in memory", in_memory["answered"], in_memory.total()
        ),
        at_most(f"answers: seconds until all work after the {name} is back", seconds, RECOVERY_SECONDS, " s"),
    ]


def _kind(request: Callable[[], Any]) -> str:
    try:
        request()
    except (Refused, httpx.HTTPError) as error:
        text = str(error)
        if any(words in text for words in _SAYING):
            return "said"
        print(f"failed: {type(error).__name__} {text[:300]}", file=sys.stderr)
        return "failed"
    return "answered"


def _png(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
