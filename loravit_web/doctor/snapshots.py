"""Whether the registry is saved elsewhere, as far as can be told from what is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta

from loravit_web.doctor.machine import NEEDED_BYTES
from loravit_web.doctor.report import Check, Finding, Patient
from registry import newest_snapshot, open_snapshot_store

SUBJECT = "snapshots"
LATE = timedelta(minutes=5)
"""A running app saves a change of the catalog within seconds; a slow network takes longer."""


def find(patient: Patient) -> Iterator[Finding]:
    """The newest snapshot, and whether anything was changed since."""
    settings = patient.settings
    if settings.restart_loses:
        text = "a restart empties this disk: mount a storage bucket at /data or set LORAVIT_SNAPSHOT_URL"
        yield Finding("note", SUBJECT, text)
    if settings.snapshot_url is None:
        return
    folder = settings.snapshot_folder
    if folder is not None and not folder.is_dir():
        yield Finding("problem", SUBJECT, f"none yet, and {folder} is no folder: is the disk there?")
        return
    if folder is not None and not os.access(folder, os.W_OK):
        yield Finding("problem", SUBJECT, f"{folder} can't be written: let its owner allow it to this user")
    elif folder is not None and (free := shutil.disk_usage(folder).free) < NEEDED_BYTES:
        yield Finding("problem", SUBJECT, f"{free / 1e9:.1f} GB free in {folder}: free some space")
    yield _newest(patient, settings.snapshot_url)


def _newest(patient: Patient, address: str) -> Finding:
    store = open_snapshot_store(address)
    newest = newest_snapshot(store)
    if newest is None:
        return Finding("note", SUBJECT, f"none yet in {store.root}: the app makes them while it runs")
    text = f"last saved {newest.manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC in {store.root}"
    events = patient.registry.catalog.events(limit=1)
    if not events and newest.state.event is not None:
        return Finding("note", SUBJECT, f"{text}; the app restores it into this empty registry at its start")
    if not events or events[0].event_uid == newest.state.event:
        return Finding("ok", SUBJECT, text)
    if patient.now - events[0].ts <= LATE:
        return Finding("note", SUBJECT, f"{text}; the app will soon save what was changed since")
    return Finding(
        "problem", SUBJECT, f"{text}, but not what was changed since: start the app, or see why in its log"
    )


SNAPSHOTS = Check(SUBJECT, find)
