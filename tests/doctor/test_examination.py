"""What the doctor does with its checks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from loravit_web.doctor import Check, Context, Finding, examine
from loravit_web.settings.environment import Settings
from registry import BlobStoreUnreachable, Registry, Run, utc_now
from tests.doctor.conftest import Publish, about, everything_in, make_older, mended, problems


def test_a_data_folder_without_a_catalog_is_left_as_it_is(settings: Settings) -> None:
    report = examine(settings, mend=True)
    assert report.healthy
    assert [finding.state for finding in about(report, "registry")] == ["note"]
    assert not settings.home.exists()


def test_a_healthy_catalog_is_healthy(settings: Settings, publish: Publish) -> None:
    publish()
    report = examine(settings)
    assert report.healthy
    (found,) = about(report, "artifacts")
    assert "1 adapter, 2 files" in found.text
    assert report.as_json()["healthy"] is True
    assert "[ok     ] artifacts: 1 adapter," in report.as_text()


def test_without_being_asked_nothing_is_changed(
    settings: Settings, registry: Registry, publish: Publish, run: Run
) -> None:
    registry.runs.finish(run.lease, "completed")
    version = publish()
    orphan = Path(registry.blobs.where(registry.blobs.put_bytes(b"orphan").sha256))
    make_older(orphan)
    Path(registry.blobs.where(version.weights_sha256)).write_bytes(b"?")
    (settings.work / run.id).mkdir(parents=True)
    before = everything_in(settings.home)
    report = examine(settings)
    assert set(problems(report)) == {"pets@1", "leftover files", "work folders"}
    assert everything_in(settings.home) == before


def test_after_mending_only_what_is_still_so_is_a_problem(settings: Settings, registry: Registry) -> None:
    wounds = ["deep", "shallow"]

    def find(_context: Context) -> Iterator[Finding]:
        yield from (Finding("problem", wound, "it hurts") for wound in wounds)

    def mend(_context: Context) -> Iterator[str]:
        wounds.remove("shallow")
        yield "bandaged the shallow one"

    report = examine(settings, mend=True, checks=[Check("wounds", find, mend)])
    assert mended(report) == ["bandaged the shallow one"]
    assert problems(report) == ["deep"]
    assert not report.healthy


def test_what_is_healthy_is_not_mended(settings: Settings, registry: Registry) -> None:
    def mend(_context: Context) -> Iterator[str]:
        raise AssertionError
        yield

    report = examine(
        settings, mend=True, checks=[Check("wounds", lambda _: [Finding("ok", "wounds", "none")], mend)]
    )
    assert report.healthy


def test_a_check_that_can_not_be_carried_out_is_told_and_the_others_go_on(
    settings: Settings, registry: Registry
) -> None:
    def find(_context: Context) -> Iterator[Finding]:
        raise BlobStoreUnreachable("s3://team", "no route to host")

    after = Check("after", lambda _: [Finding("ok", "after", "fine")])
    report = examine(settings, checks=[Check("artifacts", find), after])
    assert problems(report) == ["artifacts"]
    assert [finding.state for finding in about(report, "after")] == ["ok"]


def test_a_registry_that_can_not_be_opened_is_a_problem(settings: Settings) -> None:
    settings.ensure_home()
    (settings.home / "registry.db").write_bytes(b"this is no database" * 1000)
    report = examine(settings)
    assert problems(report) == ["registry"]


def test_the_doctors_clock_is_the_one_it_is_given(settings: Settings, registry: Registry, run: Run) -> None:
    assert problems(examine(settings)) == []
    later = examine(settings, clock=lambda: utc_now() + timedelta(hours=1))
    assert problems(later) == [f"run {run.id[:8]}"]
