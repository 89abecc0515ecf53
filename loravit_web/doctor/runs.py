"""Checks of runs without a process, and of folders that no run needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from loravit_web.doctor.report import Check, Context, Finding, counted
from loravit_web.worker.reaper import reap_once
from loravit_web.worker.tracking import STALE_AFTER
from registry import UnknownRun


def find_stuck(context: Context) -> Iterator[Finding]:
    """Find runs that are marked as running but send no heartbeat."""
    running = context.registry.runs.list(status=["running"])
    stuck = [
        run for run in running if run.heartbeat_at is None or context.now - run.heartbeat_at > STALE_AFTER
    ]
    for run in stuck:
        text = (
            "marked as running, but it sends no heartbeat. Run doctor --mend, the app or a worker to mark it "
            "as interrupted."
        )
        yield Finding("problem", f"run {run.id[:8]}", text)
    queued = context.registry.runs.count("queued")
    yield Finding("ok", "runs", f"{len(running) - len(stuck)} running, {queued} queued")


def mend_stuck(context: Context) -> Iterator[str]:
    """Mark runs without a heartbeat as interrupted, so that they can be resumed, or queue them again."""
    for run in reap_once(context.registry, take_ups=context.settings.take_ups):
        if run.status == "interrupted":
            resume = f"Resume it with runs resume {run.id[:8]}."
            yield f"marked run {run.id} of {run.slug} as interrupted. {resume}"
        else:
            yield f"took run {run.id} of {run.slug} from its worker. It is {run.status} now."


def find_work(context: Context) -> Iterator[Finding]:
    """Find folders of completed runs. Other runs may still be resumed from theirs."""
    completed, foreign = _work_folders(context)
    if completed:
        text = f"{counted(len(completed), 'folder')} of completed runs in {context.settings.work}"
        yield Finding("problem", "work folders", f"{text}. Remove them with doctor --mend.")
    if foreign:
        text = (
            f"{counted(len(foreign), 'folder')} in {context.settings.work} without a run in this registry. "
            "Remove them by hand, unless another registry uses them."
        )
        yield Finding("note", "work folders", text)


def mend_work(context: Context) -> Iterator[str]:
    """Remove the folders of completed runs."""
    completed, _ = _work_folders(context)
    for folder in completed:
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        folder.rmdir()
        yield f"removed the work folder of the completed run {folder.name}"


def _work_folders(context: Context) -> tuple[list[Path], list[Path]]:
    """Return the folders of completed runs, and those without a run."""
    completed, foreign = [], []
    for folder in sorted(context.settings.work.glob("*")):
        if re.fullmatch("[0-9a-f]{32}", folder.name) is None or not folder.is_dir() or folder.is_symlink():
            continue
        try:
            if context.registry.runs.get(folder.name).status == "completed":
                completed.append(folder)
        except UnknownRun:
            foreign.append(folder)
    return completed, foreign


RUNS = Check("runs", find_stuck, mend_stuck)
WORK = Check("work folders", find_work, mend_work)
