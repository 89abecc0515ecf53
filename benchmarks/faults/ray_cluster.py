"""A Ray cluster of three nodes, of which one is lost while its trainer is in the middle of a run."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.faults.nodes import LONG, MEMBERS
from benchmarks.support.homes import with_bases
from benchmarks.support.node_cluster import Cluster, cluster, wait
from benchmarks.support.report import Figure, at_least, at_most, save, show
from loravit_web.cluster.cluster import Cluster as Trainers
from loravit_web.cluster.cluster import Place, connected
from loravit_web.settings.environment import Settings
from registry import Run

RUNS, NODES, TRAINERS = 4, 3, 2
RECIPE = replace(LONG, epochs=20)
TAKEN_UP_SECONDS = 40.0
"""As for nodes without Ray. When it is claimed depends on the other runs in the queue."""
_STORE_BYTES = 80 << 20


def run(arguments: list[str]) -> int:
    """``python -m benchmarks ray [--json FILE]``, with Ray installed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks ray")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with cluster() as made, ray_nodes(made.folder) as ray_cluster:
        figures = lost_node(made, ray_cluster)
    title = f"a Ray cluster of {NODES} nodes with PostgreSQL and an S3 server, one node lost"
    save(options.json, title, figures)
    return show(title, figures)


@contextmanager
def ray_nodes(folder: Path) -> Iterator[Any]:
    """Start the nodes, each with a home of its own, and a head that trains nothing."""
    from ray.cluster_utils import Cluster as RayCluster

    ray_cluster = RayCluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": _STORE_BYTES, "include_dashboard": False},
    )
    try:
        for number in range(NODES):
            home = with_bases(folder / f"ray-{number}")
            ray_cluster.add_node(
                num_cpus=1,
                memory=4 << 30,
                object_store_memory=_STORE_BYTES,
                env_vars={"LORAVIT_HOME": str(home)},
            )
        yield ray_cluster
    finally:
        ray_cluster.shutdown()


def lost_node(made: Cluster, ray_cluster: Any) -> list[Figure]:
    """Two trainers and four runs; the node of one is killed in the middle of an epoch."""
    settings = Settings(
        home=made.folder / "web",
        database=f"{made.postgres.address}/postgres",
        artifact_url=made.s3.address,
        executor="ray",
    )
    queued = [made.queue(f"run-{n}", RECIPE, actor=MEMBERS[n % 2]) for n in range(RUNS)]
    with connected(ray_cluster.address) as trainers:
        trainers.start(settings, TRAINERS, Place(cpus=1, memory_gib=2))
        wait(lambda: _epochs(made, queued) >= 6 and made.registry.runs.count("running") == TRAINERS)
        lost, node = _busy_node(made, trainers, ray_cluster)
        ray_cluster.remove_node(node, allow_graceful=False)
        killed = time.monotonic()
        wait(lambda: made.registry.runs.get(lost.id).worker != lost.worker)
        taken = time.monotonic() - killed
        wait(lambda: not any(made.registry.runs.counts("queued", "running").values()))
        answering = sum(one.state is not None for one in trainers.trainers())
        stopped = trainers.stop()
    ended = [made.registry.runs.get(run.id) for run in queued]
    versions = Counter(run.published for run in ended if run.published is not None)
    return [
        at_least(f"of {RUNS} runs, those completed", sum(run.status == "completed" for run in ended), RUNS),
        at_most("seconds until the run of the lost node is queued again", taken, TAKEN_UP_SECONDS, " s"),
        at_most("runs that were claimed more often than that", _attempts(ended) - RUNS - 1, 0),
        at_least("versions, one for each run", len(versions), RUNS),
        at_least("trainers that answer in the end", answering, TRAINERS, note=f"{stopped} stopped"),
    ]


def _busy_node(made: Cluster, trainers: Trainers, ray_cluster: Any) -> tuple[Run, Any]:
    """Return a running run, and the node of the cluster on which it is trained."""
    (run, *_) = made.registry.runs.list(status=["running"])
    states = [one.state for one in trainers.trainers() if one.state is not None]
    (ray_node,) = (state.ray_node for state in states if state.node == run.node)
    (node,) = (node for node in ray_cluster.worker_nodes if node.node_id == ray_node)
    return run, node


def _attempts(runs: list[Run]) -> int:
    return sum(run.attempt for run in runs)


def _epochs(made: Cluster, runs: list[Run]) -> int:
    """Return the fewest epochs of the running runs."""
    points = [made.registry.runs.metrics(run.id, ["val_loss"]).get("val_loss", ()) for run in runs[:TRAINERS]]
    return min(map(len, points))
