"""Replicas on a Ray cluster that are killed while they answer, and whose number follows the requests."""

from __future__ import annotations

import random
import time

from benchmarks.faults.ray_answers import PLACE, Asking
from benchmarks.support.node_cluster import Cluster, kill_process, wait
from benchmarks.support.report import Figure, at_least, at_most
from loravit_web.cluster.cluster import Cluster as Connection
from loravit_web.cluster.replica import ReplicaState
from loravit_web.cluster.ring import Route
from loravit_web.cluster.serving import deploy, replica_states, replicas_of, stop_replicas
from loravit_web.settings.environment import Settings

REPLICAS, MOST, CROWD = 2, 2, 8
SHORTEST_SECONDS, LONGEST_SECONDS = 0.0, 10.0
"""Seconds from the moment at which all replicas run to the next kill."""
CHANGE_SECONDS = 300.0


def killed_replicas(made: Cluster, connection: Connection, settings: Settings, kills: int) -> list[Figure]:
    """Kill a replica at random moments at which all run, while two clients ask without a pause."""
    deploy(connection, settings, REPLICAS, REPLICAS, PLACE)
    try:
        replicas, chance = replicas_of(settings), random.Random(0)
        pids: set[int] = set()
        began = time.monotonic()
        with Asking(made, settings) as asking:
            for number in range(kills):
                wait(lambda: replica_states() == {"RUNNING": REPLICAS}, CHANGE_SECONDS)
                time.sleep(chance.uniform(SHORTEST_SECONDS, LONGEST_SECONDS))
                state: ReplicaState = replicas.ask("state", Route(f"kill-{number}"))
                kill_process(state.pid)
                pids.add(state.pid)
            before = asking.answered
            wait(lambda: replica_states().get("RUNNING") == REPLICAS)
            wait(lambda: asking.answered > before + 20)
        return [
            Figure(f"kills of {REPLICAS} replicas", f"{len(pids)} in {time.monotonic() - began:.0f} s"),
            at_most("failed answers", len(asking.failed), 0, note="; ".join(asking.failed[:3])),
            Figure("answers", str(asking.answered)),
            Figure("longest answer", f"{asking.longest:.1f} s"),
        ]
    finally:
        stop_replicas()


def scaled_replicas(made: Cluster, connection: Connection, settings: Settings) -> list[Figure]:
    """Let many clients ask until there is another replica, and none until it is gone."""
    deploy(connection, settings, 1, MOST, PLACE)
    try:
        with Asking(made, settings, CROWD) as asking:
            grown = _seconds_until(MOST)
            before = asking.answered
            wait(lambda: asking.answered > before + 20)
        shrunk = _seconds_until(1)
        with Asking(made, settings, 1) as after:
            wait(lambda: after.answered > 20)
        failed = asking.failed + after.failed
        return [
            Figure(f"seconds until {CROWD} clients have {MOST} replicas", f"{grown:.0f} s"),
            Figure("seconds without requests until there is one", f"{shrunk:.0f} s"),
            at_least("answers meanwhile and after it", asking.answered + after.answered, 40),
            at_most("failed answers", len(failed), 0, note="; ".join(failed[:3])),
        ]
    finally:
        stop_replicas()


def _seconds_until(count: int) -> float:
    began = time.monotonic()
    wait(lambda: replica_states() == {"RUNNING": count}, CHANGE_SECONDS)
    return time.monotonic() - began
