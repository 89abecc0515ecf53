"""A Ray cluster of three nodes that trains and answers, of which one is lost in the middle of a run."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.faults.nodes import LONG, MEMBERS
from benchmarks.faults.ray_answers import Asking, answer_figures
from benchmarks.faults.ray_replicas import killed_replicas, scaled_replicas
from benchmarks.support.homes import with_bases
from benchmarks.support.node_cluster import Cluster, cluster, wait
from benchmarks.support.report import Figure, at_least, at_most, save, show
from loravit_web.cluster.cluster import Cluster as Trainers
from loravit_web.cluster.cluster import Place, connected
from loravit_web.cluster.serving import deploy, stop_replicas
from loravit_web.settings.environment import Settings
from registry import Run

RUNS, NODES, TRAINERS = 4, 3, 2
PARTS = ("answers", "lost", "kills", "scaling")
RECIPE = replace(LONG, epochs=20)
TAKEN_UP_SECONDS = 40.0
"""As for nodes without Ray. When it is claimed depends on the other runs in the queue."""
_STORE_BYTES = 80 << 20


def run(arguments: list[str]) -> int:
    """``python -m benchmarks ray [PART ...] [--kills N] [--json FILE]``, with Ray installed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks ray")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--kills", type=int, default=20, help="kills of replicas")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    parts, figures = options.parts or PARTS, []
    with cluster() as made, ray_nodes(made.folder) as ray_cluster:
        if "answers" in parts:
            with connected(ray_cluster.address) as connection:
                figures += answer_figures(made, connection, _settings(made))
        if "kills" in parts:
            with connected(ray_cluster.address) as connection:
                figures += killed_replicas(made, connection, _settings(made), options.kills)
        if "scaling" in parts:
            with connected(ray_cluster.address) as connection:
                figures += scaled_replicas(made, connection, _settings(made))
        if "lost" in parts:
            figures += lost_node(made, ray_cluster)
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
                num_cpus=3,
                memory=8 << 30,
                object_store_memory=_STORE_BYTES,
                env_vars={"LORAVIT_HOME": str(home)},
            )
        yield ray_cluster
    finally:
        ray_cluster.shutdown()


def lost_node(made: Cluster, ray_cluster: Any) -> list[Figure]:
    """Two trainers, four runs, three replicas; the node of a trainer is killed in the middle of an epoch."""
    settings = _settings(made)
    queued = [made.queue(f"run-{n}", RECIPE, actor=MEMBERS[n % 2]) for n in range(RUNS)]
    with connected(ray_cluster.address) as trainers, ExitStack() as stack:
        deploy(trainers, settings, NODES, NODES, Place(cpus=1, memory_gib=1))
        asking = stack.enter_context(Asking(made, settings))
        trainers.start(settings, TRAINERS, Place(cpus=1, memory_gib=2))
        wait(lambda: _epochs(made, queued) >= 6 and made.registry.runs.count("running") == TRAINERS)
        lost, node = _busy_node(made, trainers, ray_cluster)
        ray_cluster.remove_node(node, allow_graceful=False)
        killed, before = time.monotonic(), asking.answered
        wait(lambda: made.registry.runs.get(lost.id).worker != lost.worker)
        taken = time.monotonic() - killed
        wait(lambda: not any(made.registry.runs.counts("queued", "running").values()))
        answering = sum(one.state is not None for one in trainers.trainers())
        asking.stop()
        stopped = trainers.stop()
        stop_replicas()
    ended = [made.registry.runs.get(run.id) for run in queued]
    versions = Counter(run.published for run in ended if run.published is not None)
    return [
        at_least(f"of {RUNS} runs, those completed", sum(run.status == "completed" for run in ended), RUNS),
        at_most("seconds until the run of the lost node is queued again", taken, TAKEN_UP_SECONDS, " s"),
        at_most("runs that were claimed more often than that", _attempts(ended) - RUNS - 1, 0),
        at_least("versions, one for each run", len(versions), RUNS),
        at_least("trainers that answer in the end", answering, TRAINERS, note=f"{stopped} stopped"),
        at_most("failed answers", len(asking.failed), 0, note="; ".join(asking.failed[:3])),
        at_least("answers after the node was lost", asking.answered - before, 100),
        Figure("longest answer", f"{asking.longest:.1f} s", note="most of them while runs train"),
    ]


def _settings(made: Cluster) -> Settings:
    return Settings(
        home=made.folder / "web",
        database=f"{made.postgres.address}/postgres",
        artifact_url=made.s3.address,
        executor="ray",
        serving="ray",
    )


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
