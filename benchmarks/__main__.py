"""``python -m benchmarks NAME``: each benchmark prints what it measured and fails when a target is missed."""

from __future__ import annotations

import os
import sys

from loravit_web.util.heap import keep_freed_memory
from loravit_web.util.openmp import share_cores

share_cores(os.environ)  # as the app does
keep_freed_memory(os.environ)

from benchmarks import screenshots  # noqa: E402
from benchmarks.faults import (  # noqa: E402
    chaos,
    corpus,
    foreign_images,
    hammer,
    nodes,
    outage,
    ray_cluster,
    simulation,
    snapshot,
    soak,
)
from benchmarks.hostile import cases  # noqa: E402
from benchmarks.learning import bundled, maps, novelty, suspects, tasks, training  # noqa: E402
from benchmarks.learning.doubt import misfits  # noqa: E402
from benchmarks.learning.labels import pool  # noqa: E402
from benchmarks.machine import cpu_engines, openvino_answers  # noqa: E402
from benchmarks.speed import (  # noqa: E402
    answers,
    camera,
    catalog_page,
    clients,
    engine,
    estimate,
    export,
    journey,
    newcomer,
    pages,
    registry_scale,
    shell,
    switch,
)
from benchmarks.speed.trainings import main_job, presets  # noqa: E402

BENCHMARKS = {
    "openvino": openvino_answers.run,
    "outage": outage.run,
    "pages": pages.run,
    "main-job": main_job.run,
    "answers": answers.run,
    "bundled": bundled.run,
    "camera": camera.run,
    "catalog": catalog_page.run,
    "chaos": chaos.run,
    "corpus": corpus.run,
    "clients": clients.run,
    "cpu-engines": cpu_engines.run,
    "engine": engine.run,
    "estimate": estimate.run,
    "export": export.run,
    "foreign-images": foreign_images.run,
    "hammer": hammer.run,
    "hostile": cases.run,
    "journey": journey.run,
    "maps": maps.run,
    "misfits": misfits.run,
    "newcomer": newcomer.run,
    "nodes": nodes.run,
    "ray": ray_cluster.run,
    "novelty": novelty.run,
    "pool": pool.run,
    "presets": presets.run,
    "registry": registry_scale.run,
    "snapshot": snapshot.run,
    "suspects": suspects.run,
    "tasks": tasks.run,
    "training": training.run,
    "screenshots": screenshots.run,
    "shell": shell.run,
    "simulation": simulation.run,
    "soak": soak.run,
    "switch": switch.run,
}


def main(arguments: list[str]) -> int:
    """Run one benchmark; returns the exit status."""
    if not arguments or arguments[0] not in BENCHMARKS:
        print(f"usage: python -m benchmarks {{{','.join(BENCHMARKS)}}} [ARGUMENT ...]", file=sys.stderr)
        return 2
    return BENCHMARKS[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
