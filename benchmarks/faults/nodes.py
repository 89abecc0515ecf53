"""Several nodes on a real PostgreSQL and a real S3 server, of which some are killed or cut off."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.faults import away_answers, kills
from benchmarks.support.node_cluster import WAIT_SECONDS, Cluster, cluster, wait
from benchmarks.support.report import Figure, at_least, at_most, save, show, spread
from loravit_web.training.recipe import preset_recipe
from loravit_web.worker.keeping import stored_log
from registry import Run

SHORT = preset_recipe(
    "draft",
    image_size=56,
    epochs=3,
    patience=3,
    min_steps=0,
    blocks=1,
    r=2,
    mirror=False,
    max_images=200,
    floor=False,
)
LONG = replace(SHORT, epochs=40, patience=1000)
MEMBERS = ("ann", "bob")
TAKEN_UP_SECONDS = 40.0
AWAY_SECONDS = 60.0
PARTS = ("queue", "kill", "cut", "away", "answers", "kills")


def run(arguments: list[str]) -> int:
    """``python -m benchmarks nodes [PART ...] [--runs 20] [--kills 100] [--minutes 50] [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks nodes")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=50, help="over which the kills are spread")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    for part in options.parts or PARTS:
        with cluster() as made:
            figures += {
                "queue": lambda made=made: queue_part(made, options.runs),
                "kill": lambda made=made: kill_part(made),
                "cut": lambda made=made: cut_part(made),
                "away": lambda made=made: away_part(made),
                "answers": lambda made=made: away_answers.figures(made),
                "kills": lambda made=made: kills.figures(made, options.kills, minutes=options.minutes),
            }[part]()
    title = "worker nodes with homes of their own, PostgreSQL and an S3 server"
    save(options.json, title, figures)
    return show(title, figures)


def queue_part(made: Cluster, runs: int) -> list[Figure]:
    """Many runs of two members, and two nodes."""
    queued = [made.queue(f"run-{n}", SHORT, actor=MEMBERS[int(n >= runs // 2)]) for n in range(runs)]
    began = time.monotonic()
    with made.node("one"), made.node("two"):
        wait(lambda: not any(made.registry.runs.counts("queued", "running").values()), 3 * WAIT_SECONDS)
    seconds = time.monotonic() - began
    ended = [made.registry.runs.get(run.id) for run in queued]
    shares = Counter(run.node for run in ended)
    order = "".join(run.created_by[0] for run in sorted(ended, key=lambda run: str(run.started_at)))
    lead = max(abs(order[:n].count("a") - order[:n].count("b")) for n in range(1, len(order) + 1))
    return [
        at_least(f"queue: of {runs} runs, those completed", _completed(ended), runs),
        at_most("queue: runs that were claimed twice", sum(run.attempt > 1 for run in ended), 0),
        at_least("queue: runs of the node that trained fewer", min(shares.values()), runs // 4),
        at_most("queue: runs that one member was ahead", lead, 2, note=order),
        Figure("queue: seconds", f"{seconds:.0f}"),
    ]


def kill_part(made: Cluster) -> list[Figure]:
    """The node that trains is killed in the middle of an epoch."""
    straight = made.queue("straight", LONG)
    with made.node("calm"):
        _wait_for_end(made, straight)
    moved = made.queue("moved", LONG)
    with made.node("one") as one:
        wait(lambda: _epochs(made, moved) >= 10)
        with made.node("two"):
            time.sleep(3)  # within some epoch, and the second node is up
            one.kill()
            epochs, killed = _epochs(made, moved), time.monotonic()
            wait(lambda: _goes_on(made, moved, attempt=2))
            seconds = time.monotonic() - killed
            _wait_for_end(made, moved)
    ended = made.registry.runs.get(moved.id)
    curves = [made.registry.runs.metrics(run.id, ["val_loss", "val_accuracy"]) for run in (straight, moved)]
    weights = [made.registry.catalog.resolve(name).weights_sha256 for name in ("straight", "moved")]
    log = stored_log(made.registry, moved.id, 1 << 20)
    again = log.partition("attempt 2")[2].partition("Epoch ")[2].partition(" ")[0]
    repeated = epochs - int(again or 0) + 1
    return [
        at_most("kill: seconds until another node trains on", seconds, TAKEN_UP_SECONDS, " s"),
        at_most("kill: epochs that were trained twice", repeated, 2, note=f"killed after epoch {epochs}"),
        at_least("kill: the same weights as undisturbed, bit for bit", int(weights[0] == weights[1]), 1),
        at_least("kill: the same curves", int(curves[0] == curves[1]), 1),
        at_most(
            "kill: versions of the run", len(made.registry.catalog.versions("moved")), 1, note=ended.status
        ),
    ]


def cut_part(made: Cluster) -> list[Figure]:
    """The node that trains loses its network for a minute, and goes on computing."""
    run = made.queue("cut", LONG)
    with made.node("one") as one:
        wait(lambda: _epochs(made, run) >= 5)
        with made.node("two"):
            time.sleep(8)
            one.cut()
            cut = time.monotonic()
            wait(lambda: _goes_on(made, run, attempt=2))
            taken = time.monotonic() - cut
            time.sleep(max(0.0, AWAY_SECONDS - taken))
            one.mend()
            _wait_for_end(made, run)
            wait(lambda: "no longer belongs to this worker" in one.told)
    ended = made.registry.runs.get(run.id)
    points = [point.step for point in made.registry.runs.metrics(run.id, ["val_loss"])["val_loss"]]
    return [
        at_most("cut: seconds until another node trains on", taken, TAKEN_UP_SECONDS, " s"),
        at_least("cut: the run is completed by the second attempt", int(_is_second(ended)), 1),
        at_most("cut: versions of the run", len(made.registry.catalog.versions("cut")), 1),
        at_most("cut: epochs that are missing or double", _wrong(points), 0, note=f"{len(points)} epochs"),
    ]


def away_part(made: Cluster) -> list[Figure]:
    """The store is away for a minute, and the database is started again."""
    run = made.queue("away", LONG)
    silences = []
    with made.node("one"):
        wait(lambda: _epochs(made, run) >= 3)
        made.s3.stop()
        until = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < until:
            time.sleep(1)
            beats = made.registry.runs.heartbeats()
            silences.append(max((beat.age.total_seconds() for beat in beats), default=0.0))
        made.s3.start()
        made.postgres.stop()
        made.postgres.start()
        _wait_for_end(made, run)
    ended = made.registry.runs.get(run.id)
    return [
        at_least(
            "away: runs that are completed", _completed([ended]), 1, note=ended.error or ended.note or ""
        ),
        at_most("away: runs that were taken up", ended.attempt - 1, 0),
        at_most("away: longest silence without the store", max(silences), 15, " s", spread(silences, " s")),
        at_most("away: versions of the run", len(made.registry.catalog.versions("away")), 1),
    ]


def _is_second(run: Run) -> bool:
    return (run.status, run.attempt) == ("completed", 2)


def _completed(runs: list[Run]) -> int:
    return sum(run.status == "completed" and run.published is not None for run in runs)


def _epochs(made: Cluster, run: Run) -> int:
    return len(made.registry.runs.metrics(run.id, ["val_loss"]).get("val_loss", ()))


def _goes_on(made: Cluster, run: Run, *, attempt: int) -> bool:
    """Whether another worker has taken the run and trains epochs."""
    now = made.registry.runs.get(run.id)
    return now.attempt == attempt and (now.stage or "").startswith("Epoch")


def _wrong(steps: list[int]) -> int:
    return len(steps) - len(set(steps)) + max(steps) - len(set(steps))


def _wait_for_end(made: Cluster, run: Run) -> None:
    def has_ended() -> bool:
        return made.registry.runs.get(run.id).ended_at is not None

    wait(has_ended)
