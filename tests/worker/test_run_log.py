"""Every run leaves a log of what happened, even if nothing else could be written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from loravit_web.backbones import Base
from loravit_web.backbones.loading import BaseUnavailable
from loravit_web.datasets import DatasetStore
from loravit_web.settings.environment import Settings
from loravit_web.worker.run_log import log_of, log_step, metrics_line, run_log_file, tail, without_folders
from loravit_web.worker.worker import Worker
from registry import Registry
from tests.training.conftest import Queue, quick


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return log_of(tmp_path / "logs" / "runs", "abc")


@pytest.fixture
def train(
    settings: Settings,
    registry: Registry,
    store: DatasetStore,
    queue: Queue,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., str]:
    """Return a function that trains a queued run with a loader of the base, and returns its log."""

    def train(load: Callable[..., Base]) -> str:
        run = queue(recipe=quick(epochs=1))
        Worker(settings, registry, store, load=load).work(idle_exit=0.0)
        return tail(log_of(settings.run_logs, run.id))

    return train


def test_a_run_logs_its_stages_and_the_metrics_of_each_epoch(train: Callable[..., str], base: Base) -> None:
    text = train(lambda *_: base)
    assert "Training colours" in text
    assert "epoch 1: train_loss " in text
    assert "The run is completed. Published as colours@1 (best epoch: 1 of 1)." in text


def test_the_log_of_a_failed_run_has_its_cause(train: Callable[..., str]) -> None:
    def load(*_: object) -> Base:
        raise BaseUnavailable("tiny can't be downloaded.")

    text = train(load)
    assert "The run is failed." in text
    assert "BaseUnavailable: tiny can't be downloaded." in text


def test_a_log_is_appended_to_and_ends_with_the_run(path: Path) -> None:
    for line in ("first", "second"):
        with run_log_file(path):
            log_step(line)
    log_step("outside of a run")
    logging.getLogger("loravit_web.x").warning("outside of a run")
    assert [line[20:] for line in tail(path).splitlines()] == ["first", "second"]


def test_only_the_last_lines_of_a_long_log_are_returned(path: Path) -> None:
    with run_log_file(path):
        for number in range(50):
            log_step(f"line {number}")
    assert [line[20:] for line in tail(path, 2).splitlines()] == ["line 48", "line 49"]
    assert tail(path.with_name("another.log")) == ""


def test_a_log_that_cannot_be_written_does_not_end_the_training(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.mkdir(parents=True)
    with run_log_file(path):
        log_step("unheard")
    assert "IsADirectoryError" in capsys.readouterr().err
    (path.parent / "file").write_text("")
    with run_log_file(path.parent / "file" / "x.log"):
        log_step("unheard")


def test_folders_of_the_machine_are_not_shown() -> None:
    line = 'File "/home/ann/venv/lib/loravit_web/training/trainer.py", line 3, in train'
    assert without_folders(line) == 'File "…/training/trainer.py", line 3, in train'
    assert without_folders("3/4 done at 12:00:01") == "3/4 done at 12:00:01"


def test_the_metrics_of_an_epoch_are_one_line() -> None:
    assert metrics_line(2, {"val_loss": 0.123456, "lr": float("nan")}) == "epoch 2: val_loss 0.1235, lr nan"
