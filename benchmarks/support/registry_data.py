"""A large registry, filled by bulk inserts through its models; it says of itself what publishing would."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import DeclarativeBase

from registry import DatasetClass, NewBase, NewDataset, Registry
from registry.database.models import (
    AdapterRow,
    AdapterSummaryRow,
    AdapterTagRow,
    AliasRow,
    AuditEventRow,
    BlobRow,
    EvaluationRow,
    RunMetricRow,
    RunRow,
    RunSummaryRow,
    VersionFileRow,
    VersionRow,
)

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
CURVES = ("train_loss", "val_loss", "val_accuracy", "lr", "grad_norm")
LONG_RUN_SHARE = 0.1
N_BASES, N_DATASETS, N_OWNERS, N_CLASSES = 3, 200, 25, 20
FILES = ("adapter_config.json", "adapter_model.safetensors", "task.json")
BATCH = 20_000

Row = dict[str, Any]


@dataclass(frozen=True)
class Scale:
    """How much there is; one run has a tenth of all points."""

    adapters: int
    runs: int
    points: int


def words(generator: random.Random, n: int) -> list[str]:
    """Made-up words, as people would put into titles, tags and names of classes."""
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "ä")]
    return ["".join(generator.choices(syllables, k=generator.randint(2, 4))) for _ in range(n)]


class Filler:
    """Fills one empty registry; the same scale gives the same rows."""

    def __init__(self, registry: Registry, scale: Scale) -> None:
        self._registry, self.scale = registry, scale
        self._random = random.Random(0)
        self._words = words(self._random, 3000)
        self._tags = sorted(set(words(self._random, 40)))
        self._owners = sorted(set(words(self._random, N_OWNERS)))
        self._bases = [
            registry.bases.ensure(NewBase(f"vit_{i}", _digest("base", i), f"vit_{i}_patch14", 384, 12)).id
            for i in range(N_BASES)
        ]
        classes = (DatasetClass("one", 8, 2, 0), DatasetClass("two", 8, 2, 0))
        self._datasets = [
            registry.datasets.ensure(
                NewDataset(_digest("data", i), f"{self._words[i]}.zip", "zip", classes)
            ).id
            for i in range(N_DATASETS)
        ]

    def fill(self) -> str:
        """Store everything; returns the id of the run with the most points."""
        runs = [_digest("run", number)[:32] for number in range(self.scale.runs)]
        self._insert(RunRow, (self._run(number, run_id) for number, run_id in enumerate(runs)))
        self._insert(RunMetricRow, self._points(runs))
        self._insert(RunSummaryRow, (self._summary_of_run(run_id) for run_id in runs))
        self._catalog(runs)
        return runs[0]

    def _insert(self, model: type[DeclarativeBase], rows: Iterable[Row]) -> None:
        waiting = iter(rows)
        while batch := list(islice(waiting, BATCH)):
            with self._registry._database.writing() as session:
                session.execute(insert(model), batch)

    def _run(self, number: int, run_id: str) -> Row:
        moment = START + timedelta(minutes=number)
        return {
            "id": run_id,
            "slug": f"adapter-{number % self.scale.adapters}",
            "title": self._title(),
            "status": ("completed", "completed", "completed", "failed", "cancelled")[number % 5],
            "base_id": self._random.choice(self._bases),
            "dataset_id": self._random.choice(self._datasets),
            "seed": number,
            "config": {"preset": "quick", "epochs": 6, "adapter": {"r": 8, "alpha": 16.0, "blocks": 4}},
            "environment": {"python": "3.11", "torch": "2.9"},
            "created_at": moment,
            "started_at": moment,
            "ended_at": moment + timedelta(minutes=1),
            "progress": 1.0,
            "resumed": 0,
        }

    def _points(self, runs: list[str]) -> Iterator[Row]:
        long = int(self.scale.points * LONG_RUN_SHARE)
        others = (self.scale.points - long) / max(1, len(runs) - 1)
        for number, run_id in enumerate(runs):
            steps = round((long if number == 0 else others) / len(CURVES))
            for key in CURVES:
                for step in range(steps):
                    value = math.exp(-step / steps) + self._random.random() / 10
                    yield {
                        "run_id": run_id,
                        "key": key,
                        "step": step,
                        "value": value,
                        "nonfinite": None,
                        "ts": START,
                    }

    def _summary_of_run(self, run_id: str) -> Row:
        best = self._random.random()
        extremes = {"minimum": best / 2, "min_step": 0, "maximum": best, "max_step": 1}
        return {"run_id": run_id, "key": "val_accuracy", "last": best, "last_step": 1, **extremes}

    def _catalog(self, runs: list[str]) -> None:
        adapters = [self._adapter(number) for number in range(self.scale.adapters)]
        self._insert_named(AdapterRow, adapters, "slug")
        of_adapter = {
            one["id"]: list(self._versions(number, one, runs)) for number, one in enumerate(adapters)
        }
        versions = [version for own in of_adapter.values() for version in own]
        tags = self._insert_tags(adapters)
        self._insert_blobs(versions)
        self._insert_named(VersionRow, versions, "manifest_sha256")
        self._insert(VersionFileRow, (row for version in versions for row in _files(version)))
        evaluations = [row for version in versions for row in self._evaluations(version)]
        self._insert(EvaluationRow, evaluations)
        accuracies = {row["version_id"]: row["accuracy"] for row in evaluations if row["split"] == "test"}
        summaries = (_summary(one, tags[one["id"]], of_adapter[one["id"]], accuracies) for one in adapters)
        self._insert(AdapterSummaryRow, summaries)
        self._insert(AliasRow, (_alias(of_adapter[one["id"]][0]) for one in adapters[::5]))
        slugs = {one["id"]: one["slug"] for one in adapters}
        self._insert(AuditEventRow, (_event(slugs[one["adapter_id"]], one) for one in versions))

    def _insert_named(self, model: Any, rows: list[Row], name: str) -> None:
        """Insert rows and give each the id that the database chose, found by a column of unique names."""
        self._insert(model, rows)
        with self._registry._database.reading() as session:
            ids: dict[str, Any] = dict(session.execute(select(getattr(model, name), model.id)).all())
        for row in rows:
            row["id"] = ids[row[name]]

    def _insert_tags(self, adapters: list[Row]) -> dict[int, list[str]]:
        """The tags of each adapter, in order."""
        found = {one["id"]: sorted(self._random.sample(self._tags, k=3)) for one in adapters}
        rows = ({"adapter_id": one, "tag": tag} for one, tags in found.items() for tag in tags)
        self._insert(AdapterTagRow, rows)
        return found

    def _insert_blobs(self, versions: list[Row]) -> None:
        digests = [one["weights_sha256"] for one in versions] + [_digest("file", path) for path in FILES]
        common = {"size": 400_000, "media_type": "application/json", "created_at": START}
        self._insert(BlobRow, ({"sha256": one, **common} for one in digests))

    def _adapter(self, number: int) -> Row:
        created = START + timedelta(minutes=number)
        return {
            "slug": f"adapter-{number}",
            "title": self._title(),
            "description": " ".join(self._random.choices(self._words, k=20)),
            "next_version": 3 + number % 2,
            "archived_at": created if number % 33 == 1 else None,
            "created_at": created,
            "owner": self._random.choice(self._owners),
        }

    def _title(self) -> str:
        return " ".join(self._random.choices(self._words, k=3)).capitalize()

    def _versions(self, number: int, adapter: Row, runs: list[str]) -> Iterator[Row]:
        classes = sorted(set(self._random.choices(self._words, k=N_CLASSES)))
        withdrawn = number % 50 == 49
        for version in range(1, adapter["next_version"]):
            name = f"{adapter['slug']}@{version}"
            yield {
                "adapter_id": adapter["id"],
                "version": version,
                "run_id": self._random.choice(runs) if runs else None,
                "base_id": self._random.choice(self._bases),
                "dataset_id": self._random.choice(self._datasets),
                "manifest_sha256": _digest("manifest", name),
                "weights_sha256": _digest("weights", name),
                "adapter_type": self._random.choice(["LORA", "LORA", "PREFIX", "LINEAR"]),
                "n_params": 300_000,
                "size_bytes": 1_200_000,
                "image_size": 112,
                "class_names": classes,
                "config": {"r": 8, "alpha": 16.0, "blocks": 4},
                "created_at": adapter["created_at"] + timedelta(days=version),
                "withdrawn_at": adapter["created_at"] if withdrawn else None,
                "withdrawn_reason": "mislabelled" if withdrawn else None,
            }

    def _evaluations(self, version: Row) -> Iterator[Row]:
        for split in ("validation", "test"):
            yield {
                "version_id": version["id"],
                "split": split,
                "n": 1000,
                "accuracy": self._random.random(),
                "loss": self._random.random(),
                "macro_f1": self._random.random(),
                "linear_probe_accuracy": self._random.random(),
                "created_at": version["created_at"],
            }


def _digest(kind: str, number: object) -> str:
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()


def _files(version: Row) -> Iterator[Row]:
    for path in FILES:
        digest = version["weights_sha256"] if path == FILES[1] else _digest("file", path)
        yield {"version_id": version["id"], "path": path, "sha256": digest}


def _alias(version: Row) -> Row:
    names = {"adapter_id": version["adapter_id"], "alias": "production", "version_id": version["id"]}
    return {**names, "moved_at": START, "moved_by": "ann", "protected": 0}


def _event(slug: str, version: Row) -> Row:
    return {
        "event_uid": _digest("event", version["id"])[:32],
        "ts": version["created_at"],
        "actor": "ann",
        "kind": "published",
        "entity": "version",
        "entity_id": f"{slug}@{version['version']}",
        "payload": {"title": slug},
    }


def _summary(adapter: Row, tags: list[str], versions: list[Row], accuracies: Mapping[int, float]) -> Row:
    newest = next((one for one in reversed(versions) if one["withdrawn_at"] is None), None)
    classes = newest["class_names"] if newest is not None else []
    texts = [adapter["slug"], adapter["title"], adapter["description"], *tags, *classes]
    return {
        "adapter_id": adapter["id"],
        "document": "\n".join(texts).casefold(),
        "versions": len(versions),
        "newest_id": newest and newest["id"],
        "base_id": newest and newest["base_id"],
        "adapter_type": newest and newest["adapter_type"],
        "accuracy": newest and accuracies[newest["id"]],
        "published_at": newest and newest["created_at"],
    }
