"""What Hugging Face Spaces ask of the repository and of the start of the app."""

from __future__ import annotations

import re
import runpy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from loravit_web.util.zero_gpu import gpu_name, register_gpu

ROOT = Path(__file__).resolve().parents[1]
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def front_matter() -> dict[str, str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert found, "the README begins with no front matter"
    return {key: value for key, _, value in (line.partition(": ") for line in found[1].splitlines())}


def requirement(name: str) -> str:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if re.split("[<>=\\[]", line)[0] == name)


def test_the_readme_tells_a_space_what_to_run() -> None:
    told = front_matter()
    assert (told["sdk"], told["app_file"]) == ("gradio", "app.py")
    assert (ROOT / told["app_file"]).is_file()
    assert told["license"] == "mit"
    assert len(told["short_description"]) <= 60
    assert {told["colorFrom"], told["colorTo"]} <= COLOURS


def test_a_space_and_this_environment_run_the_one_gradio_that_the_requirements_allow() -> None:
    """Of another one, a private name may be gone that `ui/patches/table.py` lists."""
    found = re.fullmatch(r"gradio>=([0-9]+)\.([0-9]+),<([0-9]+)\.([0-9]+)", requirement("gradio"))
    assert found
    major, minor, *below = map(int, found.groups())
    assert below == [major, minor + 1]
    for told in (front_matter()["sdk_version"], version("gradio")):
        assert told.startswith(f"{major}.{minor}.")
    assert f'"{requirement("gradio")}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_app_is_at_module_level_for_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    class App:
        demo = "the page"

    def open_app(settings: object) -> type[App]:
        opened.append(settings)
        return App

    monkeypatch.setattr("loravit_web.opening.open_app", open_app)
    assert runpy.run_path(str(ROOT / "app.py"))["demo"] == "the page"
    assert len(opened) == 1


class FakeSpaces:
    def __init__(self) -> None:
        self.registered: list[Any] = []

    def GPU(self, task: Any, *, duration: int) -> None:  # noqa: N802 - the package's own name
        self.registered.append(task)


def test_on_zero_gpu_one_function_is_registered() -> None:
    spaces = FakeSpaces()
    register_gpu({"SPACES_ZERO_GPU": "true"}, present=bool, load=lambda _name: spaces)
    assert spaces.registered == [gpu_name]


@pytest.mark.parametrize(
    ("environ", "present"),
    [({}, True), ({"SPACES_ZERO_GPU": "false"}, True), ({"SPACES_ZERO_GPU": "1"}, False)],
)
def test_elsewhere_nothing_is_loaded(environ: dict[str, str], present: bool) -> None:
    def load(name: str) -> None:
        raise AssertionError(f"{name} was loaded")

    register_gpu(environ, present=lambda _name: present, load=load)
