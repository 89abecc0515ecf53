"""What each process of `faults.hammer` does: log, beat and publish as fast as the registry lets it.

Run as a script of its own: it needs the registry alone, not torch.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from registry import DatasetClass, NewBase, NewDataset, NewRun, NewVersion, Registry, RegistryError

STEPS_PER_VERSION = 10


def main(arguments: list[str]) -> int:
    """Work until the time is over, then print one document of what was acknowledged."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--artifacts", type=Path, required=True)
    parser.add_argument("--slug", required=True, help="the adapter that all processes publish")
    parser.add_argument("--name", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args(arguments)
    with Registry.open(options.database_url, options.artifacts) as registry:
        print(json.dumps(hammer(registry, options.slug, options.name, options.seconds)))
    return 0


def hammer(registry: Registry, slug: str, name: str, seconds: float) -> dict[str, Any]:
    """Log metrics of a run, beat, and publish now and then."""
    base = registry.bases.ensure(NewBase("vit", "a" * 64, "vit_small", 384, 12))
    classes = (DatasetClass("cat", 1, 1, 0), DatasetClass("dog", 1, 1, 0))
    dataset = registry.datasets.ensure(NewDataset("f" * 64, "pets", "zip", classes))
    run = registry.runs.create(NewRun(slug, name, base.id, dataset.id, 1, {}, {}), worker=name)
    published, errors = [], []
    step, longest = 0, 0.0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        started = time.monotonic()
        try:
            registry.runs.log_metrics(run.id, step, values_of(step), lease=run.lease)
            step += 1
            registry.runs.record_heartbeat(run.lease, stage=f"step {step}", progress=0.5)
            if step % STEPS_PER_VERSION == 0:
                content = f"{name} {step}"
                new = version(slug, content, base.id, dataset.id, run.id)
                published.append((registry.catalog.publish(new, actor=name, lease=run.lease).ref, content))
        except RegistryError as error:
            errors.append(str(error))
        longest = max(longest, time.monotonic() - started)
    registry.runs.finish(run.lease, "completed")
    return {"run": run.id, "steps": step, "published": published, "errors": errors, "longest": longest}


def values_of(step: int) -> dict[str, float]:
    """What is logged at a step."""
    return {"loss": 1 / (step + 1), "accuracy": step / (step + 1)}


def version(slug: str, content: str, base_id: int, dataset_id: int, run_id: str) -> NewVersion:
    """The smallest thing that can be published; no two contents give the same."""
    files: dict[str, bytes | Path] = {
        "adapter_model.safetensors": content.encode() * 1000,
        "task.json": content.encode(),
    }
    classes = ("cat", "dog")
    return NewVersion(slug, slug, "", run_id, base_id, dataset_id, "LORA", 1, 112, classes, {}, files)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
