"""What is installed and what the disk holds."""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest

from loravit_web.doctor import machine
from loravit_web.settings.environment import Settings


def test_a_missing_package_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "timm":
            raise PackageNotFoundError
        return "1"

    monkeypatch.setattr(machine, "version", version)
    states = {finding.subject: finding.state for finding in machine.programs()}
    assert states["timm"] == "problem"
    assert states["torch"] == "ok"


@pytest.mark.parametrize(("free", "state"), [(1 << 20, "problem"), (1 << 40, "ok")])
def test_too_little_free_space_is_a_problem(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=free))
    (finding,) = machine.disk(settings)
    assert finding.state == state


def test_a_folder_that_can_not_be_written_is_a_problem(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda _folder, _mode: False)
    (finding,) = machine.disk(settings)
    assert finding.state == "problem"
    assert "LORAVIT_HOME" in finding.text
