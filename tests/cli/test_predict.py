"""``predict``: images in, labels out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from loravit_web.cli.main import main
from loravit_web.serving.table import COLUMNS
from tests.cli.conftest import Json, Text


@pytest.fixture
def image(trained: dict[str, Any], tmp_path: Path) -> str:
    """A red image, beside an adapter that knows red."""
    return str(tmp_path / "colours" / "test" / "red" / "0.png")


def test_each_image_is_classified_by_each_task(image: str, run_json: Json) -> None:
    document = run_json("predict", image, "--task", "colours", "--task", "colours@1", "--top-k", "1")
    assert document[0]["image"] == image
    assert [result["task"] for result in document[0]["results"]] == ["colours@1", "colours@1"]
    assert [len(result["labels"]) for result in document[0]["results"]] == [1, 1]
    assert document[0]["results"][0]["labels"][0]["label"] == "red"


def test_people_read_the_labels_with_their_scores(image: str, text: Text) -> None:
    name, labels = text("predict", image, "--task", "colours").splitlines()
    assert name == image
    assert labels.startswith("  colours@1: red ")


def test_the_labels_are_written_to_a_csv_file(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answers.csv"
    assert main(["predict", image, "--task", "colours", "--csv", str(file)]) == 0
    assert capsys.readouterr().out == ""
    frame = pd.read_csv(file)
    assert list(frame.columns) == COLUMNS
    assert len(frame) == 2


def test_json_and_csv_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "answers.csv"
    assert main(["predict", "x.png", "--task", "x", "--json", "--csv", str(file)]) == 2
    assert "'--json' / '--csv': use only one of them" in capsys.readouterr().err


def test_an_unknown_task_is_one_sentence_with_the_nearest_name(image: str, refusal: Text) -> None:
    assert "colours" in refusal("predict", image, "--task", "colors", "--json")


def test_a_missing_image_is_one_sentence(refusal: Text) -> None:
    assert "missing.jpg" in refusal("predict", "missing.jpg", "--task", "x")


def test_a_bad_image_has_an_error_and_the_others_are_classified(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut, file = tmp_path / "cut.png", tmp_path / "answers.csv"
    cut.write_bytes(Path(image).read_bytes()[:40])
    assert (
        main(["predict", image, str(cut), image, "--task", "colours", "--top-k", "1", "--csv", str(file)])
        == 1
    )
    assert "1 of 3 images could not be classified" in capsys.readouterr().err
    frame = pd.read_csv(file)
    assert list(frame["label"].fillna("")) == ["red", "", "red"]
    assert "cut.png" in frame["error"][1]


def test_a_bad_image_has_an_error_in_json(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", image, str(tmp_path / "gone.png"), "--task", "colours", "--json"]) == 1
    good, bad = json.loads(capsys.readouterr().out)
    assert good["results"]
    assert bad["results"] == []
    assert "gone.png" in bad["error"]


def test_the_images_of_a_folder_are_classified(image: str, run_json: Json) -> None:
    folder = Path(image).parent
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_bytes(b"")
    document = run_json("predict", str(folder), "--task", "colours", "--top-k", "1")
    assert [entry["image"] for entry in document] == [str(path) for path in sorted(folder.glob("[0-9]*.png"))]


def test_a_folder_without_images_is_refused(tmp_path: Path, refusal: Text) -> None:
    (tmp_path / "empty").mkdir()
    assert "contains no images" in refusal("predict", str(tmp_path / "empty"), "--task", "x")
