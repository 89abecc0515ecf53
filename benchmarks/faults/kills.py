"""Many kills of worker nodes, training processes and the web node, while runs are queued all the time."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from benchmarks.support.node_cluster import WAIT_SECONDS, Cluster, Node, kill_process, wait
from benchmarks.support.report import Figure, at_least, at_most
from loravit_web.training.recipe import preset_recipe
from registry import Run, Version

RECIPE = preset_recipe(
    "draft",
    image_size=56,
    epochs=30,
    patience=1000,
    min_steps=0,
    blocks=1,
    r=2,
    mirror=False,
    max_images=200,
    floor=False,
)
NAMES = ("one", "two", "three", "four")
"""Adapters that the runs share, so that several runs publish versions of one adapter."""
MEMBERS = ("ann", "bob")
KINDS = {"training process": 4, "worker node": 3, "its program alone": 1, "web node": 2}
"""What is killed, and how often in proportion."""
WAITING = 3
"""Number of runs that always wait."""


@dataclass
class _Told:
    """What was killed, and what was queued.

    Attributes:
        killed: Number of kills by kind.
        queued: Every run.
    """

    killed: Counter[str] = field(default_factory=Counter)
    queued: list[Run] = field(default_factory=list)


def figures(made: Cluster, kills: int, *, minutes: float) -> list[Figure]:
    """Kill at random moments, start everything again, wait for all runs, and check them.

    Args:
        made: The servers.
        kills: Number of kills.
        minutes: Over which the kills are spread.
    """
    began, told = time.monotonic(), _Told()
    with made.node("one") as one, made.node("two") as two, made.web_node("app") as web:
        _kill(made, told, (one, two), web, kills, 60 * minutes / kills)
        wait(lambda: not any(made.registry.runs.counts("queued", "running").values()), 3 * WAIT_SECONDS)
        wait(web.is_ready)
    return _checked(made, told, (time.monotonic() - began) / 60)


def _kill(made: Cluster, told: _Told, nodes: tuple[Node, ...], web: Node, kills: int, seconds: float) -> None:
    chance = random.Random(0)
    while told.killed.total() < kills:
        _keep_busy(made, told)
        time.sleep(chance.uniform(0.5, 1.5) * seconds)
        kind = chance.choices(list(KINDS), weights=list(KINDS.values()))[0]
        node = web if kind == "web node" else chance.choice(nodes)
        if kind == "training process":
            workers = node.workers
            if not workers:
                continue  # it is about to start one
            kill_process(chance.choice(workers))
        else:
            node.kill_program() if kind == "its program alone" else node.kill()
            node.start()
        told.killed[kind] += 1
        counts = made.registry.runs.counts("queued", "running", "completed")
        print(f"{told.killed.total()} {kind}: {dict(counts)}", file=sys.stderr, flush=True)


def _keep_busy(made: Cluster, told: _Told) -> None:
    while made.registry.runs.count("queued") < WAITING:
        number = len(told.queued)
        run = made.queue(NAMES[number % len(NAMES)], RECIPE, actor=MEMBERS[number % len(MEMBERS)])
        told.queued.append(run)


def _checked(made: Cluster, told: _Told, minutes: float) -> list[Figure]:
    runs = [made.registry.runs.get(run.id) for run in told.queued]
    lost = [run for run in runs if run.status != "completed" or run.published is None]
    for run in lost:
        print(f"{run.id} {run.slug} {run.status}: {run.error or run.note}", file=sys.stderr)
    versions = [version for slug in {run.slug for run in runs} for version in _versions(made, slug)]
    points = [made.registry.runs.metrics(run.id, ["val_loss"]).get("val_loss", ()) for run in runs]
    epochs = [[point.step for point in of_run] for of_run in points]
    orphans, left = _sweep(made)
    killed = ", ".join(f"{count} {kind}" for kind, count in told.killed.most_common())
    take_ups = sum(run.take_ups for run in runs)
    return [
        at_least("kills: kills", told.killed.total(), told.killed.total(), note=killed),
        at_most("kills: runs that are lost", len(lost), 0, note=f"{len(runs)} runs, {take_ups} take-ups"),
        at_most("kills: runs without exactly one version", _doubled(runs, versions), 0),
        at_most("kills: gaps between versions", _gaps(versions), 0, note=f"{len(versions)} versions"),
        at_most("kills: epochs that are missing or double", sum(map(_wrong, epochs)), 0),
        at_most("kills: orphans and damaged files after a sweep", left, 0, note=f"{orphans} before it"),
        Figure("kills: minutes", f"{minutes:.0f}"),
    ]


def _versions(made: Cluster, slug: str) -> list[Version]:
    return list(made.registry.catalog.versions(slug))


def _doubled(runs: list[Run], versions: list[Version]) -> int:
    by_run = Counter(version.run_id for version in versions)
    return sum(by_run[run.id] != 1 for run in runs)


def _gaps(versions: list[Version]) -> int:
    highest: dict[str, int] = {}
    for version in versions:
        highest[version.slug] = max(highest.get(version.slug, 0), version.version)
    return sum(highest.values()) - len(versions)


def _wrong(steps: list[int]) -> int:
    """Return the number of epochs of a run that are missing, or there more than once."""
    wanted = max(steps, default=0)
    return (wanted - len(set(steps))) + (len(steps) - len(set(steps)))


def _sweep(made: Cluster) -> tuple[int, int]:
    """Remove what nothing refers to, as ``doctor --mend`` does; return how many files before and after."""
    maintenance = made.registry.maintenance
    found = maintenance.unreferenced(timedelta(0))
    for file in found:
        maintenance.remove(file, timedelta(0))
    left = len(maintenance.unreferenced(timedelta(0))) + sum(1 for _ in maintenance.broken())
    return len(found), left
