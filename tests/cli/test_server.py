"""``doctor``, ``backup``, ``restore`` and what starts the app and its workers."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from loravit_web.cli.main import main
from loravit_web.settings.environment import Settings
from loravit_web.worker.supervisor import Supervisor
from tests.cli.conftest import Json, Text, open_home


def test_doctor_tells_a_healthy_folder_from_a_damaged_one(
    trained: dict[str, Any], home: Path, run_json: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_json("doctor")["healthy"] is True
    with open_home(home) as registry:
        weights = registry.catalog.resolve("colours").weights_sha256
    blob = next(path for path in (home / "artifacts").rglob("*") if weights in path.name)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    assert main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [f["subject"] for f in report["findings"] if f["state"] == "problem"] == ["colours@1"]


def test_doctor_repairs_on_request_only(
    trained: dict[str, Any], home: Path, run_json: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    leftover = home / "artifacts" / "tmp" / ("1" * 32)
    leftover.write_bytes(b"half")
    os.utime(leftover, (1e9, 1e9))
    assert main(["doctor"]) == 1
    assert "[problem] leftover files: 1 file " in capsys.readouterr().out
    report = run_json("doctor", "--mend")
    assert [f["subject"] for f in report["findings"] if f["state"] == "mended"] == ["leftover files"]
    assert not leftover.exists()


def test_doctor_names_the_database(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_home(home).close()
    main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [one["text"] for one in findings if one["subject"] == "database"] == [
        f"{home / 'registry.db'}, sound"
    ]


def test_a_restored_backup_answers_in_an_empty_folder(
    trained: dict[str, Any], tmp_path: Path, run_json: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(tmp_path / "backup.zip")
    written = run_json("backup", file)
    assert (written["adapters"], written["versions"], written["runs"]) == (1, 1, 1)
    assert (written["file"], written["bytes"]) == (file, Path(file).stat().st_size)
    monkeypatch.setenv("LORAVIT_HOME", str(tmp_path / "elsewhere"))
    restored = run_json("restore", file)
    assert (restored["versions"], restored["replaced"], restored["kept"]) == (1, None, None)
    image = str(tmp_path / "colours" / "test" / "red" / "0.png")
    answer = run_json("predict", image, "--task", "colours@1")
    assert answer[0]["results"][0]["labels"][0]["label"] == "red"


def test_restore_replaces_only_on_request_and_says_what_it_replaced(
    trained: dict[str, Any], tmp_path: Path, text: Text, refusal: Text
) -> None:
    file = str(tmp_path / "backup.zip")
    assert text("backup", file).startswith(f"Wrote 1 adapters, 1 versions and 1 runs to {file} (")
    sentence = refusal("restore", file)
    assert "already holds 1 adapters, 1 versions and 1 runs. Restore with --replace" in sentence
    told = text("restore", file, "--replace")
    (kept,) = (tmp_path / "home" / "backups").glob("before-restore-*.zip")
    assert f"They replaced 1 adapters, 1 versions and 1 runs, which are kept in {kept}." in told
    missing = str(tmp_path / "colours" / "nothing.zip")
    assert "No such file or directory" in refusal("restore", missing)


def test_serve_hands_on_the_address(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[Path, str | None, int | None]] = []

    def serve(settings: Settings, *, host: str | None, port: int | None) -> None:
        served.append((settings.home, host, port))

    monkeypatch.setattr("loravit_web.opening.serve", serve)
    assert main(["serve"]) == 0
    assert main(["serve", "--host", "0.0.0.0", "--port", "7861"]) == 0
    assert served == [(home, None, None), (home, "0.0.0.0", 7861)]


def test_a_worker_trains_what_is_queued_and_ends_when_idle(
    trained: dict[str, Any], run_json: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "nice", lambda _step: 0)
    queued = run_json("runs", "retry", trained["run"])["run"]
    assert main(["worker", "--idle-exit", "0"]) == 0
    assert run_json("runs", "show", queued)["published"] == "colours@2"


def test_workers_lists_the_nodes_and_what_they_train(home: Path, run_json: Json, text: Text) -> None:
    assert "No node has reported" in text("workers")
    with open_home(home) as registry:
        registry.nodes.report("f" * 32, "forge", 2)
    (node,) = run_json("workers")
    assert (node["name"], node["slots"], node["busy"], node["runs"]) == ("forge", 2, 0, [])
    assert 0 <= node["silent_seconds"] < 60
    assert "forge" in text("workers")


def test_a_node_needs_an_executor_for_several_machines(home: Path, refusal: Text) -> None:
    assert "LORAVIT_EXECUTOR is local" in refusal("worker", "--slots", "2")


def test_a_node_watches_the_queue_until_it_is_told_to_end(
    home: Path, run_json: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORAVIT_EXECUTOR", "workers")
    slots: list[int] = []

    def start(self: Supervisor) -> None:
        slots.append(self._slots)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Supervisor, "start", start)
    monkeypatch.setattr(Supervisor, "stop", lambda _self: slots.append(0))
    assert main(["worker", "--slots", "3"]) == 0
    assert slots == [3, 0]
