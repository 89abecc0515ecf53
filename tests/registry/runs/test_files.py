"""Files that a run leaves beside its version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from registry import InvalidValue, NewRun, Registry, UnknownRun, UnknownRunFile


def test_a_file_is_stored_with_its_run_and_can_be_replaced(
    registry: Registry, new_run: Callable[..., NewRun]
) -> None:
    run, other = (registry.runs.create(new_run()) for _ in range(2))
    registry.run_files.put(run.id, "predictions.json", b"[1]")
    registry.run_files.put(run.id, "predictions.json", b"[2]")
    assert registry.run_files.names(run.id) == ["predictions.json"]
    assert registry.run_files.read(run.id, "predictions.json") == b"[2]"
    assert registry.run_files.names(other.id) == []


def test_an_unknown_file_of_a_run_is_reported(registry: Registry, new_run: Callable[..., NewRun]) -> None:
    run = registry.runs.create(new_run())
    with pytest.raises(UnknownRunFile, match=r"has no file 'predictions\.json'"):
        registry.run_files.read(run.id, "predictions.json")


def test_an_unknown_run_and_a_path_outside_its_folder_are_refused(
    registry: Registry, new_run: Callable[..., NewRun]
) -> None:
    with pytest.raises(UnknownRun):
        registry.run_files.put("0" * 32, "a.json", b"")
    run = registry.runs.create(new_run())
    with pytest.raises(InvalidValue, match="relative"):
        registry.run_files.put(run.id, "../a.json", b"")


def test_a_file_of_a_run_is_not_removed_as_unreferenced(
    registry: Registry, new_run: Callable[..., NewRun]
) -> None:
    run = registry.runs.create(new_run())
    registry.run_files.put(run.id, "a.json", b"kept")
    registry.blobs.put_bytes(b"of nobody")
    unreferenced = registry.maintenance.unreferenced(timedelta(days=-3650))
    assert [file.sha256 for file in unreferenced] == [hashlib.sha256(b"of nobody").hexdigest()]
    assert registry.run_files.read(run.id, "a.json") == b"kept"
