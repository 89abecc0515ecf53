"""A database that goes away again and again while the real app trains, and the run that goes on."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.support.forks import ROOT
from benchmarks.support.homes import embedded_base, with_bases
from benchmarks.support.report import Figure, at_least, at_most, save, show, spread
from loravit_web.access.rights import SHELL
from loravit_web.actions import Actions
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.training.recipe import preset_recipe
from loravit_web.worker.tracking import STALE_AFTER
from registry import Registry, Run, utc_now
from tests.registry.postgres_server import Server, new_server

LONG = {
    "blocks": 1,
    "r": 2,
    "image_size": 56,
    "epochs": 1000,
    "patience": 1000,
    "min_steps": 0,
    "mirror": False,
}
"""Settings of a training that outlasts every outage."""
SETTLED_SECONDS = 1.5 * STALE_AFTER.total_seconds()
"""After so long, every observer has made up its mind."""
_START_SECONDS = 300.0
_END_SECONDS = 120.0


@dataclass(frozen=True)
class Outage:
    """What one outage did to the run.

    Attributes:
        went_on: whether the same worker still trained the run when every observer had made up its mind.
        heartbeat: seconds from the return of the server to the first heartbeat.
        epochs: epochs that the training finished during the outage.
    """

    went_on: bool
    heartbeat: float
    epochs: int


def run(arguments: list[str]) -> int:
    """``python -m benchmarks outage [--outages 5] [--seconds 60] [--frozen] [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks outage")
    parser.add_argument("--outages", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--frozen", action="store_true", help="the server keeps its connections and answers nothing"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    embedded_base()
    with tempfile.TemporaryDirectory() as folder, new_server() as server:
        home = with_bases(Path(folder) / "home")
        figures = _measure(server, home, options.outages, options.seconds, frozen=options.frozen)
    how = "answers nothing" if options.frozen else "is away"
    title = f"a training while PostgreSQL {how} for {options.seconds:g} s, {options.outages} times"
    save(options.json, title, figures)
    return show(title, figures)


def _measure(server: Server, home: Path, outages: int, seconds: float, *, frozen: bool) -> list[Figure]:
    settings = Settings(home=home, bundled=False, database=f"{server.address}/postgres")
    service = Service(settings)
    try:
        dataset = service.datasets.import_source("sample:digits")
        recipe = preset_recipe("quick", **LONG)
        run = Actions(service, SHELL).queue_training(dataset, "digits", recipe)
        with _app(settings):
            registry = service.registry
            _wait(lambda: _epochs(registry, run) >= 1, _START_SECONDS)
            found = [_outage(server, registry, run, seconds, frozen=frozen) for _ in range(outages)]
            registry.runs.request_stop(run.id, "keep")
            _wait(lambda: registry.runs.get(run.id).status != "running", _END_SECONDS)
            ended, steps = registry.runs.get(run.id), _steps(registry, run)
    finally:
        service.registry.close()
    beats = [one.heartbeat for one in found]
    return [
        at_least(f"runs that went on, of {outages}", sum(one.went_on for one in found), outages),
        at_least("epochs trained during the shortest outage", min(one.epochs for one in found), 1),
        at_most(
            f"of {len(steps)} epochs, those without their metrics", _missing(steps), 0, note=ended.note or ""
        ),
        at_least("runs completed and published in the end", int(ended.published == "digits@1"), 1),
        Figure("slowest first heartbeat after an outage", f"{max(beats):.1f} s", note=spread(beats, " s")),
    ]


def _outage(server: Server, registry: Registry, run: Run, seconds: float, *, frozen: bool) -> Outage:
    before, epochs = registry.runs.get(run.id), _epochs(registry, run)
    if frozen:
        with server.frozen():
            time.sleep(seconds)
    else:
        server.stop()
        time.sleep(seconds)
        server.start()
    back, moment = time.monotonic(), utc_now()
    _wait(lambda: _beat(registry, run) > moment, SETTLED_SECONDS, must=False)
    heartbeat, trained = time.monotonic() - back, _epochs(registry, run) - epochs
    time.sleep(max(0.0, back + SETTLED_SECONDS - time.monotonic()))
    after = registry.runs.get(run.id)
    went_on = (after.status, after.worker, after.resumed) == ("running", before.worker, before.resumed)
    print(
        f"  {after.status}, {trained} epochs meanwhile, a heartbeat after {heartbeat:.1f} s", file=sys.stderr
    )
    return Outage(went_on, heartbeat, trained)


def _beat(registry: Registry, run: Run) -> datetime:
    return registry.runs.get(run.id).heartbeat_at or run.created_at


def _steps(registry: Registry, run: Run) -> list[int]:
    return [point.step for point in registry.runs.metrics(run.id, ["val_loss"]).get("val_loss", ())]


def _epochs(registry: Registry, run: Run) -> int:
    return len(_steps(registry, run))


def _missing(steps: list[int]) -> int:
    return max(steps, default=0) - len(steps)


def _wait(happened: Callable[[], bool], seconds: float, *, must: bool = True) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            if must:
                raise TimeoutError(f"nothing happened for {seconds:g} s")
            return
        time.sleep(0.1)


@contextmanager
def _app(settings: Settings) -> Iterator[None]:
    """``python app.py`` on the same data folder and database, with a log in that folder."""
    environment = {
        **os.environ,
        "LORAVIT_HOME": str(settings.home),
        "LORAVIT_DATABASE_URL": settings.database or "",
        "LORAVIT_BUNDLED": "no",
        "LORAVIT_MODE": "local",
    }
    with (settings.home / "app.log").open("wb") as log:
        app = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            app.send_signal(signal.SIGTERM)
            app.wait(timeout=60)
