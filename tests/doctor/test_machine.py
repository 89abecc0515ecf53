"""What is installed and what the disk holds."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest

from loravit_web.backbones import RememberedChoices
from loravit_web.backbones.measured import ENGINE_FOR
from loravit_web.doctor import machine
from loravit_web.settings.environment import Settings
from loravit_web.settings.modes import Engine
from tests.conftest import tiny_base


def test_a_missing_package_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "timm":
            raise PackageNotFoundError
        return "1"

    monkeypatch.setattr(machine, "version", version)
    states = {finding.subject: finding.state for finding in machine.programs()}
    assert states["timm"] == "problem"
    assert states["torch"] == "ok"


@pytest.mark.parametrize(
    ("asked", "installed", "state", "text"),
    [
        ("auto", None, "ok", "PyTorch. OpenVINO is not installed. Run pip install"),
        ("openvino", None, "problem", "LORAVIT_ENGINE is openvino, but OpenVINO is not installed. Run pip"),
        ("torch", "2026.4", "ok", "PyTorch. LORAVIT_ENGINE is torch."),
        ("openvino", "2026.4", "ok", "OpenVINO 2026.4 for few images on a CPU, PyTorch for the rest."),
        ("auto", "2026.4", "ok", "Measured: nothing yet."),
    ],
)
def test_the_engine_of_few_images_is_told(
    asked: Engine,
    installed: str | None,
    state: str,
    text: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def version(_name: str) -> str:
        if installed is None:
            raise PackageNotFoundError
        return installed

    monkeypatch.setattr(machine, "version", version)
    finding = machine.engine(replace(settings, engine=asked))
    assert finding.state == state
    assert text in finding.text


def test_what_was_measured_on_this_machine_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "version", lambda _name: "2026.4")
    remembers, base = RememberedChoices(settings.measurements), tiny_base()
    for shape, chosen in {"4 x 32 px": "torch", "1 x 32 px": "openvino"}.items():
        remembers.choose(f"{ENGINE_FOR}{shape}", base, ("torch", "openvino"), lambda chosen=chosen: chosen)  # type: ignore[misc]
    remembers.choose("precision", base, ("float32",), lambda: "float32")
    found = machine.engine(settings).text
    assert found.endswith("Measured: 1 x 32 px: openvino; 4 x 32 px: torch.")


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
