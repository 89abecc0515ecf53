"""Many processes on one database at once: nothing is refused, nothing is lost, nothing is numbered twice."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.faults.hammer_job import values_of
from benchmarks.support.forks import ROOT
from benchmarks.support.report import Figure, at_most, show
from registry import Registry

_GRACE_SECONDS = 60.0


def run(arguments: list[str]) -> int:
    """``python -m benchmarks hammer [--seconds 60] [--processes 8] [--database-url URL]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks hammer")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument(
        "--database-url", help="a database to use instead of a new SQLite file; rows are left in it"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        artifacts = Path(folder) / "artifacts"
        url = options.database_url or f"sqlite:///{Path(folder) / 'registry.db'}"
        slug = f"hammered-{uuid.uuid4().hex[:8]}"
        told = hammer(url, artifacts, slug, options.processes, options.seconds)
        with Registry.open(url, artifacts) as registry:
            problems = what_is_wrong(registry, slug, told)
    for problem in problems[:20]:
        print(problem)
    rows = 2 * sum(one["steps"] for one in told)
    refused = [error for one in told for error in one["errors"]]
    figures = [
        at_most("writes that were refused", len(refused), 0, note="; ".join(sorted(set(refused)))),
        at_most(
            f"of {rows:,} rows and {_published(told):,} versions, lost or numbered wrongly", len(problems), 0
        ),
        Figure("rows a second", f"{rows / options.seconds:.0f}"),
        Figure("versions a second", f"{_published(told) / options.seconds:.1f}"),
        Figure("longest wait of a process for one step", f"{max(one['longest'] for one in told):.2f} s"),
    ]
    where = url.partition(":")[0].partition("+")[0]
    return show(f"{options.processes} processes for {options.seconds:g} s on one database ({where})", figures)


def hammer(url: str, artifacts: Path, slug: str, processes: int, seconds: float) -> list[dict[str, Any]]:
    """What each process was promised; all of them meet the database, missing or not, at the same instant."""
    started = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.faults.hammer_job"),
                *("--database-url", url, "--artifacts", str(artifacts)),
                *("--slug", slug, "--name", f"{slug}-{number}", "--seconds", str(seconds)),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    told = []
    for process in started:
        output, _ = process.communicate(timeout=seconds + _GRACE_SECONDS)
        if process.returncode != 0:
            raise RuntimeError(f"a process ended with {process.returncode}")
        told.append(json.loads(output))
    return told


def what_is_wrong(registry: Registry, slug: str, told: Sequence[dict[str, Any]]) -> list[str]:
    """Whatever was acknowledged and is not so."""
    wrong = []
    for one in told:
        expected = {
            key: [(step, values_of(step)[key]) for step in range(one["steps"])] for key in values_of(0)
        }
        found = registry.runs.metrics(one["run"])
        if {key: [(p.step, p.value) for p in points] for key, points in found.items()} != expected:
            wrong.append(f"run {one['run']} lost some of its {one['steps']} steps")
    versions = {version.ref: version for version in registry.catalog.versions(slug)}
    numbers = sorted(version.version for version in versions.values())
    if numbers != list(range(1, _published(told) + 1)):
        wrong.append(f"{_published(told)} versions were acknowledged, but the numbers are {numbers}")
    for ref, content in (pair for one in told for pair in one["published"]):
        if registry.catalog.read_files(versions[ref])["task.json"] != content.encode():
            wrong.append(f"{ref} holds something else than was acknowledged")
    return wrong


def _published(told: Sequence[dict[str, Any]]) -> int:
    return sum(len(one["published"]) for one in told)
