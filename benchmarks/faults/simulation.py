"""The queue in simulated time: workers that are slow, killed and cut off, on a real registry."""

from __future__ import annotations

import argparse
import heapq
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import count
from multiprocessing import get_context
from pathlib import Path

from benchmarks.support.report import Figure, at_least, at_most, save, show
from loravit_web.worker.reaper import Reaper
from loravit_web.worker.tracking import HEARTBEAT_SECONDS
from registry import (
    DatasetClass,
    Lease,
    NewBase,
    NewDataset,
    NewRun,
    NewVersion,
    Registry,
    Run,
    RunLost,
)

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
RUNS, WORKERS, EPOCHS = 5, 3, 4
TROUBLE_SECONDS = 240.0
"""Simulated seconds in which workers are killed and cut off."""
LONGEST_SECONDS = 3600.0
"""Simulated seconds after which everything must have ended."""
_TAKE_UPS = 1000
_LOOK_SECONDS = (1.0, 8.0)
"""Shortest and longest simulated time between two looks of an observer."""
_SEEDS_AT_ONCE = 20
"""Seeds that a process plays before it reports."""


@dataclass
class Found:
    """What many seeds showed; ``violations`` should be empty."""

    violations: list[str] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)


class World:
    """Events by time on one registry.

    Args:
        registry: An empty registry whose clock is `clock`.
        chance: Source of all randomness.
    """

    def __init__(self, chance: random.Random) -> None:
        self.now, self.chance = 0.0, chance
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self.registry: Registry
        self.may_be_over = False
        self.counts: Counter[str] = Counter()
        self.acknowledged: list[tuple[str, str]] = []

    def clock(self) -> datetime:
        return START + timedelta(seconds=self.now)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._number), act))

    def run_until(self, is_over: Callable[[], bool]) -> bool:
        while self._events and self.now < LONGEST_SECONDS:
            self.now, _, act = heapq.heappop(self._events)
            act()
            if self.may_be_over and is_over():
                return True
            self.may_be_over = False
        return False


class SimulatedWorker:
    """A worker as the registry sees it: every request may arrive late, or after its sender was killed."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self._number, self._lives = world, number, 0
        self._born()

    def _born(self) -> None:
        self._lives += 1
        self.id, self._life = f"w{self._number}.{self._lives}", self._lives
        self._cut_until = 0.0
        self._ask()

    def kill(self) -> None:
        """End at once; another process starts a little later. Requests that were sent still arrive."""
        self.world.counts["kills"] += 1
        self._lives += 1
        self.world.after(self.world.chance.uniform(1, 20), self._born)

    def cut_off(self) -> None:
        """Lose the network for a while, and go on computing."""
        self.world.counts["partitions"] += 1
        self._cut_until = self.world.now + self.world.chance.uniform(5, 90)

    def _send(self, request: Callable[[], None]) -> None:
        """Deliver a request after a delay, or once the network is back; of a dead process too."""
        wait = max(0.0, self._cut_until - self.world.now)
        slow = self.world.chance.random() < 0.1
        self.world.after(wait + self.world.chance.uniform(0, 40 if slow else 0.2), request)

    def _alive(self, life: int) -> bool:
        return life == self._lives

    def _ask(self) -> None:
        life, sender = self._lives, self.id

        def claim() -> None:
            run = self.world.registry.runs.claim(sender)
            if not self._alive(life):
                return  # nobody trains what was claimed, until it is taken up
            if run is not None:
                self._train(run, life)
            else:
                self.world.after(1.0, self._ask)

        self._send(claim)

    def _train(self, run: Run, life: int) -> None:
        self.world.after(HEARTBEAT_SECONDS, lambda: self._beat(run.lease, life))
        if run.published is not None:  # killed between publishing and recording it
            self._send(lambda: self._finish(run.lease, life))
        else:
            self.world.after(self.world.chance.uniform(1, 15), lambda: self._epoch(run, 1, life))

    def _beat(self, lease: Lease, life: int) -> None:
        if not self._alive(life):
            return

        def beat() -> None:
            try:
                self.world.registry.runs.record_heartbeat(lease)
            except RunLost:
                return
            self.world.after(HEARTBEAT_SECONDS, lambda: self._beat(lease, life))

        self._send(beat)

    def _epoch(self, run: Run, epoch: int, life: int) -> None:
        if not self._alive(life):
            return

        def log() -> None:
            try:
                self.world.registry.runs.log_metrics(run.id, epoch, {"loss": 1.0 / epoch}, lease=run.lease)
            except RunLost:
                self._lost(life)
                return
            if self._alive(life):
                following = self._publish if epoch == EPOCHS else self._epoch
                self.world.after(self.world.chance.uniform(1, 15), lambda: following(run, epoch + 1, life))

        self._send(log)

    def _publish(self, run: Run, _epoch: int, life: int) -> None:
        if not self._alive(life):
            return
        content = f"{run.id} by {self.id}, attempt {run.attempt}".encode()
        new = NewVersion(
            run.slug,
            run.title,
            "",
            run.id,
            run.base_id,
            run.dataset_id,
            "LORA",
            1,
            32,
            ("a", "b"),
            {},
            {"adapter_model.safetensors": content},
        )

        def publish() -> None:
            try:
                version = self.world.registry.catalog.publish(new, actor="w", lease=run.lease)
            except RunLost:
                self.world.counts["publications refused"] += 1
                self._lost(life)
                return
            if self._alive(life):
                self.world.acknowledged.append(("publish", version.ref))
                self._send(lambda: self._finish(run.lease, life))

        self._send(publish)

    def _finish(self, lease: Lease, life: int) -> None:
        try:
            self.world.registry.runs.finish(lease, "completed")
        except RunLost:
            self._lost(life)
            return
        self.world.may_be_over = True
        if self._alive(life):
            self.world.acknowledged.append(("finish", lease.run_id))
            self._ask()

    def _lost(self, life: int) -> None:
        self.world.counts["runs lost by a worker"] += 1
        if self._alive(life):
            self._ask()


def play(seed: int, queued: Path, folder: Path) -> tuple[list[str], Counter[str]]:
    """Play one seed; what was violated, and how often what happened.

    Args:
        seed: Seed of all that happens.
        queued: Database with the queued runs, which is copied.
        folder: Empty folder.
    """
    world = World(random.Random(seed))
    shutil.copyfile(queued, folder / "registry.db")
    with Registry.open(
        f"sqlite:///{folder / 'registry.db'}", folder / "artifacts", clock=world.clock
    ) as registry:
        world.registry = registry
        workers = [SimulatedWorker(world, number) for number in range(WORKERS)]
        for _ in range(2):
            _observe(world, Reaper(registry, take_ups=_TAKE_UPS, clock=lambda: world.now))
        for worker in workers:
            _disturb(world, worker)
        ended = world.run_until(lambda: _is_over(registry))
        return _violations(world, ended), world.counts


def queue_runs(folder: Path) -> Path:
    """Create a database with the queued runs, whose schema is not built again for every seed."""
    file = folder / "registry.db"
    with Registry.open(f"sqlite:///{file}", folder / "artifacts", clock=lambda: START) as registry:
        _queue(registry)
    return file


def _queue(registry: Registry) -> None:
    base = registry.bases.ensure(NewBase("vit", "a" * 64, "vit", 8, 2))
    classes = (DatasetClass("a", 1, 1, 0), DatasetClass("b", 1, 1, 0))
    dataset = registry.datasets.ensure(NewDataset("f" * 64, "data", "zip", classes))
    for number in range(RUNS):
        new = NewRun("shared", f"Run {number}", base.id, dataset.id, 1, {}, {})
        registry.runs.create(new, actor=f"member {number % 2}")


def _observe(world: World, reaper: Reaper) -> None:
    def look() -> None:
        taken = reaper.reap()
        world.counts["take-ups"] += len(taken)
        world.may_be_over |= bool(taken)
        world.after(world.chance.uniform(*_LOOK_SECONDS), look)

    world.after(world.chance.uniform(*_LOOK_SECONDS), look)


def _disturb(world: World, worker: SimulatedWorker) -> None:
    def disturb() -> None:
        if world.now > TROUBLE_SECONDS:
            return
        world.chance.choice((worker.kill, worker.cut_off))()
        world.after(world.chance.expovariate(1 / 60), disturb)

    world.after(world.chance.expovariate(1 / 60), disturb)


def _is_over(registry: Registry) -> bool:
    counts = registry.runs.counts("queued", "running")
    return not any(counts.values())


def _violations(world: World, ended: bool) -> list[str]:
    registry = world.registry
    runs = registry.runs.list(limit=1000)
    versions = registry.catalog.versions("shared") if registry.catalog.adapters() else []
    found = [] if ended else ["a run never ended"]
    found += [f"run {run.title} is {run.status}" for run in runs if run.status != "completed"]
    winners = Counter(version.run_id for version in versions)
    found += [f"run {run.title} has {winners[run.id]} versions" for run in runs if winners[run.id] != 1]
    numbers = sorted(version.version for version in versions)
    if numbers != list(range(1, len(numbers) + 1)):
        found.append(f"the versions are {numbers}")
    refs, done = {version.ref for version in versions}, {r.id for r in runs if r.status == "completed"}
    for what, name in world.acknowledged:
        if name not in (refs if what == "publish" else done):
            found.append(f"an acknowledged {what} is lost: {name}")
    return found


def play_all(seeds: range, folder: Path) -> Found:
    """Play every seed, each in a folder of its own."""
    found = Found()
    queued = queue_runs(folder)
    for seed in seeds:
        with tempfile.TemporaryDirectory(dir=folder) as home:
            violations, counts = play(seed, queued, Path(home))
        found.violations += [f"seed {seed}: {violation}" for violation in violations]
        found.events += counts
    return found


def play_in_processes(seeds: range, folder: Path, processes: int) -> Found:
    """Play every seed, shared among some processes, because most of the time goes into Python."""
    parts = [seeds[start : start + _SEEDS_AT_ONCE] for start in range(0, len(seeds), _SEEDS_AT_ONCE)]
    found = Found()
    with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
        for number, part in enumerate(pool.map(_play_part, parts, [folder] * len(parts)), 1):
            found.violations += part.violations
            found.events += part.events
            print(f"{number} of {len(parts)} parts, {len(found.violations)} violations", file=sys.stderr)
    return found


def _play_part(seeds: range, folder: Path) -> Found:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        return play_all(seeds, Path(own))


def run(arguments: list[str]) -> int:
    """``python -m benchmarks simulation [--seeds 2000] [--first 0] [--processes 2] [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks simulation")
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        seeds = range(options.first, options.first + options.seeds)
        found = play_in_processes(seeds, Path(folder), options.processes)
    for violation in found.violations[:20]:
        print(violation, file=sys.stderr)
    events = found.events
    figures = [
        at_most("violations", len(found.violations), 0),
        at_least("kills", events["kills"], options.seeds),
        at_least("partitions", events["partitions"], options.seeds),
        Figure("runs taken from a worker", f"{events['take-ups']:,}"),
        Figure("times a worker found its run taken", f"{events['runs lost by a worker']:,}"),
        Figure("late publications that were refused", f"{events['publications refused']:,}"),
    ]
    title = f"{WORKERS} workers and {RUNS} runs in simulated time, {options.seeds} seeds"
    save(options.json, title, figures)
    return show(title, figures)
