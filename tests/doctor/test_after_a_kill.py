"""A process killed at any step of a publication or a sweep leaves nothing that isn't mended."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.support.forks import Host
from loravit_web.doctor import examine
from loravit_web.settings.environment import Settings
from registry import Registry
from tests.doctor.conftest import make_older
from tests.doctor.killed_process import COMMITTED, NEW, ON_A_SERVER, PUBLISHING, SWEEPING, publish

OLD: dict[str, bytes | Path] = {"adapter_model.safetensors": b"old weights", "task.json": b"old"}


Kill = Callable[[str, Settings], None]


@pytest.fixture(scope="module")
def kill_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kill]:
    """Starts a process that dies at a step."""
    log = tmp_path_factory.mktemp("host") / "log"
    with Host("tests.doctor.killed_process", log) as host:

        def kill(step: str, settings: Settings) -> None:
            job = host.start(
                "die_at", step=step, url=str(settings.database_url), root=str(settings.artifacts)
            )
            assert job.wait() == -signal.SIGKILL, log.read_text()

        yield kill


def files_in_the_store(settings: Settings) -> list[Path]:
    return [path for path in Path(settings.artifacts).rglob("*") if path.is_file()]


def an_hour_passes(settings: Settings) -> None:
    for path in files_in_the_store(settings):
        make_older(path)


def contents(registry: Registry) -> list[dict[str, bytes]]:
    """Of every listed version, each verified, oldest first."""
    return [registry.catalog.read_files(version) for version in reversed(registry.catalog.versions("pets"))]


@pytest.mark.parametrize("step", [*PUBLISHING, *ON_A_SERVER])
def test_a_publication_killed_before_its_commit_leaves_the_catalog_as_it_was(
    step: str, kill_at: Kill, settings: Settings, registry: Registry
) -> None:
    publish(registry, OLD)
    kill_at(step, settings)
    assert contents(registry) == [OLD]
    assert examine(settings).healthy, "what may be in progress is nobody's business yet"

    an_hour_passes(settings)
    assert not examine(settings).healthy
    assert examine(settings, mend=True).healthy
    assert len(files_in_the_store(settings)) == len(OLD)

    assert publish(registry, NEW) == "pets@2"
    assert contents(registry) == [OLD, NEW]
    assert examine(settings).healthy


@pytest.mark.parametrize("step", [*PUBLISHING, *ON_A_SERVER, *COMMITTED])
def test_a_killed_publication_just_works_when_it_is_done_again(
    step: str, kill_at: Kill, settings: Settings, registry: Registry
) -> None:
    publish(registry, OLD)
    kill_at(step, settings)
    assert publish(registry, NEW) == "pets@2"
    assert contents(registry) == [OLD, NEW]
    an_hour_passes(settings)
    assert examine(settings, mend=True).healthy
    assert contents(registry) == [OLD, NEW]
    assert len(files_in_the_store(settings)) == len(OLD) + len(NEW)


@pytest.mark.parametrize("step", COMMITTED)
def test_a_publication_killed_after_its_commit_is_whole(
    step: str, kill_at: Kill, settings: Settings, registry: Registry
) -> None:
    publish(registry, OLD)
    kill_at(step, settings)
    assert contents(registry) == [OLD, NEW]
    an_hour_passes(settings)
    assert examine(settings).healthy


@pytest.mark.parametrize("step", SWEEPING)
def test_a_killed_sweep_is_finished_by_the_next(
    step: str, kill_at: Kill, settings: Settings, registry: Registry
) -> None:
    publish(registry, OLD)
    registry.blobs.put_bytes(b"orphan")
    an_hour_passes(settings)
    kill_at(step, settings)
    assert contents(registry) == [OLD]
    assert examine(settings, mend=True).healthy
    assert len(files_in_the_store(settings)) == len(OLD)
