"""Runs whose process is gone, and folders whose run needs them no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from loravit_web.doctor.report import Check, Finding, Patient
from loravit_web.worker.reaper import reap_once
from loravit_web.worker.tracking import STALE_AFTER
from registry import UnknownRun


def find_stuck(patient: Patient) -> Iterator[Finding]:
    """Runs that say they run and have no heartbeat."""
    running = patient.registry.runs.list(status=["running"])
    stuck = [
        run for run in running if run.heartbeat_at is None or patient.now - run.heartbeat_at > STALE_AFTER
    ]
    for run in stuck:
        text = (
            "says it runs but sends no heartbeats: doctor --mend, the app or a worker marks it as interrupted"
        )
        yield Finding("problem", f"run {run.id[:8]}", text)
    queued = patient.registry.runs.count("queued")
    yield Finding("ok", "runs", f"{len(running) - len(stuck)} running, {queued} queued")


def mend_stuck(patient: Patient) -> Iterator[str]:
    """Mark them as interrupted, so that they can be resumed."""
    for run in reap_once(patient.registry):
        yield f"marked run {run.id} of {run.slug} as interrupted: resume it with runs resume {run.id[:8]}"


def find_work(patient: Patient) -> Iterator[Finding]:
    """Folders of completed runs; those of any other may still be resumed from."""
    over, foreign = _work_folders(patient)
    if over:
        text = f"{len(over)} folders of completed runs in {patient.settings.work}"
        yield Finding("problem", "work folders", f"{text}: remove them with doctor --mend")
    if foreign:
        text = (
            f"{len(foreign)} folders in {patient.settings.work} belong to no run of this registry: remove "
            "them by hand unless they are another registry's"
        )
        yield Finding("note", "work folders", text)


def mend_work(patient: Patient) -> Iterator[str]:
    """Remove the files in them, and then the folders."""
    over, _ = _work_folders(patient)
    for folder in over:
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        folder.rmdir()
        yield f"removed the work folder of the completed run {folder.name}"


def _work_folders(patient: Patient) -> tuple[list[Path], list[Path]]:
    """Folders of completed runs, and those of no run."""
    over, foreign = [], []
    for folder in sorted(patient.settings.work.glob("*")):
        if re.fullmatch("[0-9a-f]{32}", folder.name) is None or not folder.is_dir() or folder.is_symlink():
            continue
        try:
            if patient.registry.runs.get(folder.name).status == "completed":
                over.append(folder)
        except UnknownRun:
            foreign.append(folder)
    return over, foreign


RUNS = Check("runs", find_stuck, mend_stuck)
WORK = Check("work folders", find_work, mend_work)
