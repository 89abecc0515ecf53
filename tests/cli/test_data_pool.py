"""``data pool``: from images without labels to the next revision of the training data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loravit_web.cli.data_pool import _doubted_lines
from loravit_web.cli.main import main
from loravit_web.datasets import ImageItem
from loravit_web.runs.suspects import Doubted
from loravit_web.training.files.suspects import SUSPECTS
from tests.cli.conftest import Json, Text, open_home
from tests.conftest import make_colours


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return make_colours(tmp_path / "pool", per_class=3, names=("skipped", "green")) / "green"


def test_images_are_added_shown_confirmed_and_joined(
    trained: dict[str, Any], images: Path, run_json: Json, text: Text, refusal: Text
) -> None:
    assert text("data", "pool", "list") == "No pools. Add images with data pool add.\n"
    added = run_json("data", "pool", "add", "colours", str(images))
    assert (added["task"], added["added"], added["open"], added["not_added"]) == ("colours", 3, 3, [])
    shown = run_json("data", "pool", "next", "colours", "--most", "2")
    assert len(shown) == 2
    assert {one["label"] for one in shown[0]["labels"]} == {"green", "red"}
    assert Path(shown[0]["file"]).read_bytes()
    first, second = (one["sha256"] for one in shown)
    confirmed = run_json("data", "pool", "confirm", "colours", first[:12], "green")
    assert (confirmed["label"], confirmed["confirmed_by"]) == ("green", "shell")
    assert "is skipped." in text("data", "pool", "confirm", "colours", second[:12], "--skip")
    assert "is open again." in text("data", "pool", "confirm", "colours", second[:12], "--reopen")
    joined = run_json("data", "pool", "join", "colours")
    assert (joined["joined"], joined["revision"]["added"]) == (1, 1)
    (row,) = run_json("data", "pool", "list")
    assert (row["images"], row["open"], row["collecting"]) == (2, 2, False)
    assert "No image of the pool of colours is confirmed" in refusal("data", "pool", "join", "colours")
    assert text("data", "pool", "delete", "colours", second[:12]) == "1 image deleted.\n"
    assert run_json("data", "pool", "delete", "colours") == {"task": "colours", "deleted": 1}


def test_labels_of_the_data_that_look_wrong_are_named_below_the_images() -> None:
    items = [ImageItem(f"cat/{n}.png", "train", (0,), "0" * 64, ".png") for n in range(2)]
    doubted = [Doubted(item, "cat", "dog", 0.975) for item in items]
    assert _doubted_lines([], 0) == []
    assert (
        _doubted_lines(doubted[:1], 1)[0]
        == "1 label of the training data looks wrong. Look at the images first:"
    )
    assert _doubted_lines(doubted[:1], 2) == [
        "2 labels of the training data look wrong. Look at the images first:",
        "  cat/0.png: “cat”, probably “dog” (98%)",
    ]


def test_a_damaged_list_of_suspects_is_told_beside_the_images(
    trained: dict[str, Any], images: Path, run_json: Json, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_json("data", "pool", "add", "colours", str(images))
    with open_home(home) as registry:
        registry.run_files.put(trained["run"], SUSPECTS, b"{")
    capsys.readouterr()
    assert main(["data", "pool", "next", "colours", "--most", "2", "--json"]) == 0
    printed = capsys.readouterr()
    assert len(json.loads(printed.out)) == 2
    assert "note: The suspicious labels of the run cannot be read" in printed.err


def test_the_pool_of_a_deleted_adapter_goes_with_it(
    trained: dict[str, Any], images: Path, run_json: Json
) -> None:
    run_json("data", "pool", "add", "colours", str(images))
    shown = run_json("adapters", "delete", "colours")
    assert any("its pool without labels are deleted" in text for text in shown["consequences"])
    assert len(run_json("data", "pool", "list")) == 1
    run_json("adapters", "delete", "colours", "--yes")
    assert run_json("data", "pool", "list") == []


def test_images_of_requests_are_kept_only_once_that_is_switched_on(
    trained: dict[str, Any], run_json: Json, text: Text
) -> None:
    told = "Images of unsure and unlike answers"
    assert text("data", "pool", "collect", "colours") == f"{told} are not kept.\n"
    assert run_json("data", "pool", "collect", "colours", "--on")["collecting"]
    assert text("data", "pool", "collect", "colours") == f"{told} are kept.\n"
    assert not run_json("data", "pool", "collect", "colours", "--off")["collecting"]


def test_a_pool_needs_a_task_of_the_catalog(images: Path, refusal: Text) -> None:
    assert "nothing" in refusal("data", "pool", "add", "nothing", str(images))
