"""``train``: from images to a published version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loravit_web.cli.main import main
from tests.cli.conftest import TRAIN, Json, Text, open_home
from tests.conftest import ColourFolders


def test_train_prints_the_document_that_scripts_read(trained: dict[str, Any]) -> None:
    assert list(trained) == ["run", "status", "adapter", "metrics", "seconds", "note"]
    assert trained["status"] == "completed"
    assert trained["adapter"] == "colours@1"
    assert {"val_accuracy", "val_loss", "linear_probe_accuracy", "test_accuracy"} <= set(trained["metrics"])
    assert trained["seconds"] > 0


def test_skipped_files_are_listed_on_stderr(
    colour_folders: ColourFolders, capsys: pytest.CaptureFixture[str]
) -> None:
    data = colour_folders()
    (data / "red" / "notes.txt").write_text("hello")
    assert main(["train", str(data), "--name", "colours", *TRAIN]) == 0
    printed = capsys.readouterr()
    assert "note: skipped 1 file:\n  red/notes.txt: " in printed.err
    assert printed.out.startswith("Published colours@1 after ")


def test_the_image_size_of_a_preset_is_fitted_to_the_base_and_a_given_one_is_not(
    colour_folders: ColourFolders, home: Path, run_json: Json, refusal: Text
) -> None:
    words = ["train", str(colour_folders()), "--name", "colours", "--preset", "draft", *TRAIN[2:]]
    document = run_json(*words)
    with open_home(home) as registry:
        assert registry.runs.get(document["run"]).config["image_size"] == 96
    assert "Image size 70 does not fit" in refusal(*words, "--image-size", "70")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.zip", "--name", "x"], "nowhere.zip"),
        (["sample:digits", "--name", "…"], "at least one letter"),
        (["sample:digits", "--name", "x", "--targets", "conv"], "Target conv is unknown"),
        (["sample:digits", "--name", "x", "--rank", "0"], "Rank 0 is out of range"),
        (["sample:cats", "--name", "x"], "digits"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(words: list[str], sentence: str, refusal: Text) -> None:
    assert sentence in refusal("train", *words)


def test_a_sweep_trains_now_and_is_listed_as_one_group(
    colour_folders: ColourFolders, run_json: Json, text: Text
) -> None:
    colours = colour_folders()
    tried = ["--try", "lr=0.001,0.01", "--try", "image-size=32", "--try", "blocks=1", "--try", "epochs=1"]
    document = run_json("sweep", str(colours), "--name", "hues", *tried, "--now")
    assert [row["tries"] for row in document["runs"]] == [{"lr": 0.001}, {"lr": 0.01}]
    assert {row["status"] for row in document["runs"]} == {"completed"}
    assert document["runs"][0]["published"] == "hues@1"
    listed = run_json("runs", "list", "--group", document["group"][:8])
    assert {row["run"] for row in listed} == {row["run"] for row in document["runs"]}
    assert {row["group"] for row in listed} == {document["group"]}
    assert run_json("runs", "list", "--group", "ffff") == []
    assert "hues" in text("runs", "list", "--search", document["group"][:8])


def test_a_sweep_that_does_not_fit_into_the_queue_queues_nothing(
    colour_folders: ColourFolders, run_json: Json, refusal: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    colours = colour_folders()
    monkeypatch.setenv("LORAVIT_MAX_QUEUED_RUNS", "2")
    told = refusal("sweep", str(colours), "--name", "hues", "--try", "rank=2,4,8")
    assert "has 3 runs, and the queue has room for 2 of 2" in told
    assert run_json("runs", "list", "--slug", "hues") == []
