"""A data folder with one published adapter, and a doctor who has a clock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from loravit_web.doctor import Finding, Report
from loravit_web.settings.environment import Settings
from registry import DatasetClass, NewBase, NewDataset, NewRun, NewVersion, Registry, Run, Version, utc_now

LATER = timedelta(hours=2)


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return replace(settings, uploads=tmp_path / "gradio")


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    with Registry.open(settings.ensure_home().database_url, settings.artifacts) as opened:
        yield opened


Publish = Callable[..., Version]


@pytest.fixture
def publish(registry: Registry) -> Publish:
    def make(slug: str = "pets", weights: bytes = b"weights", run: Run | None = None) -> Version:
        base = registry.bases.ensure(NewBase("vit", "a" * 64, "vit", 384, 12))
        files: dict[str, bytes | Path] = {"adapter_model.safetensors": weights, "task.json": slug.encode()}
        new = NewVersion(
            slug, slug, "", run and run.id, base.id, None, "LORA", 1, 112, ("cat", "dog"), {}, files
        )
        return registry.catalog.publish(new, actor="ada")

    return make


@pytest.fixture
def run(registry: Registry) -> Run:
    """One that says it is running."""
    base = registry.bases.ensure(NewBase("vit", "a" * 64, "vit", 384, 12))
    classes = (DatasetClass("cat", 1, 1, 0), DatasetClass("dog", 1, 1, 0))
    dataset = registry.datasets.ensure(NewDataset("f" * 64, "pets", "zip", classes))
    return registry.runs.create(NewRun("pets", "Pets", base.id, dataset.id, 1, {}, {}), worker="here:1")


def problems(report: Report) -> list[str]:
    return [finding.subject for finding in report.findings if finding.state == "problem"]


def about(report: Report, subject: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.subject == subject]


def mended(report: Report) -> list[str]:
    return [finding.text for finding in report.findings if finding.state == "mended"]


def make_older(path: Path, age: timedelta = LATER) -> None:
    then = (utc_now() - age).timestamp()
    os.utime(path, (then, then))


def everything_in(folder: Path) -> dict[str, tuple[bytes, int]]:
    """All files but those that SQLite makes while it is looked at, with their times."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith((".db-wal", ".db-shm", ".lock"))
    }
