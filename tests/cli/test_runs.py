"""``runs``: the history, the queue, and what may be queued again."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from loravit_web.cli.main import main
from loravit_web.datasets import DatasetStore
from loravit_web.training.files.suspects import SUSPECTS, Suspect, Suspects, write_suspects
from registry import Lease, NewRun, Registry, Run
from tests.cli.conftest import Json, Text, open_home


def unfinished(home: Path, like: str, *, worker: str | None = None) -> str:
    """The id of another run like the trained one: queued, or running under a worker."""
    with open_home(home) as registry:
        run = registry.runs.get(like)
        new = NewRun("colours", "", run.base_id, run.dataset_id, 0, run.config, {})
        return registry.runs.create(new, worker=worker).id


def interrupted(home: Path, like: str) -> str:
    """The id of another run like the trained one, which lost its process."""
    run_id = unfinished(home, like, worker="w")
    with open_home(home) as registry:
        registry.runs.finish(Lease(run_id, "w", 1), "interrupted")
    return run_id


def test_runs_are_filtered(registry: Registry, cats: list[Run], run_json: Json) -> None:
    registry.runs.finish(cats[0].lease, "failed", error="out of memory")
    assert [row["run"] for row in run_json("runs", "list")] == [cats[1].id, cats[0].id]
    assert [row["run"] for row in run_json("runs", "list", "--status", "failed")] == [cats[0].id]
    both = run_json("runs", "list", "--status", "failed", "--status", "running")
    assert [row["run"] for row in both] == [cats[1].id, cats[0].id]
    assert run_json("runs", "list", "--slug", "birds") == []
    assert len(run_json("runs", "list", "--search", "CATS.zip")) == 2


def test_an_unknown_status_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "list", "--status", "done"]) == 2
    assert "'done' is not one of queued, running, completed" in capsys.readouterr().err


def test_a_list_with_more_pages_says_so_on_stderr(
    cats: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", "list", "--limit", "1"]) == 0
    assert "page 1 of 2, 2 runs in total" in capsys.readouterr().err


def test_an_empty_history_says_what_to_do(text: Text) -> None:
    assert text("runs", "list") == "No runs yet. Train an adapter first.\n"


def test_filters_without_a_match_say_so(cats: list[Run], text: Text) -> None:
    assert text("runs", "list", "--status", "queued") == "No runs match.\n"


def test_a_page_0_is_refused(refusal: Text) -> None:
    assert "there is no page 0" in refusal("runs", "list", "--page", "0")


def test_a_curve_is_shown_with_as_many_points_as_the_option_allows(
    registry: Registry, cats: list[Run], run_json: Json
) -> None:
    for step in range(20):
        registry.runs.log_metrics(cats[0].id, 2000 + step, {"loss": 1 / (step + 1)})
    curves = {n: run_json("runs", "show", cats[0].id, "--points", n)["metrics"] for n in ("0", "6")}
    assert len(curves["0"]["loss"]) == 20
    assert len(curves["6"]["loss"]) <= 6
    assert curves["6"]["loss"][-1] == curves["0"]["loss"][-1]


def test_runs_are_listed_and_shown_by_the_start_of_their_id(trained: dict[str, Any], run_json: Json) -> None:
    (row,) = run_json("runs", "list")
    assert (row["run"], row["status"], row["published"]) == (trained["run"], "completed", "colours@1")
    shown = run_json("runs", "show", trained["run"][:6])
    assert len(shown["metrics"]["val_accuracy"]) == 3
    assert shown["config"]["adapter"]["r"] == 2


def doubt(home: Path, run_id: str) -> str:
    """Suspect the first image of a run, and return its file at the user's side."""
    with open_home(home) as registry:
        run = registry.runs.get(run_id)
        dataset = DatasetStore(home / "datasets").load(run.dataset.fingerprint)
        item = dataset.select("train")[0]
        suspects = Suspects(24, (Suspect(item.sha256, item.label, 1 - item.label, 0.9),))
        registry.run_files.put(run_id, SUSPECTS, write_suspects(suspects))
        return item.path


def test_suspects_are_shown_with_their_file_and_the_suggested_class(
    trained: dict[str, Any], home: Path, run_json: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_json("runs", "show", trained["run"])["suspects"] == []
    file = doubt(home, trained["run"])
    row = {"file": file, "label": "green", "suggested": "red", "probability": 0.9}
    assert run_json("runs", "show", trained["run"])["suspects"] == [row]
    shutil.rmtree(home / "datasets")
    assert run_json("runs", "show", trained["run"])["suspects"] == [{**row, "file": None}]
    assert main(["runs", "show", trained["run"]]) == 0
    assert "the images of this run are no longer stored" in capsys.readouterr().err


def test_a_run_without_a_list_of_suspects_says_null(cats: list[Run], run_json: Json) -> None:
    assert run_json("runs", "show", cats[0].id)["suspects"] is None


def test_an_unknown_run_is_one_sentence(refusal: Text) -> None:
    assert "abcdef" in refusal("runs", "show", "abcdef")


@pytest.mark.parametrize("word", ["cancel", "resume"])
def test_a_finished_run_can_be_neither_cancelled_nor_resumed(
    word: str, trained: dict[str, Any], refusal: Text
) -> None:
    assert trained["run"] in refusal("runs", word, trained["run"])


def test_a_run_is_cancelled_resumed_and_retried_by_the_start_of_its_id(
    trained: dict[str, Any], home: Path, run_json: Json
) -> None:
    document = run_json("runs", "retry", trained["run"][:8])
    assert (document["batch_size"], document["queue_position"]) == (4, 1)
    queued = document["run"]
    with open_home(home) as registry:
        assert registry.runs.get(queued).config["batch_size"] == 4
        assert registry.runs.get(queued).environment["retry_of"] == trained["run"]
    going = unfinished(home, trained["run"], worker="w")
    (first, second, _) = run_json("runs", "list")
    assert [row["queue_position"] for row in (first, second)] == [None, 1]
    assert run_json("runs", "show", queued)["retry_of"] == trained["run"]
    assert run_json("runs", "cancel", queued)["status"] == "cancelled"
    assert run_json("runs", "resume", queued) == {"run": queued, "status": "queued", "queue_position": 1}
    assert run_json("runs", "cancel", going, "--keep")["status"] == "running"
    with open_home(home) as registry:
        assert registry.runs.get(going).stop_request == "keep"


@pytest.mark.parametrize(
    ("executor", "trainer"),
    [
        ("local", "A running app"),
        ("workers", "A node with a free slot"),
        ("ray", "A trainer of the Ray cluster"),
    ],
)
def test_the_shell_says_what_trains_a_queued_run(
    executor: str, trainer: str, trained: dict[str, Any], text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORAVIT_EXECUTOR", executor)
    assert f". {trainer}" in text("runs", "retry", trained["run"])


@pytest.mark.parametrize("word", ["resume", "retry"])
def test_a_full_queue_takes_no_more_runs_from_the_shell(
    word: str, trained: dict[str, Any], home: Path, refusal: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORAVIT_MAX_QUEUED_RUNS", "1")
    stopped = interrupted(home, trained["run"])
    waiting = unfinished(home, trained["run"])
    assert "The queue is full: 1 run is waiting" in refusal("runs", word, stopped)
    assert main(["runs", "cancel", waiting]) == 0
    assert main(["runs", word, stopped]) == 0


@pytest.mark.parametrize("word", ["resume", "retry"])
def test_a_full_data_folder_takes_no_more_runs_from_the_shell(
    word: str, trained: dict[str, Any], home: Path, refusal: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = interrupted(home, trained["run"])
    monkeypatch.setenv("LORAVIT_MAX_DISK_GIB", "0.00001")
    assert "LORAVIT_MAX_DISK_GIB" in refusal("runs", word, stopped)


@pytest.mark.parametrize("words", [["list"], ["show", "RUN"], ["cancel", "RUN"]], ids=" ".join)
def test_every_command_for_runs_first_marks_those_of_dead_processes(
    words: list[str], trained: dict[str, Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loravit_web.worker.reaper.STALE_AFTER", timedelta(seconds=-1))
    dead = unfinished(home, trained["run"], worker="dead")
    status = main(["runs", *(dead if word == "RUN" else word for word in words)])
    assert status == (1 if words[0] == "cancel" else 0)
    with open_home(home) as registry:
        assert registry.runs.get(dead).status == "interrupted"


def test_a_run_is_deleted_once_that_is_confirmed_and_nothing_needs_it(
    registry: Registry, cats: list[Run], run_json: Json, text: Text, refusal: Text
) -> None:
    registry.runs.finish(cats[0].lease, "completed")
    assert "it made cats@1. Delete cats@1 first" in refusal("runs", "delete", cats[0].id, "--yes")
    registry.deletions.delete_version("cats@1", actor="ann")
    assert "Nothing is deleted yet. Add --yes" in text("runs", "delete", cats[0].id[:8])
    assert run_json("runs", "delete", cats[0].id[:8], "--yes")["deleted"] is True
    assert [run.id for run in registry.runs.list()] == [cats[1].id]
