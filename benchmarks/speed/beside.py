"""Two versions of the app under the same clients in turn: what an honest visitor's answer costs in each."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.support.browser import ROOT
from benchmarks.support.http import Asker
from benchmarks.support.report import Figure, at_most
from loravit_web.adapters import ViTAdapterConfig

STARTS = 5
"""Times that both apps are started: one start is up to a tenth slower, by where its weights lie in memory."""
ROUNDS = 4
"""Of each start. In each, both versions are asked, and the first of one round is the second of the next."""
_EARLIER_STARTS = 3
"""Starts of each version in its data folder before all others: an app learns there what is fastest."""
_WARM_SECONDS = 3.0
_SEEN = 8
"""Images that are asked about again and again."""
_MAKE_HOME = """
import shutil, sys
from loravit_web.adapters import ViTAdapterConfig
try:
    from benchmarks.support.homes import embedded_base, home_of_tasks
except ModuleNotFoundError:
    from benchmarks.homes import embedded_base, home_of_tasks

home, (tasks, blocks, rank, image_size) = sys.argv[1], map(int, sys.argv[2:])
config = ViTAdapterConfig(blocks=blocks, r=rank)
with home_of_tasks(embedded_base(), tasks, config, image_size=image_size) as made:
    shutil.copytree(made, home, symlinks=True)
"""
"""What a checkout runs to make its data folder; before 0.2.0 the helpers lay elsewhere."""


@dataclass(frozen=True)
class App:
    """A running app.

    Attributes:
        process: its id.
        start: seconds from its start to its first answer.
    """

    url: str
    process: int
    start: float

    def cpu_seconds(self) -> float:
        """Seconds that its threads have used on any core since it started."""
        fields = Path(f"/proc/{self.process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Slice:
    """What came of asking for a while.

    Attributes:
        rate: answers a second.
        wait: median seconds that a client waited for an answer, its upload included.
        upload: median seconds of the upload alone.
        cpu: seconds of the app's threads for one answer.
    """

    rate: float
    wait: float
    upload: float
    cpu: float


@dataclass(frozen=True)
class Load:
    """How both are asked.

    Attributes:
        clients: at once.
        seen: whether the images are a few that were asked about before. Then the base computes nothing, and
            what is left is all that the app does besides: its differences are too small to be seen beside a
            forward pass.
    """

    clients: int
    seen: bool = False


def beside(
    other: Path, *, tasks: int, config: ViTAdapterConfig, image_size: int, clients: int, seconds: float
) -> list[Figure]:
    """Figures of this version and of the checkout ``other``, both running, asked in turn.

    Args:
        seconds: that each is asked, in all, under each load.
    """
    loads = (Load(1), Load(clients), Load(1, seen=True))
    slices: dict[Load, list[tuple[Slice, Slice]]] = {load: [] for load in loads}
    seeds = itertools.count()
    with tempfile.TemporaryDirectory() as folder:
        checkouts = {ROOT: Path(folder) / "here", other.resolve(): Path(folder) / "there"}
        homes = [
            (checkout, _made(home, checkout, tasks, config, image_size))
            for checkout, home in checkouts.items()
        ]
        starts = [_start(start, homes, slices, tasks, seconds, seeds) for start in range(STARTS)]
    figures = [figure for load in loads[:2] for figure in _figures(load.clients, slices[load])]
    return [
        _start_figure(starts),
        *figures,
        _upload_figure(slices[loads[0]]),
        _besides(slices[loads[0]], slices[loads[2]]),
    ]


def _start(
    start: int,
    homes: Sequence[tuple[Path, Path]],
    slices: dict[Load, list[tuple[Slice, Slice]]],
    tasks: int,
    seconds: float,
    seeds: Iterator[int],
) -> tuple[float, float]:
    """Start both apps and add what was heard of each, in all rounds and under every load.

    Returns:
        Seconds to the first answer of this version and of the other.
    """
    with ExitStack() as stack:
        order = homes if start % 2 == 0 else homes[::-1]
        apps = {home: stack.enter_context(_app(checkout, home)) for checkout, home in order}
        here, there = (apps[home] for _checkout, home in homes)
        for load, heard in slices.items():
            images = itertools.cycle(_images(next(seeds), _SEEN)) if load.seen else None
            ask = partial(_ask, clients=load.clients, tasks=tasks, seeds=seeds, images=images)
            for app in (here, there):
                ask(app, seconds=_WARM_SECONDS)
            for number in range(ROUNDS):
                each = partial(ask, seconds=seconds / STARTS / ROUNDS / 2)
                if (start + number) % 2 == 0:
                    heard.append((each(here), each(there)))
                else:
                    second = each(there)
                    heard.append((each(here), second))
    return here.start, there.start


def _made(home: Path, checkout: Path, tasks: int, config: ViTAdapterConfig, image_size: int) -> Path:
    """Return a data folder of tasks that nobody trained, made by the checkout's own code.

    An older version opens neither a newer registry nor newer adapters.
    """
    words = [str(home), str(tasks), str(config.blocks), str(config.r), str(image_size)]
    subprocess.run([sys.executable, "-c", _MAKE_HOME, *words], cwd=checkout, check=True)
    for _ in range(_EARLIER_STARTS):
        with _running(checkout, home):
            pass
    return home


@contextmanager
def _app(checkout: Path, made: Path) -> Iterator[App]:
    """A version's app on a copy of its data folder."""
    with tempfile.TemporaryDirectory() as folder:
        home = shutil.copytree(made, Path(folder) / "home", symlinks=True)
        with _running(checkout, home) as app:
            yield app


@contextmanager
def _running(checkout: Path, home: Path) -> Iterator[App]:
    """A version's app on a data folder, which has answered once."""
    own = {"LORAVIT_HOME": str(home), "LORAVIT_BUNDLED": "no", "LORAVIT_MODE": "local"}
    (image,) = _images(0, 1)
    began = time.perf_counter()
    app = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=checkout,
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert app.stdout is not None
        url = app.stdout.readline().split()[-1]
        asker = Asker(url)
        asker.classify(asker.upload("image.jpg", image), ["task-0"])
        asker.close()
        yield App(url, app.pid, time.perf_counter() - began)
    finally:
        app.terminate()
        app.wait()


def _images(seed: int, count: int) -> list[bytes]:
    """JPEGs of 640 x 480 that nobody has asked about before: patches of random colours."""
    generator, made = np.random.default_rng(seed), []
    for _ in range(count):
        buffer = io.BytesIO()
        pixels = generator.integers(0, 256, (15, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((640, 480)).save(buffer, "JPEG", quality=90)
        made.append(buffer.getvalue())
    return made


def _ask(
    app: App,
    *,
    clients: int,
    seconds: float,
    tasks: int,
    seeds: Iterator[int],
    images: Iterator[bytes] | None = None,
) -> Slice:
    """What clients hear that ask for a while, about the images given or a new one every time.

    New ones are made beforehand, so that the cores do the app's work and the clients' waiting alone.
    """
    if images is None:
        images = iter(_images(next(seeds), int(120 * seconds) + clients))
    waits: list[float] = []
    uploads: list[float] = []
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        asker = Asker(app.url)
        try:
            while (began := time.perf_counter()) < end:
                uploaded = asker.upload("image.jpg", next(images))
                uploads.append(time.perf_counter() - began)
                asker.classify(uploaded, [f"task-{number % tasks}"])
                waits.append(time.perf_counter() - began)
        finally:
            asker.close()

    began, used = time.perf_counter(), app.cpu_seconds()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    used = app.cpu_seconds() - used
    return Slice(
        rate=len(waits) / took,
        wait=statistics.median(waits),
        upload=statistics.median(uploads),
        cpu=used / len(waits),
    )


def _figures(clients: int, slices: Sequence[tuple[Slice, Slice]]) -> list[Figure]:
    """This version's figures over the other's: the median of the rounds of each start, and of the starts."""
    who = "one client" if clients == 1 else f"{clients} clients"
    figures = []
    for what, value in _MEASURED.items():
        ratios = [value(here) / value(there) for here, there in slices]
        starts = [
            statistics.median(ratios[first : first + ROUNDS]) for first in range(0, len(ratios), ROUNDS)
        ]
        middle = [1000 * statistics.median(map(value, each)) for each in zip(*slices, strict=True)]
        figures.append(
            at_most(
                f"{who}: {what}, this version / the other",
                statistics.median(starts),
                1.02,
                "x",
                note=f"{middle[0]:.1f} / {middle[1]:.1f} ms; starts "
                + ", ".join(f"{start:.2f}x" for start in sorted(starts)),
            )
        )
    return figures


def _start_figure(starts: Sequence[tuple[float, float]]) -> Figure:
    ratios = sorted(here / there for here, there in starts)
    here, there = (statistics.median(each) for each in zip(*starts, strict=True))
    return at_most(
        "start to the first answer, this version / the other",
        statistics.median(ratios),
        1.0,
        "x",
        note=f"{here:.1f} / {there:.1f} s; starts " + ", ".join(f"{ratio:.2f}x" for ratio in ratios),
    )


def _upload_figure(slices: Sequence[tuple[Slice, Slice]]) -> Figure:
    """What an upload takes of the answer, which is too short for a bound of its own."""
    here, there = (1000 * statistics.median(one.upload for one in some) for some in zip(*slices, strict=True))
    return Figure(
        "one client: upload, this version / the other",
        f"{here / there:.2f}x",
        note=f"{here:.1f} / {there:.1f} ms",
    )


def _besides(new: Sequence[tuple[Slice, Slice]], seen: Sequence[tuple[Slice, Slice]]) -> Figure:
    """What this version does more, but for the base, as a share of the other's answer to a new image."""
    more = statistics.median(here.cpu - there.cpu for here, there in seen)
    whole = statistics.median(there.cpu for _here, there in new)
    here, there = (1000 * statistics.median(one.cpu for one in some) for some in zip(*seen, strict=True))
    return at_most(
        "one client: more CPU time than the other, but for the base",
        100 * more / whole,
        2,
        "%",
        note=f"{here:.2f} / {there:.2f} ms of {1000 * whole:.1f} ms",
    )


_MEASURED: dict[str, Callable[[Slice], float]] = {
    "wait for an answer": lambda one: one.wait,
    "time for an answer, all together": lambda one: 1 / one.rate,
    "CPU time for an answer": lambda one: one.cpu,
}
