"""Everything bad that may be sent, over HTTP to a real ``python app.py`` in a folder that is watched."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from benchmarks.support.forks import ROOT
from benchmarks.support.homes import embedded_base, with_bases
from benchmarks.support.report import Figure, at_most, show
from loravit_web.adapters.files.bundle import read_bundle
from loravit_web.adapters.files.format import to_files
from loravit_web.catalog.exchange import publish_bundle
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.settings.limits import as_environment
from tests.adapters.makers import random_adapter
from tests.corpus.adapters import BUNDLES, Files, bundled
from tests.corpus.archives import ARCHIVES, CSVS, SMALL
from tests.corpus.images import IMAGES
from tests.corpus.names import NAMES
from tests.corpus.requests import REQUESTS
from tests.corpus.visitor import Visitor
from tests.corpus.visits import Place

HANG_SECONDS = 10.0
_TRACE = re.compile(r"Traceback \(most recent call last\)")


@dataclass
class Tally:
    """What happened so far."""

    entries: int = 0
    slowest: tuple[float, str] = (0.0, "")
    hangs: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def slowest_one(self) -> str:
        """The entry that took longest."""
        return "slowest {:.1f} s: {}".format(*self.slowest)

    def visit(self, name: str, send: Callable[[], list[str]], alive: Callable[[], list[str]] = list) -> None:
        """Send one entry and then a good request."""
        self.entries += 1
        started = time.perf_counter()
        try:
            problems = send()
        except httpx.TimeoutException:
            problems = []
        except httpx.HTTPError as error:
            problems = []
            self.crashes.append(f"{name}: {error!r}")
        seconds = time.perf_counter() - started
        if self.entries % 50 == 0:
            print(f"{self.entries} entries, {name}", file=sys.stderr)
        self.slowest = max(self.slowest, (seconds, name))
        if seconds > HANG_SECONDS:
            self.hangs.append(f"{name}: {seconds:.0f} s")
        try:
            self.crashes += [f"{name}: {problem}" for problem in alive()]
        except httpx.HTTPError as error:
            self.crashes.append(f"{name}: afterwards {error!r}")
        self.leaks += [f"{name}: {one}" for one in problems if "leaked" in one]
        self.wrong += [f"{name}: {one}" for one in problems if "leaked" not in one]


def run(arguments: list[str]) -> int:
    """``python -m benchmarks corpus``."""
    argparse.ArgumentParser(prog="python -m benchmarks corpus").parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        watched = Path(folder)
        files = _prepared(watched / "home")
        tally = Tally()
        before = _tree(ROOT)
        with _app(watched) as (url, process):
            place = Place(Visitor(url), watched / "home", watched / "gradio", "good")
            _send_all(place, files, tally)
            log = (watched / "app.log").read_text(errors="replace")
            _send_garbage(place, tally)
            if process.poll() is not None:
                tally.crashes.append(f"the app ended with {process.returncode}")
        outside = _outside(watched) + sorted(str(path) for path in _tree(ROOT) - before)
    traces = len(_TRACE.findall(log))
    for problem in (*tally.crashes, *tally.hangs, *tally.leaks, *tally.wrong, *outside):
        print(problem)
    if traces:
        print(log[-6000:])
    figures = [
        Figure("entries sent", str(tally.entries)),
        at_most("crashes, or a good request after one that was not answered", len(tally.crashes), 0),
        at_most(
            f"hangs over {HANG_SECONDS:g} s",
            len(tally.hangs),
            0,
            note="slowest {:.1f} s: {}".format(*tally.slowest),
        ),
        at_most("stack traces or paths shown to the visitor", len(tally.leaks), 0),
        at_most("files outside the data folder", len(outside), 0),
        at_most("answers other than the expected one", len(tally.wrong), 0),
        at_most("stack traces in the log, but for events sent by number", traces, 0),
    ]
    return show("a corpus of bad input over HTTP to a real app with the embedded base", figures)


def _send_all(place: Place, files: Files, tally: Tally) -> None:
    def visit(name: str, send: Callable[[], list[str]]) -> None:
        tally.visit(name, send, place.alive)

    for image in IMAGES:
        visit(f"image, {image.name}", partial(place.image, image))
    for archive in ARCHIVES:
        visit(f"zip, {archive.name}", partial(place.archive, archive))
    for csv in CSVS:
        visit(f"CSV, {csv.name}", partial(place.csv, csv))
    for bundle in BUNDLES:
        visit(f"bundle, {bundle.name}", partial(place.bundle, bundle, files))
    for number, name in enumerate(NAMES):
        visit(f"title, {name.name}", partial(place.title, name, files, f"name-{number}"))
        visit(f"task, {name.name}", partial(place.ask, [name]))
        visit(f"search, {name.name}", partial(place.search, name))
    for request in REQUESTS:
        visit(f"request, {request.name}", partial(place.request, request))


def _send_garbage(place: Place, tally: Tally) -> None:
    """Every event of the page by its number; Gradio logs a stack trace for each value that it can't read."""
    for call in place.visitor.config["dependencies"]:
        for value in place.garbage_for(call["id"]):
            tally.visit(
                f"event {call['id']} with {str(value)[:30]!r}",
                partial(place.garbage, call["id"], value),
            )
        tally.visit(f"event {call['id']}, afterwards", place.alive)


def _prepared(home: Path) -> Files:
    """A data folder with the base and one adapter with random factors on it; the adapter's files."""
    with_bases(home)
    base = embedded_base()
    files = to_files(random_adapter(base, image_size=56), base, name="good", title="Good")
    service = Service(Settings(home), load=lambda *_: base)
    publish_bundle(service.registry, service.base_for, read_bundle(bundled(files)), actor="benchmark")
    service.close()
    return files


@contextmanager
def _app(watched: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """``python app.py`` whose home, temporary and data folders are all in one place; its log beside them."""
    for name in ("user", "tmp", "gradio"):
        (watched / name).mkdir()
    environment = {
        **os.environ,
        **as_environment(SMALL),
        "LORAVIT_HOME": str(watched / "home"),
        "GRADIO_TEMP_DIR": str(watched / "gradio"),
        "HOME": str(watched / "user"),
        "TMPDIR": str(watched / "tmp"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with (watched / "app.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1], process
        finally:
            process.terminate()
            process.wait()


def _outside(watched: Path) -> list[str]:
    """Files that are neither in the data folder nor in Gradio's."""
    kept = ("home", "gradio")
    return sorted(
        str(path.relative_to(watched))
        for path in watched.rglob("*")
        if path.is_file() and path.relative_to(watched).parts[0] not in kept and path.name != "app.log"
    )


def _tree(folder: Path) -> set[Path]:
    """The files of the program itself."""
    skipped = {".git", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
    return {path for path in folder.rglob("*") if path.is_file() and not skipped & set(path.parts)}
