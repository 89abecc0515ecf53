"""The examples of the documents do what they say: shell, HTTP and Python."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from loravit_web import extractor
from loravit_web.cli import main
from loravit_web.service import Service
from loravit_web.ui.launch import App
from tests.docs.markdown import DOCUMENTS, Block, blocks_of
from tests.docs.world import PASSWORD, load_tiny, make_world, service_in

SHELL = [block for document in DOCUMENTS for block in blocks_of(document, "sh")]
COMMANDS = [block for block in SHELL if "python -m loravit_web" in block.code]
REQUESTS = [block for block in SHELL if block not in COMMANDS]
PYTHON = [block for document in DOCUMENTS for block in blocks_of(document, "python")]
RUN = "1f3a9c20"
"""The beginning of a run's id in the documents."""
ADDRESS = "http://127.0.0.1:7860"
"""Where the app of the documents listens."""
TEAM = ("auth=", "/login")
"""What only an example for a team has."""


@dataclass(frozen=True)
class World:
    """A folder that was made once, and the id of a run in it."""

    folder: Path
    run_id: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    return World(folder, make_world(folder))


@pytest.fixture
def world(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A copy of the folder, in which the test runs on a tiny base."""
    folder = tmp_path / "world"
    shutil.copytree(made.folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LORAVIT_HOME", str(folder / "home"))
    monkeypatch.setenv("PASSWORD", PASSWORD)
    monkeypatch.setitem(Service.__init__.__kwdefaults__, "load", load_tiny)
    monkeypatch.setattr(extractor, "load_base", load_tiny)
    return World(folder, made.run_id)


@pytest.fixture(scope="module", params=["local", "team"])
def app(
    made: World, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The address of an app over a copy of the folder, without a slash at its end."""
    folder = tmp_path_factory.mktemp("app")
    shutil.copytree(made.folder / "home", folder / "home")
    app = App.over(service_in(folder, mode=request.param))
    yield app.launch(host="127.0.0.1", block=False).rstrip("/")
    app.close()


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A training handles Ctrl-C; give it back to pytest."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def mode_of(block: Block) -> str:
    return "team" if any(mark in block.code for mark in TEAM) else "local"


def asks(block: Block) -> bool:
    """Whether an example asks a running app."""
    return ADDRESS in block.code


def words_of(command: str) -> list[str]:
    """Return the words of a command as a shell gives them."""
    words = shlex.split(os.path.expandvars(command))
    return [found for word in words for found in (_files_like(word) if "*" in word else [word])]


def _files_like(pattern: str) -> list[str]:
    return sorted(str(path) for path in Path().glob(pattern))


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_every_command_of_an_example_succeeds(
    block: Block, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in block.code.replace(RUN, world.run_id[:8]).replace("\\\n", " ").splitlines():
        given, _, command = line.rpartition(" | ")
        words = words_of(command)
        assert words[:3] == ["python", "-m", "loravit_web"], line
        if given:
            assert words_of(given)[0] == "echo", line
            monkeypatch.setattr(sys, "stdin", io.StringIO(" ".join(words_of(given)[1:])))
        assert main.main(words[3:]) == 0, f"{line}\n{capsys.readouterr().err}"


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
@pytest.mark.parametrize(
    ("app", "block"), [(mode_of(block), block) for block in REQUESTS], indirect=["app"], ids=str
)
def test_every_request_of_an_example_is_answered(app: str, block: Block, world: World) -> None:
    script = f"set -euo pipefail\n{block.code.replace(ADDRESS, app)}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.JSONDecoder()
    text, answers = done.stdout.strip(), []
    while text:
        document, end = answer.raw_decode(text)
        answers.append(document)
        text = text[end:].strip()
    assert answers
    assert answers[-1]["data"][0]
    assert all(document.get("error") is None for document in answers)


@pytest.mark.parametrize(
    ("app", "block"),
    [(mode_of(block), block) for block in PYTHON if asks(block)],
    indirect=["app"],
    ids=str,
)
def test_every_question_in_python_is_answered(app: str, block: Block, world: World) -> None:
    exec(compile(block.code.replace(ADDRESS, app), str(block), "exec"), {})


@pytest.mark.parametrize("block", [block for block in PYTHON if not asks(block)], ids=str)
def test_every_example_in_python_runs(block: Block, world: World) -> None:
    exec(compile(block.code, str(block), "exec"), {})


def test_there_are_examples_for_every_interface() -> None:
    assert {block.document for block in COMMANDS} >= {"README.md", "cli.md"}
    assert {block.document for block in REQUESTS} == {"http.md"}
    assert {block.document for block in PYTHON} >= {"README.md", "http.md", "python.md"}
