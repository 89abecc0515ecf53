"""Runs that are stopped, resumed and retried without an app."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from loravit_web.access.rights import SHELL, NotAllowed, guest, member
from loravit_web.actions import Actions
from loravit_web.runs.actions import RunActions
from loravit_web.runs.admission import QueueFull
from loravit_web.runs.deletion import deletion_of
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.settings.limits import Limits
from loravit_web.settings.quota import QuotaReached
from registry import Run, RunHasVersions, StillTraining, UnknownRun
from tests.conftest import RECIPE


@pytest.fixture
def cancelled(service: Service, colours: Run) -> Run:
    dataset = service.datasets.load(colours.dataset.fingerprint)
    actions = Actions(service, member("ann", "editor"))
    return actions.stop(actions.queue_training(dataset, "Colours", RECIPE).id, keep=False)


def limited(settings: Settings, **limits: float) -> Settings:
    return replace(settings, limits=replace(Limits(), **limits))


def test_the_shell_stops_resumes_and_retries_everybodys_runs(
    service: Service, settings: Settings, cancelled: Run
) -> None:
    actions = RunActions(service.registry, SHELL, settings)
    assert actions.resume(cancelled.id[:8]).status == "queued"
    assert actions.stop(cancelled.id, keep=True).status == "cancelled"
    again = actions.retry(cancelled.id, batch_size=2)
    assert (again.status, again.created_by, again.config["batch_size"]) == ("queued", "shell", 2)


@pytest.mark.parametrize(
    ("limits", "error"), [({"queued_runs": 1}, QueueFull), ({"disk_gib": 1e-9}, QuotaReached)]
)
def test_limits_hold_wherever_a_run_is_queued(
    service: Service, settings: Settings, cancelled: Run, limits: dict[str, float], error: type[Exception]
) -> None:
    RunActions(service.registry, SHELL, settings).retry(cancelled.id)
    actions = RunActions(service.registry, SHELL, limited(settings, **limits))
    for queue_again in (actions.resume, actions.retry):
        with pytest.raises(error):
            queue_again(cancelled.id)
    assert service.registry.runs.count("queued") == 1


def test_an_ended_run_is_deleted_with_checkpoint_and_log(
    service: Service, settings: Settings, cancelled: Run, colours: Run
) -> None:
    log, work = settings.run_logs / f"{cancelled.id}.log", settings.work / cancelled.id
    for folder in (settings.run_logs, work):
        folder.mkdir(parents=True, exist_ok=True)
    log.write_text("what happened")
    ann = RunActions(service.registry, member("ann", "editor"), settings)
    again = ann.retry(cancelled.id, batch_size=2)
    plan = deletion_of(service.registry, cancelled.id)
    assert plan.consequences == (
        "The run of “Colours” by ann is deleted with its curves, files and log.",
        "It can no longer be resumed.",
        f"Run {again.id[:8]} is a retry of it, and is kept.",
        "Its training images are kept.",
        "This cannot be undone.",
    )
    for visitor, reason in (
        (member("bob", "editor"), "belongs to ann"),
        (guest("guest-1", training=True), "demo"),
    ):
        with pytest.raises(NotAllowed, match=reason):
            RunActions(service.registry, visitor, settings).delete_run(cancelled.id)
    assert ann.delete_run(cancelled.id[:8]).id == cancelled.id
    assert not log.exists()
    assert not work.exists()
    with pytest.raises(UnknownRun):
        service.registry.runs.get(cancelled.id)
    with pytest.raises(StillTraining):
        ann.delete_run(again.id)
    with pytest.raises(RunHasVersions, match="it made colours@1. Delete colours@1 first"):
        deletion_of(service.registry, colours.id)


def test_the_run_of_somebody_else_is_theirs(service: Service, settings: Settings, cancelled: Run) -> None:
    bob = RunActions(service.registry, member("bob", "editor"), settings)
    with pytest.raises(NotAllowed, match="The run of Colours belongs to ann"):
        bob.resume(cancelled.id)


def test_changing_catalog_runs_and_users_loads_no_torch() -> None:
    modules = [f"loravit_web.{part}.actions" for part in ("access", "catalog", "runs")]
    code = f"import sys, {', '.join(modules)}; assert not {{'torch', 'PIL', 'numpy'}} & {{*sys.modules}}"
    subprocess.run([sys.executable, "-c", code], check=True)
