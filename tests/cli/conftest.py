"""Data folders for the shell, and the shell itself, run in this process."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from loravit_web.backbones import Base
from loravit_web.cli.main import main
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.worker.worker import Worker
from registry import (
    ClassMetric,
    ConfusionCell,
    DatasetClass,
    NewBase,
    NewDataset,
    NewEvaluation,
    NewRun,
    NewVersion,
    Registry,
    Run,
    UsageCount,
)
from tests.conftest import make_colours, tiny_base

Json = Callable[..., Any]
Text = Callable[..., str]
TRAIN = ["--image-size", "32", "--blocks", "1", "--rank", "2", "--epochs", "3", "--batch-size", "8"]
"""A training of less than a second on the tiny base."""
RESULTS = NewEvaluation(
    split="test",
    n=3,
    accuracy=2 / 3,
    loss=0.5,
    macro_f1=0.6,
    calibration_error=0.1,
    classes=(ClassMetric(1.0, 0.5, 2 / 3, 2), ClassMetric(0.5, 1.0, 2 / 3, 1)),
    confusion=(ConfusionCell(0, 0, 1), ConfusionCell(0, 1, 1), ConfusionCell(1, 1, 1)),
)


def on_a_tiny_base(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """From now on the shell works on a data folder there and a tiny base."""

    def load(name: str, _folder: Path, _progress: Callable[[float, str], None]) -> Base:
        return tiny_base(name=name)

    patch.setenv("LORAVIT_HOME", str(folder / "home"))
    patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
    patch.setattr("loravit_web.service.Service", functools.partial(Service, load=load))
    patch.setattr("loravit_web.worker.worker.Worker", functools.partial(Worker, load=load))


def open_home(home: Path) -> Registry:
    """The registry of a data folder."""
    return Registry.open(f"sqlite:///{home / 'registry.db'}", home / "artifacts")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shell works on an empty data folder and a tiny base."""
    on_a_tiny_base(monkeypatch, tmp_path)
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Training handles Ctrl-C; give it back to pytest."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run_json(capsys: pytest.CaptureFixture[str]) -> Json:
    """Run a command with --json and return its document."""

    def run(*words: str) -> Any:
        capsys.readouterr()
        assert main([*words, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def text(capsys: pytest.CaptureFixture[str]) -> Text:
    """Run a command and return what a person reads on stdout."""

    def run(*words: str) -> str:
        capsys.readouterr()
        assert main(words) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Text:
    """Run a command that fails with exit code 1, prints nothing else, and return its one sentence."""

    def run(*words: str) -> str:
        capsys.readouterr()
        assert main(words) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "Traceback" not in printed.err
        (line,) = [line for line in printed.err.splitlines() if line.startswith("error: ")]
        return line.removeprefix("error: ")

    return run


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, the data folder after a training on them, and what the shell printed."""
    folder = tmp_path_factory.mktemp("trained-by-shell")
    images = make_colours(folder / "colours", test=4)
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        on_a_tiny_base(patch, folder)
        assert main(["train", str(images), "--name", "colours", *TRAIN, "--json"]) == 0
    (folder / "printed.json").write_text(printed.getvalue())
    return folder


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> dict[str, Any]:
    """After a training: what it printed; images and data folder are in ``tmp_path``."""
    shutil.copytree(trained_once, tmp_path, dirs_exist_ok=True)
    document: dict[str, Any] = json.loads((tmp_path / "printed.json").read_text())
    return document


@pytest.fixture
def registry(home: Path) -> Iterator[Registry]:
    """The registry that the shell looks at."""
    settings = Settings(home=home).ensure_home()
    with Registry.open(settings.database_url, settings.artifacts) as opened:
        yield opened


@pytest.fixture
def pets(registry: Registry) -> None:
    """Three versions of the adapter pets, the newest with results by class and requests."""
    base = registry.bases.ensure(NewBase("tiny", "a" * 64, "vit_tiny", 32, 3))
    new = NewVersion("pets", "Pets", "", None, base.id, None, "LORA", 9, 32, ("cat", "dog"), {"r": 2}, {})
    for number in (1, 2, 3):
        files: dict[str, bytes | Path] = {"adapter_model.safetensors": str(number).encode()}
        results = (RESULTS,) if number == 3 else ()
        version = registry.catalog.publish(replace(new, files=files, evaluations=results), actor="ann")
    hour = datetime(2026, 3, 1, 9, tzinfo=timezone.utc)
    registry.usage.add([UsageCount(version.id, hour, 4, 1, 30.0, 20.0)])


@pytest.fixture
def cats(registry: Registry) -> list[Run]:
    """The two runs of the adapter cats, a version each; birds have one version and no run."""
    base = registry.bases.ensure(NewBase("vit_small", "a" * 64, "vit_small", 384, 12))
    classes = (DatasetClass("Siamese", 6, 2, 0), DatasetClass("Persian", 6, 2, 0))
    dataset = registry.datasets.ensure(NewDataset("f" * 64, "cats.zip", "zip", classes))
    made = []
    for rank in (8, 16):
        config = {"adapter": {"r": rank, "targets": ["q", "v"]}, "stop": None if rank == 8 else 3}
        run = registry.runs.create(
            NewRun("cats", "Cats", base.id, dataset.id, 1, config, {"torch": "2.9"}), worker="w"
        )
        registry.runs.log_metrics(run.id, 1, {"val_accuracy": 0.5})
        _publish(registry, "cats", "Cats", base.id, run, dataset.id, rank / 20)
        made.append(run)
    _publish(registry, "birds", "Birds", base.id, None, None, 0.9)
    return made


def _publish(
    registry: Registry,
    slug: str,
    title: str,
    base_id: int,
    run: Run | None,
    dataset_id: int | None,
    accuracy: float,
) -> None:
    registry.catalog.publish(
        NewVersion(
            slug=slug,
            title=title,
            description="",
            run_id=run.id if run is not None else None,
            base_id=base_id,
            dataset_id=dataset_id,
            adapter_type="LORA",
            n_params=10,
            image_size=112,
            class_names=("Siamese", "Persian"),
            config={"r": 8},
            files={"adapter_model.safetensors": f"{slug}{accuracy}".encode()},
            evaluations=(NewEvaluation("validation", 4, accuracy, 0.5, 0.5),),
        ),
        actor="ann",
    )
