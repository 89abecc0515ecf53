from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, constants

from loravit_web.catalog import hub
from loravit_web.cli import commands, main
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from registry import NewRun, Registry
from tests.conftest import ColourFolders, make_colours, tiny_base
from tests.hub_server import TOKEN, FakeHub

TRAIN = ["--image-size", "32", "--blocks", "1", "--rank", "2", "--epochs", "3", "--batch-size", "8"]


def on_a_tiny_base(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """From now on the shell works on a data folder there and a tiny base."""

    def service(settings: Settings) -> contextlib.closing[Service]:
        return contextlib.closing(Service(settings, load=lambda name, _f, _p: tiny_base(name=name)))

    patch.setenv("LORAVIT_HOME", str(folder / "home"))
    patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
    patch.setattr(commands, "_service", service)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shell works on an empty data folder and a tiny base."""
    on_a_tiny_base(monkeypatch, tmp_path)
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Training handles Ctrl-C; give it back to pytest."""
    import signal

    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main.main([*words, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, the data folder after a training on them, and what the shell printed."""
    folder = tmp_path_factory.mktemp("trained")
    pictures = make_colours(folder / "colours", test=4)
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        on_a_tiny_base(patch, folder)
        assert main.main(["train", str(pictures), "--name", "colours", *TRAIN, "--json"]) == 0
    (folder / "printed.json").write_text(printed.getvalue())
    return folder


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> dict[str, Any]:
    """After a training: what it printed; pictures and data folder are in ``tmp_path``."""
    shutil.copytree(trained_once, tmp_path, dirs_exist_ok=True)
    document: dict[str, Any] = json.loads((tmp_path / "printed.json").read_text())
    return document


def test_train_prints_the_document_that_scripts_read(trained: dict[str, Any]) -> None:
    assert trained["status"] == "completed"
    assert trained["adapter"] == "colours@1"
    assert {"val_accuracy", "val_loss", "linear_probe_accuracy", "test_accuracy"} <= set(trained["metrics"])
    assert trained["seconds"] > 0


def test_predict_prints_each_image_with_each_task(
    trained: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = str(tmp_path / "colours" / "test" / "red" / "0.png")
    document = run_json(capsys, "predict", image, "--task", "colours", "--task", "colours@1", "--top-k", "1")
    assert document[0]["image"] == image
    assert [result["task"] for result in document[0]["results"]] == ["colours@1", "colours@1"]
    assert document[0]["results"][0]["labels"][0]["label"] == "red"


def test_predict_writes_a_csv(trained: dict[str, Any], tmp_path: Path) -> None:
    import pandas as pd

    image, file = tmp_path / "colours" / "test" / "red" / "0.png", tmp_path / "answers.csv"
    assert main.main(["predict", str(image), "--task", "colours", "--csv", str(file)]) == 0
    frame = pd.read_csv(file)
    assert list(frame.columns) == ["image", "task", "rank", "label", "score", "error"]
    assert len(frame) == 2


def test_export_and_import_round_trip(
    trained: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = tmp_path / "colours.zip"
    assert run_json(capsys, "adapters", "export", "colours@1", str(bundle))["adapter"] == "colours@1"
    monkeypatch.setenv("LORAVIT_HOME", str(tmp_path / "other"))
    assert run_json(capsys, "adapters", "import", str(bundle)) == {"adapter": "colours@1"}
    (row,) = run_json(capsys, "adapters", "list")
    assert (row["slug"], row["version"], row["classes"]) == ("colours", 1, 2)
    shown = run_json(capsys, "adapters", "show", "colours")
    assert shown["versions"][0]["class_names"] == ["green", "red"]


def test_push_and_pull_go_by_the_hub(
    trained: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    fake_hub: FakeHub,
) -> None:
    monkeypatch.setattr(hub, "HfApi", functools.partial(HfApi, endpoint=fake_hub.url))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    assert main.main(["adapters", "push", "colours", "me/colours"]) == 1
    assert capsys.readouterr().err.startswith("error: Pushing needs a token")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    pushed = run_json(capsys, "adapters", "push", "colours", "me/colours", "--revision", "first", "--private")
    assert (pushed["adapter"], pushed["repo"]) == ("colours@1", "me/colours")
    assert fake_hub.repositories["me/colours"].private
    monkeypatch.setenv("LORAVIT_HOME", str(tmp_path / "other"))
    pulled = run_json(capsys, "adapters", "pull", "me/colours@first", "--name", "shades")
    assert pulled == {"adapter": "shades@1"}
    assert run_json(capsys, "adapters", "pull", f"me/colours@{pushed['commit']}") == {"adapter": "colours@1"}
    shown = run_json(capsys, "adapters", "show", "shades")["versions"][0]
    assert "thumbnail.webp" in shown["files"]
    assert main.main(["adapters", "pull", "me/nothing"]) == 1
    assert capsys.readouterr().err.startswith("error: The Hub shows no repository me/nothing")


def test_runs_are_listed_and_shown_by_the_start_of_their_id(
    trained: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = run_json(capsys, "runs", "list")
    assert (row["run"], row["status"], row["published"]) == (trained["run"], "completed", "colours@1")
    shown = run_json(capsys, "runs", "show", trained["run"][:6])
    assert len(shown["metrics"]["val_accuracy"]) == 3
    assert shown["config"]["adapter"]["r"] == 2


def test_train_says_what_it_left_out(
    colour_folders: ColourFolders, capsys: pytest.CaptureFixture[str]
) -> None:
    data = colour_folders()
    (data / "red" / "notes.txt").write_text("hello")
    assert main.main(["train", str(data), "--name", "colours", *TRAIN]) == 0
    assert "red/notes.txt" in capsys.readouterr().err


def test_the_image_size_of_a_preset_gives_way_to_the_patches_of_the_base_and_a_given_one_does_not(
    colour_folders: ColourFolders, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(colour_folders()), "--name", "colours", "--preset", "draft", *TRAIN[2:]]
    document = run_json(capsys, *words)
    with Registry.open(f"sqlite:///{home / 'registry.db'}", home / "artifacts") as registry:
        assert registry.runs.get(document["run"]).config["image_size"] == 72
    assert main.main([*words, "--image-size", "70"]) == 1
    assert "Image size 70 does not fit" in capsys.readouterr().err


def test_a_finished_run_can_be_neither_cancelled_nor_resumed(
    trained: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for word in ("cancel", "resume"):
        assert main.main(["runs", word, trained["run"]]) == 1
        assert capsys.readouterr().err.startswith("error: ")


def test_a_run_is_cancelled_resumed_and_retried_by_the_start_of_its_id(
    trained: dict[str, Any], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_json(capsys, "runs", "retry", trained["run"][:8])
    with Registry.open(f"sqlite:///{home / 'registry.db'}", home / "artifacts") as registry:
        (queued,) = registry.runs.list(status=["queued"])
        assert queued.config["batch_size"] == 4
        assert queued.environment["retry_of"] == trained["run"]
        going = registry.runs.create(
            NewRun("colours", "", queued.base_id, queued.dataset_id, 0, queued.config, {}), worker="w"
        )
    (first, second, _) = run_json(capsys, "runs", "list")
    assert [one["queue_position"] for one in (first, second)] == [None, 1]
    assert run_json(capsys, "runs", "show", queued.id)["retry_of"] == trained["run"]
    assert run_json(capsys, "runs", "cancel", queued.id)["status"] == "cancelled"
    assert run_json(capsys, "runs", "resume", queued.id) == {
        "run": queued.id,
        "status": "queued",
        "queue_position": 1,
    }
    assert run_json(capsys, "runs", "cancel", going.id, "--keep")["status"] == "running"
    with Registry.open(f"sqlite:///{home / 'registry.db'}", home / "artifacts") as registry:
        assert registry.runs.get(going.id).stop_request == "keep"


def test_the_shell_queues_no_more_than_the_page_may(
    trained: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_json(capsys, "runs", "retry", trained["run"])["run"]
    run_json(capsys, "runs", "cancel", first)
    run_json(capsys, "runs", "retry", trained["run"])
    monkeypatch.setenv("LORAVIT_MAX_QUEUED_RUNS", "1")
    for word in ("resume", "retry"):
        assert main.main(["runs", word, first]) == 1
        assert "1 training waits already, which is the limit here" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["list"], ["show", "RUN"], ["cancel", "RUN"]], ids=" ".join)
def test_every_look_at_runs_tells_the_dead_from_the_living(
    words: list[str], trained: dict[str, Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loravit_web.worker.reaper.STALE_AFTER", timedelta(seconds=-1))
    with Registry.open(f"sqlite:///{home / 'registry.db'}", home / "artifacts") as registry:
        like = registry.runs.get(trained["run"])
        dead = registry.runs.create(
            NewRun("colours", "", like.base_id, like.dataset_id, 0, like.config, {}), worker="dead"
        )
        status = main.main(["runs", *(dead.id if word == "RUN" else word for word in words)])
        assert status == (1 if words[0] == "cancel" else 0)
        assert registry.runs.get(dead.id).status == "interrupted"


def test_an_archived_adapter_leaves_the_list(
    trained: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_json(capsys, "adapters", "archive", "colours")["archived"] is True
    assert run_json(capsys, "adapters", "list") == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "nowhere.zip", "--name", "x"], "nowhere.zip"),
        (["train", "sample:digits", "--name", "…"], "at least one letter"),
        (["train", "sample:digits", "--name", "x", "--targets", "conv"], "Target conv is unknown"),
        (["train", "sample:digits", "--name", "x", "--rank", "0"], "Rank 0 is out of range"),
        (["train", "sample:cats", "--name", "x"], "digits"),
        (["predict", "missing.jpg", "--task", "x"], "missing.jpg"),
        (["adapters", "show", "nothing"], "nothing"),
        (["adapters", "import", "missing.zip"], "missing.zip"),
        (["runs", "show", "abcdef"], "abcdef"),
    ],
)
def test_bad_input_is_one_sentence_and_status_1(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(words) == 1
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = [line for line in output.err.splitlines() if line.startswith("error: ")]
    assert sentence in line
    assert "Traceback" not in output.err


def test_a_task_that_does_not_exist_fails_the_prediction(
    trained: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = str(tmp_path / "colours" / "test" / "red" / "0.png")
    assert main.main(["predict", image, "--task", "colors", "--json"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "colours" in output.err


def test_unknown_words_are_status_2() -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["trian"])
    assert ended.value.code == 2


def test_an_unwritable_export_leaves_nothing_behind(
    trained: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["adapters", "export", "colours", str(tmp_path / "missing" / "x.zip")]) == 1
    assert "can't be written" in capsys.readouterr().err


def test_doctor_finds_a_healthy_folder_healthy_and_a_damaged_one_not(
    trained: dict[str, Any], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_json(capsys, "doctor")["healthy"] is True
    blob = next(path for path in (home / "artifacts").rglob("*") if path.is_file())
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    assert main.main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [f["subject"] for f in report["findings"] if f["state"] == "problem"] == ["colours@1"]


def test_doctor_mends_on_request_alone(
    trained: dict[str, Any], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leftover = home / "artifacts" / "tmp" / ("1" * 32)
    leftover.write_bytes(b"half")
    os.utime(leftover, (1e9, 1e9))
    assert main.main(["doctor"]) == 1
    assert "[problem] leftover files: 1 files" in capsys.readouterr().out
    report = run_json(capsys, "doctor", "--mend")
    assert [f["subject"] for f in report["findings"] if f["state"] == "mended"] == ["leftover files"]
    assert not leftover.exists()


def test_a_backup_is_written_and_restored_into_an_empty_folder_and_answers_there(
    trained: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = str(tmp_path / "backup.zip")
    written = run_json(capsys, "backup", file)
    assert (written["adapters"], written["versions"], written["runs"]) == (1, 1, 1)
    assert written["bytes"] == Path(file).stat().st_size
    monkeypatch.setenv("LORAVIT_HOME", str(tmp_path / "elsewhere"))
    restored = run_json(capsys, "restore", file)
    assert (restored["versions"], restored["replaced"], restored["kept"]) == (1, None, None)
    image = str(tmp_path / "colours" / "test" / "red" / "0.png")
    answer = run_json(capsys, "predict", image, "--task", "colours@1")
    assert answer[0]["results"][0]["labels"][0]["label"] == "red"


def test_restore_replaces_only_when_told_and_says_what_it_replaced(
    trained: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "backup.zip")
    assert main.main(["backup", file]) == 0
    assert main.main(["restore", file]) == 1
    assert (
        "already holds 1 adapters, 1 versions and 1 runs. Restore with --replace" in capsys.readouterr().err
    )
    assert main.main(["restore", file, "--replace"]) == 0
    (kept,) = (tmp_path / "home" / "backups").glob("before-restore-*.zip")
    told = capsys.readouterr().out
    assert f"They took the place of 1 adapters, 1 versions and 1 runs, which are kept in {kept}." in told
    assert main.main(["restore", str(tmp_path / "colours" / "nothing.zip")]) == 1
    assert "No such file or directory" in capsys.readouterr().err


def test_doctor_names_the_database(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Registry.open(f"sqlite:///{home / 'registry.db'}", home / "artifacts").close()
    main.main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [one["text"] for one in findings if one["subject"] == "database"] == [
        f"{home / 'registry.db'}, sound"
    ]


def test_a_database_that_can_not_be_reached_is_one_sentence_without_the_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("LORAVIT_DATABASE_URL", "postgresql+psycopg://me:secret@127.0.0.1:1/name")
    assert main.main(["runs", "list"]) == 1
    assert main.main(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: The database postgresql://127.0.0.1:1/name cannot be read")
    assert err.count("\n") == 1
    assert "postgresql://127.0.0.1:1/name cannot be read" in out
    assert "secret" not in out + err
