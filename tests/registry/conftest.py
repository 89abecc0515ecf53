"""A registry on either database, and factories of the smallest valid records for it.

Every test that uses `url` or `registry` runs on SQLite and on PostgreSQL, unless it is marked `only_sqlite`
or `only_postgres`, because it is about that database.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from benchmarks.support.forks import Host
from registry import Base, Dataset, DatasetClass, NewBase, NewDataset, NewRun, NewVersion, Registry
from registry.database.db import Database
from registry.database.migrate import head
from registry.database.models import Table
from tests.registry.postgres_server import NoServer, running_server
from tests.registry.processes import Processes

only_sqlite = pytest.mark.parametrize("dialect", ["sqlite"])
only_postgres = pytest.mark.parametrize("dialect", ["postgresql"])


class FakeClock:
    """Advances one second with each call, so that no two times are equal unless a test sets them so."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=timezone.utc)
        self.step = timedelta(seconds=1)

    def __call__(self) -> datetime:
        self.now += self.step
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class PostgresServer:
    """Provides databases: new ones, or a migrated one that is emptied for each test."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._migrated: str | None = None

    def create(self, template: str = "template1") -> str:
        name = f"test_{uuid.uuid4().hex}"
        self._execute("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"{self._address}/{name}"

    def drop(self, url: str) -> None:
        self._execute("postgres", f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def migrated(self, folder: Path) -> str:
        if self._migrated is None:
            self._migrated = self.create()
            Registry.open(self._migrated, folder).close()
        # triggers and foreign keys do not apply to this role, and a single message takes a few milliseconds
        words = [
            f"SET session_replication_role = replica; UPDATE alembic_version SET version_num = '{head()}'"
        ]
        words += [f"DELETE FROM {name}" for name in Table.metadata.tables]
        words += [
            f"SELECT setval('{table.name}_id_seq', 1, false)"
            for table in Table.metadata.sorted_tables
            if table.autoincrement_column is not None
        ]
        self._execute(self._migrated.rpartition("/")[2], ";".join(words))
        return self._migrated

    def _execute(self, database: str, statement: str) -> None:
        import psycopg

        address = self._address.replace("+psycopg", "")
        with psycopg.connect(f"{address}/{database}", autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for the session. Without one, the test is skipped, except in CI."""
    try:
        import psycopg  # noqa: F401

        with running_server() as address:
            yield PostgresServer(address)
    except (ImportError, NoServer) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"not on PostgreSQL: {error}")


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    """The database that the test runs on."""
    return str(request.param)


@pytest.fixture
def url(
    dialect: str, tmp_path: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a database for this test: a new one, or an empty, migrated one for `registry`."""
    if dialect == "sqlite":
        if "registry" in request.fixturenames:
            (tmp_path / "data").mkdir()
            shutil.copy(request.getfixturevalue("migrated"), tmp_path / "data")
        yield f"sqlite:///{tmp_path / 'data' / 'registry.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    if "registry" in request.fixturenames:
        yield server.migrated(tmp_path_factory.mktemp("migrated"))
        return
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture
def registry(url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Registry]:
    with Registry.open(url, tmp_path / "artifacts", clock=clock) as opened:
        yield opened


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Starts separate processes on a registry."""
    log = tmp_path_factory.mktemp("processes") / "log"
    log.touch()
    with Host("tests.registry.worker_process", log) as host:
        yield Processes(host, log)


@pytest.fixture
def database(registry: Registry) -> Database:
    """The database of the registry, for direct access."""
    return registry._database


@pytest.fixture
def base(registry: Registry) -> Base:
    return registry.bases.ensure(NewBase("vit_small", "a" * 64, "vit_small_patch14_dinov2", 384, 12))


@pytest.fixture
def dataset(registry: Registry) -> Dataset:
    classes = (DatasetClass("cat", 6, 2, 1), DatasetClass("dog", 5, 2, 0))
    return registry.datasets.ensure(NewDataset("f" * 64, "pets", "zip", classes))


@pytest.fixture
def new_run(base: Base, dataset: Dataset) -> Callable[..., NewRun]:
    def make(**changes: Any) -> NewRun:
        fields: dict[str, Any] = {
            "slug": "pets",
            "title": "Pets",
            "base_id": base.id,
            "dataset_id": dataset.id,
            "seed": 1,
            "config": {"epochs": 5, "adapter": {"r": 8, "targets": ["q", "v"]}},
            "environment": {"python": "3.11"},
        }
        return NewRun(**{**fields, **changes})

    return make


@pytest.fixture
def new_version(base: Base, dataset: Dataset) -> Callable[..., NewVersion]:
    def make(weights: bytes = b"weights", **changes: Any) -> NewVersion:
        fields: dict[str, Any] = {
            "slug": "pets",
            "title": "Pets",
            "description": "Cats and dogs.",
            "run_id": None,
            "base_id": base.id,
            "dataset_id": dataset.id,
            "adapter_type": "LORA",
            "n_params": 1000,
            "image_size": 112,
            "class_names": ("cat", "dog"),
            "config": {"r": 8},
            "files": {"adapter_model.safetensors": weights, "task.json": b"{}"},
        }
        return NewVersion(**{**fields, **changes})

    return make
