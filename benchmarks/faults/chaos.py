"""kill -9 at random moments, and what must be true afterwards."""

from __future__ import annotations

import argparse
import json
import random
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults.chaos_jobs import draw_images, open_registry, queue_run, tiny_base
from benchmarks.support.forks import Host, Job
from benchmarks.support.report import Figure, at_least, at_most, show
from loravit_web.adapters.files.format import from_files
from loravit_web.datasets import DatasetStore
from loravit_web.doctor import examine
from loravit_web.errors import LoraVitError
from loravit_web.settings.environment import Settings
from registry import Registry, RegistryError, Version

MARKS = {
    "train": ("begin save_checkpoint", "begin publish", "begin finish", "begin log_metrics"),
    "change_catalog": ("begin publish", "begin withdraw", "begin archive", "begin promote"),
}
LONGEST_LIFE = {"train": 1.0, "change_catalog": 0.5}
"""Seconds, of a process that is killed wherever it is."""
_START_SECONDS = 10.0
_DRAIN_SECONDS = 300.0


@dataclass
class Aftermath:
    """What was found after the last kill; every list should be empty."""

    unloadable: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    untrue_runs: list[str] = field(default_factory=list)
    broken_curves: list[str] = field(default_factory=list)
    unhealthy: list[str] = field(default_factory=list)
    killed_in: Counter[str] = field(default_factory=Counter)
    versions: int = 0
    promises: int = 0
    runs: int = 0

    @property
    def problems(self) -> list[str]:
        """All that is wrong."""
        return [
            *self.unloadable,
            *self.lost,
            *self.gaps,
            *self.untrue_runs,
            *self.broken_curves,
            *self.unhealthy,
        ]


def run(arguments: list[str]) -> int:
    """``python -m benchmarks chaos [--kills 200] [--seed 0]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks chaos")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        home, started = Path(folder), time.monotonic()
        prepare(home)
        with Host("benchmarks.faults.chaos_jobs", home / "log") as host:
            aftermath = rage(host, home, kills=options.kills, seed=options.seed)
        seconds = time.monotonic() - started
        for problem in aftermath.problems[:20]:
            print(problem)
        if aftermath.problems:
            print((home / "log").read_text()[-4000:])
    print("killed in " + ", ".join(f"{where} {n}" for where, n in aftermath.killed_in.most_common()))
    return show(f"kill -9, {options.kills} times", _figures(aftermath, seconds))


def _figures(found: Aftermath, seconds: float) -> list[Figure]:
    return [
        at_least("moments of different kinds that were hit", len(found.killed_in), 8),
        at_most(f"of {found.versions} versions, those that don't load", len(found.unloadable), 0),
        at_most(f"of {found.promises} acknowledgements, those that were lost", len(found.lost), 0),
        at_most("adapters with gaps between versions", len(found.gaps), 0),
        at_most(f"of {found.runs} runs, those that didn't end in the truth", len(found.untrue_runs), 0),
        at_most("runs that differ from one that was never killed", len(found.broken_curves), 0),
        at_most("problems that doctor finds", len(found.unhealthy), 0),
        Figure("seconds", f"{seconds:.0f}"),
    ]


class Lane:
    """One of the two processes, started again after each kill, and the files in which its lives told."""

    def __init__(self, host: Host, function: str, home: Path, chance: random.Random) -> None:
        self.function, self._host, self._home, self._chance = function, host, home, chance
        self.tellings: list[Path] = []
        self.failures: list[str] = []
        self._job: Job | None = None

    def live(self) -> None:
        """Start the process unless it lives."""
        if self._job is not None:
            if not self._job.ended():
                return
            self._note_end()
        self.tellings.append(self._home / f"told-{self.function}-{len(self.tellings)}")
        seed = {} if self.function == "train" else {"seed": self._chance.getrandbits(30)}
        self._job = self._host.start(self.function, home=str(self._home), told=str(self.tellings[-1]), **seed)

    def kill(self) -> tuple[str, str]:
        """Kill it at a random moment, half of the time just after it began something; its id and where."""
        assert self._job is not None
        longest = LONGEST_LIFE[self.function]
        if self._chance.random() < 0.9:  # else it may have hardly started
            self._await("ready", _START_SECONDS)
        if self._chance.random() < 0.5:
            self._await(self._chance.choice(MARKS[self.function]), 3 * longest)
            time.sleep(self._chance.uniform(0, 0.01))
        else:
            time.sleep(self._chance.uniform(0, longest))
        self._job.signal(signal.SIGKILL)
        self._note_end()
        lines = told(self.tellings[-1:])
        return self.tellings[-1].name, lines[-1]["what"] if lines else "start"

    def finish(self) -> None:
        """Wait until it ends by itself."""
        self._note_end()

    def _note_end(self) -> None:
        assert self._job is not None
        status = self._job.wait()
        if status not in (0, -signal.SIGKILL):
            self.failures.append(f"{self.function} ended with {status}, see {self.tellings[-1].name}")

    def _await(self, mark: str, seconds: float) -> None:
        """Wait until the process tells a mark again (it is ready but once), or so many seconds."""
        path, deadline = self.tellings[-1], time.monotonic() + seconds
        seen = path.read_text().count(mark) if path.exists() and mark != "ready" else 0
        while time.monotonic() < deadline:
            if path.exists() and path.read_text().count(mark) > seen:
                return
            time.sleep(0.001)


def told(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The lines of some files, in order."""
    texts = [path.read_text() for path in paths if path.exists()]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def prepare(home: Path) -> None:
    """A data folder with a dataset, in which nothing was trained yet."""
    DatasetStore(home / "datasets", workers=1).import_source(draw_images(home / "images"))
    open_registry(home).close()


def rage(host: Host, home: Path, *, kills: int, seed: int = 0) -> Aftermath:
    """Kill so many processes on a prepared data folder, let the last trainings end, and look."""
    chance = random.Random(seed)
    lanes = {name: Lane(host, name, home, chance) for name in MARKS}
    aftermath = Aftermath()
    with open_registry(home) as registry:
        reference = train_once(host, registry, home)
        for number in range(kills):
            _keep_busy(registry, home, number)
            for lane in lanes.values():
                lane.live()
            victim = lanes[chance.choices(list(lanes), weights=[3, 2])[0]]
            worker, where = victim.kill()
            aftermath.killed_in[f"{victim.function}: {where}"] += 1
            registry.runs.reap(dead={worker: None})
        lanes["change_catalog"].live()
        lanes["change_catalog"].kill()
        _drain(registry, lanes["train"])
        promised = told([path for lane in lanes.values() for path in lane.tellings])
        examine_all(registry, home, promised, reference, aftermath)
    aftermath.untrue_runs += [failure for lane in lanes.values() for failure in lane.failures]
    return aftermath


def train_once(host: Host, registry: Registry, home: Path) -> dict[str, Any]:
    """Train one run without any trouble; what its curves are, and the hash of its weights."""
    run = queue_run(registry, home, "reference")
    status = host.start("train", home=str(home), told=str(home / "told-reference"), idle_exit=0.0).wait()
    assert status == 0, f"the reference ended with {status}"
    return outcome(registry, run.id)


def outcome(registry: Registry, run_id: str) -> dict[str, Any]:
    """All that a run gave, to compare bit for bit."""
    run = registry.runs.get(run_id)
    assert run.status == "completed", (run.status, run.error)
    version = registry.catalog.resolve(str(run.published))
    curves = {
        key: [(p.step, p.value) for p in points] for key, points in registry.runs.metrics(run_id).items()
    }
    measured = {one.split: (one.n, one.accuracy, one.loss, one.macro_f1) for one in version.evaluations}
    return {"curves": curves, "weights": version.weights_sha256, "evaluations": measured}


def _keep_busy(registry: Registry, home: Path, number: int) -> None:
    """Resume what was interrupted, and queue another run where nothing waits."""
    for run in registry.runs.list(status=["interrupted"]):
        registry.runs.requeue(run.id)
    if not registry.runs.queue() and not registry.runs.count("running"):
        queue_run(registry, home, f"run-{number}")


def _drain(registry: Registry, lane: Lane) -> None:
    """Let every run come to its end, undisturbed."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    while time.monotonic() < deadline:
        lane.live()
        lane.finish()
        interrupted = registry.runs.list(status=["interrupted"])
        for run in interrupted:
            registry.runs.requeue(run.id)
        if not interrupted and not registry.runs.queue():
            return


def examine_all(
    registry: Registry,
    home: Path,
    promised: Sequence[dict[str, Any]],
    reference: dict[str, Any],
    aftermath: Aftermath,
) -> None:
    """Look at everything that must be true."""
    versions = {
        version.ref: version
        for adapter in registry.catalog.adapters(include_archived=True)
        for version in registry.catalog.versions(adapter.slug)
    }
    aftermath.versions = len(versions)
    aftermath.unloadable += _unloadable(registry, versions)
    aftermath.gaps += _gaps(versions)
    aftermath.lost += _lost(registry, versions, promised, aftermath)
    _examine_runs(registry, versions, reference, aftermath)
    aftermath.untrue_runs += [f"work/{path.name} was left behind" for path in (home / "work").glob("*")]
    aftermath.unhealthy += _unhealthy(home)


def _unloadable(registry: Registry, versions: dict[str, Version]) -> list[str]:
    base, found = tiny_base(), []
    for ref, version in versions.items():
        try:
            from_files(registry.catalog.read_files(version), base)  # compares the stored logits
        except (LoraVitError, RegistryError) as error:
            found.append(f"{ref}: {error}")
    return found


def _gaps(versions: dict[str, Version]) -> list[str]:
    numbers: dict[str, list[int]] = {}
    for version in versions.values():
        numbers.setdefault(version.slug, []).append(version.version)
    return [
        f"{slug} has versions {sorted(found)}"
        for slug, found in numbers.items()
        if sorted(found) != list(range(1, len(found) + 1))
    ]


def _lost(
    registry: Registry,
    versions: dict[str, Version],
    promised: Sequence[dict[str, Any]],
    aftermath: Aftermath,
) -> list[str]:
    """What was acknowledged and is not there."""
    lost = []
    archived = {e.entity_id for e in registry.catalog.events(limit=10**6) if e.kind == "archived"}
    promoted = {
        f"{slug}@{move.after}"
        for slug in {version.slug for version in versions.values()}
        for move in registry.aliases.history(slug)
    }
    curves: dict[str, dict[tuple[str, int], float]] = {}
    for line in promised:
        what = line["what"]
        if what == "publish":
            kept = line["ref"] in versions and versions[line["ref"]].manifest_sha256 == line["manifest"]
        elif what == "withdraw":
            kept = versions[line["ref"]].withdrawn_at is not None
        elif what == "promote":
            kept = line["ref"] in promoted  # a later promotion may have moved the alias on
        elif what == "archive":
            kept = line["slug"] in archived  # a later version may have brought it back
        elif what == "finish":
            kept = registry.runs.get(line["run"]).status == line["status"]
        elif what == "log_metrics":
            if line["run"] not in curves:
                series = registry.runs.metrics(line["run"])
                curves[line["run"]] = {
                    (key, p.step): p.value for key, points in series.items() for p in points
                }
            points = curves[line["run"]]
            kept = all(points.get((key, line["step"])) == value for key, value in line["values"].items())
        else:
            continue
        aftermath.promises += 1
        if not kept:
            lost.append(f"acknowledged and lost: {line}")
    return lost


def _examine_runs(
    registry: Registry, versions: dict[str, Version], reference: dict[str, Any], aftermath: Aftermath
) -> None:
    published = Counter(version.run_id for version in versions.values())
    runs = registry.runs.list(limit=10**6)
    aftermath.runs = len(runs)
    for run in runs:
        if run.status != "completed" or published[run.id] != 1:
            aftermath.untrue_runs.append(
                f"run {run.slug} is {run.status} with {published[run.id]} versions: {run.error}"
            )
        elif outcome(registry, run.id) != reference:
            aftermath.broken_curves.append(f"run {run.slug} differs from a run that was never killed")


def _unhealthy(home: Path) -> list[str]:
    with sqlite3.connect(home / "registry.db") as connection:
        (state,) = connection.execute("PRAGMA integrity_check").fetchone()
    found = [] if state == "ok" else [f"the database is damaged: {state}"]
    settings = Settings(home=home, base="tiny")
    examine(settings, mend=True)
    report = examine(settings)
    return found + [f"doctor: {f.subject}: {f.text}" for f in report.findings if f.state == "problem"]
