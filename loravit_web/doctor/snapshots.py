"""Check of the snapshots of the registry."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta

from loravit_web.doctor.machine import NEEDED_BYTES
from loravit_web.doctor.report import Check, Context, Finding
from registry import newest_snapshot, open_snapshot_store

SUBJECT = "snapshots"
LATE = timedelta(minutes=5)
"""Age from which an unsaved change is a problem. A running app saves changes within seconds."""


def find(context: Context) -> Iterator[Finding]:
    """Check the snapshot storage, and whether the newest snapshot is up to date."""
    settings = context.settings
    if settings.restart_loses:
        text = "a restart empties this disk. Mount a storage bucket at /data, or set LORAVIT_SNAPSHOT_URL."
        yield Finding("note", SUBJECT, text)
    if settings.snapshot_url is None:
        return
    folder = settings.snapshot_folder
    if folder is not None and not folder.is_dir():
        yield Finding(
            "problem", SUBJECT, f"none yet, and {folder} is not a folder. Check that the disk is mounted."
        )
        return
    if folder is not None and not os.access(folder, os.W_OK):
        yield Finding("problem", SUBJECT, f"{folder} cannot be written. Give this user permission to write.")
    elif folder is not None and (free := shutil.disk_usage(folder).free) < NEEDED_BYTES:
        yield Finding("problem", SUBJECT, f"{free / 1e9:.1f} GB free in {folder}. Free some space.")
    yield _newest(context, settings.snapshot_url)


def _newest(context: Context, address: str) -> Finding:
    store = open_snapshot_store(address)
    newest = newest_snapshot(store)
    if newest is None:
        return Finding("note", SUBJECT, f"none yet in {store.root}. The app saves them while it runs.")
    text = f"last saved {newest.manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC in {store.root}"
    events = context.registry.catalog.events(limit=1)
    if not events and newest.state.event is not None:
        return Finding(
            "note", SUBJECT, f"{text}. The app restores it into this empty registry when it starts."
        )
    if not events or events[0].event_uid == newest.state.event:
        return Finding("ok", SUBJECT, text)
    if context.now - events[0].ts <= LATE:
        return Finding("note", SUBJECT, f"{text}. The app will save later changes soon.")
    return Finding(
        "problem",
        SUBJECT,
        f"{text}. Later changes are not saved. Start the app, or see its log for the reason.",
    )


SNAPSHOTS = Check(SUBJECT, find)
