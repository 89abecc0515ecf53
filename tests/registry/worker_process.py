"""Jobs of separate processes on a registry, which `benchmarks.support.forks` starts."""

from itertools import count
from pathlib import Path

from sqlalchemy.orm import configure_mappers

import registry.database.alembic_run  # noqa: F401 - so that a missing database is migrated at once
from registry import DatasetClass, NewBase, NewDataset, NewRun, NewVersion, Registry


def warm_up() -> None:
    """Do what every process would do first."""
    configure_mappers()


def publish(registry: Registry, base_id: int, run_id: str | None, content: str) -> str:
    files: dict[str, bytes | Path] = {
        "adapter_model.safetensors": content.encode() * 1000,
        "task.json": content.encode(),
    }
    new = NewVersion(
        "shared", "Shared", "", run_id, base_id, None, "LORA", 1, 112, ("cat", "dog"), {"by": content}, files
    )
    return registry.catalog.publish(new, actor=content).ref


def log_and_publish(url: str, root: str, name: str) -> None:
    with Registry.open(url, Path(root)) as registry:
        base = registry.bases.ensure(NewBase("vit", "a" * 64, "vit_small", 384, 12))
        classes = (DatasetClass("cat", 1, 1, 0),)
        dataset = registry.datasets.ensure(NewDataset("f" * 64, "pets", "zip", classes))
        run = registry.runs.create(NewRun("shared", name, base.id, dataset.id, 1, {}, {}), worker=name)
        for step in range(25):
            registry.runs.log_metrics(run.id, step, {"loss": step / 10, "accuracy": step / 100})
            registry.runs.record_heartbeat(run.lease, stage=f"epoch {step}", progress=step / 25)
            if step % 5 == 0:
                publish(registry, base.id, run.id, f"{name} {step}")
        registry.runs.finish(run.lease, "completed")


def publish_for_ever(url: str, root: str, name: str, told: str) -> None:
    """Publish until killed, and write every version that was acknowledged to the file ``told``."""
    with Registry.open(url, Path(root)) as registry, Path(told).open("a") as acknowledged:
        base = registry.bases.ensure(NewBase("vit", "a" * 64, "vit_small", 384, 12))
        for number in count():
            acknowledged.write(publish(registry, base.id, None, f"{name} {number}") + "\n")
            acknowledged.flush()
