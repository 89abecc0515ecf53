"""A process of its own on a registry: `worker_process.py log-and-publish|publish URL ROOT NAME`."""

import sys
from itertools import count
from pathlib import Path

from registry import DatasetClass, NewBase, NewDataset, NewRun, NewVersion, Registry


def publish(registry: Registry, base_id: int, run_id: str | None, content: str) -> str:
    files: dict[str, bytes | Path] = {
        "adapter_model.safetensors": content.encode() * 1000,
        "task.json": content.encode(),
    }
    new = NewVersion(
        "shared", "Shared", "", run_id, base_id, None, "LORA", 1, 112, ("cat", "dog"), {"by": content}, files
    )
    return registry.catalog.publish(new, actor=content).ref


def log_and_publish(registry: Registry, name: str) -> None:
    base = registry.bases.ensure(NewBase("vit", "a" * 64, "vit_small", 384, 12))
    dataset = registry.datasets.ensure(NewDataset("f" * 64, "pets", "zip", (DatasetClass("cat", 1, 1, 0),)))
    run = registry.runs.create(NewRun("shared", name, base.id, dataset.id, 1, {}, {}), worker=name)
    for step in range(25):
        registry.runs.log_metrics(run.id, step, {"loss": step / 10, "accuracy": step / 100})
        registry.runs.beat(run.id, name, stage=f"epoch {step}", progress=step / 25)
        if step % 5 == 0:
            publish(registry, base.id, run.id, f"{name} {step}")
    registry.runs.finish(run.id, name, "completed")


def publish_for_ever(registry: Registry, name: str) -> None:
    base = registry.bases.ensure(NewBase("vit", "a" * 64, "vit_small", 384, 12))
    for number in count():
        sys.stdout.write(publish(registry, base.id, None, f"{name} {number}") + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    job, url, root, name = sys.argv[1:]
    with Registry.open(url, Path(root)) as registry:
        {"log-and-publish": log_and_publish, "publish": publish_for_ever}[job](registry, name)
