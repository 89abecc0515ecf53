"""What is installed, where data lies, what is wrong, and how to mend it."""

from __future__ import annotations

import platform
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from loravit_web.backbones.embedded import WEIGHTS_SHA256, EmbeddedBaseError, read_embedded
from loravit_web.settings import Settings, SettingsError
from loravit_web.training.tracking import STALE_AFTER
from registry import Registry, RegistryError, utc_now

PACKAGES = ("torch", "torchvision", "timm", "gradio", "sqlalchemy", "alembic", "safetensors", "pandas")
NEEDED_BYTES = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    state: Literal["ok", "note", "problem"]
    subject: str
    text: str


@dataclass(frozen=True)
class Report:
    """All findings."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing has to be mended."""
        return all(finding.state != "problem" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The report as a document."""
        return {"healthy": self.healthy, "findings": [asdict(finding) for finding in self.findings]}

    def as_text(self) -> str:
        """The report as lines."""
        return "\n".join(f"[{f.state:7}] {f.subject}: {f.text}" for f in self.findings)


def examine(settings: Settings) -> Report:
    """Look at everything; makes the data folder where there is none and brings the database up to date."""
    findings = [*_programs(), *_disk(settings), _base(settings)]
    try:
        with Registry.open(settings.made().database_url, settings.artifacts) as registry:
            findings += [*_catalog(registry), *_runs(registry)]
    except (SettingsError, RegistryError) as error:
        findings.append(Finding("problem", "registry", str(error)))
    return Report(tuple(findings))


def _programs() -> Iterator[Finding]:
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.platform()}")
    yield Finding("ok", "sqlite", sqlite3.sqlite_version)
    for name in PACKAGES:
        try:
            yield Finding("ok", name, version(name))
        except PackageNotFoundError:
            yield Finding("problem", name, "not installed: run pip install -r requirements.txt")


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    text = f"{settings.home}, {free / 1e9:.1f} GB free"
    if free < NEEDED_BYTES:
        yield Finding("problem", "data folder", f"{text}: free some space, training needs about 1 GB")
    else:
        yield Finding("ok", "data folder", text)


def _base(settings: Settings) -> Finding:
    if settings.base != "embedded":
        return Finding("note", "base", f"{settings.base}, kept in the model hub's own cache")
    try:
        found = read_embedded(settings.bases)
    except EmbeddedBaseError as error:
        return Finding("problem", "base", str(error))
    if found is None:
        return Finding("note", "base", "embedded, fetched at the first start (90 MB)")
    return Finding("ok", "base", f"embedded, weights {WEIGHTS_SHA256[:12]} verified")


def _catalog(registry: Registry) -> Iterator[Finding]:
    adapters = registry.catalog.adapters(include_archived=True)
    versions = [one for adapter in adapters for one in registry.catalog.versions(adapter.slug)]
    damaged = 0
    for one in versions:
        try:
            registry.catalog.read_files(one)
        except RegistryError as error:
            damaged += 1
            yield Finding("problem", one.ref, f"{error} Or import its bundle again, where there is one.")
    if not damaged:
        yield Finding(
            "ok", "catalog", f"{len(adapters)} adapters, {len(versions)} versions, all files verified"
        )


def _runs(registry: Registry) -> Iterator[Finding]:
    running = registry.runs.list(status=["running"])
    stuck = [r for r in running if r.heartbeat_at is None or utc_now() - r.heartbeat_at > STALE_AFTER]
    for run in stuck:
        text = (
            "says it runs but its process is gone: start the app or a worker, which marks it as interrupted"
        )
        yield Finding("problem", f"run {run.id[:8]}", text)
    queued = registry.runs.count("queued")
    yield Finding("ok", "runs", f"{len(running) - len(stuck)} running, {queued} queued")
