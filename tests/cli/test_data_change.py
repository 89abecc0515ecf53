"""``data``: revisions of stored datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loravit_web.datasets import DatasetStore
from tests.cli.conftest import Json, Text
from tests.datasets.makers import CATS_AND_DOGS, folder_of, png, zip_of


def pets(home: Path, folder: Path) -> str:
    archive = zip_of(folder / "pets.zip", CATS_AND_DOGS)
    return DatasetStore(home / "datasets").imported_by("shell").import_source(archive).fingerprint


def test_images_are_added_by_folder_or_to_one_class(
    home: Path, tmp_path: Path, run_json: Json, text: Text, refusal: Text
) -> None:
    fingerprint = pets(home, tmp_path)
    more = zip_of(tmp_path / "more.zip", {"cat/8.png": png(30), "dog/8.png": png(31)})
    document = run_json("data", "add", "pets", str(more))
    assert (document["name"], document["images"], document["classes"]) == ("pets", 7, ["cat", "dog"])
    assert document["revision"] == {
        "number": 2,
        "first": fingerprint,
        "before": fingerprint,
        "added": 2,
        "left_out": 0,
        "moved": 0,
        "renamed": [],
        "merged": [],
    }
    folder = folder_of(
        tmp_path / "wolves", {"1.png": png(32), "2.png": png(33), "cat.png": CATS_AND_DOGS["cat/1.png"]}
    )
    told = text("data", "add", "pets", str(folder), "--class", "wolf")
    assert "“pets, revision 3”" in told
    assert "has 9 images in 3 classes: 2 images added." in told
    assert "cat.png: it is in the dataset already, as “cat”" in told
    assert "None of" in refusal("data", "add", "pets", str(folder), "--class", "wolf")
    (one, two, three) = run_json("data", "show", "pets")["revisions"]
    assert [row["revision"] for row in (one, two, three)] == [1, 2, 3]
    assert "2 images added" in text("data", "show", "pets@2")
    assert sorted(row["revision"] for row in run_json("data", "list")) == [1, 2, 3]


def test_classes_are_renamed_and_merged(home: Path, tmp_path: Path, run_json: Json, refusal: Text) -> None:
    pets(home, tmp_path)
    more = zip_of(tmp_path / "more.zip", {"kitten/8.png": png(30), "kitten/9.png": png(31)})
    run_json("data", "add", "pets", str(more), "--classes-at", "1")
    merged = run_json("data", "merge-classes", "pets", "cat", "kitten", "--into", "feline")
    assert (merged["classes"], merged["revision"]["number"]) == (["dog", "feline"], 3)
    renamed = run_json("data", "rename-class", "pets", "dog", "hound")
    assert (renamed["classes"], renamed["versions"]) == (["feline", "hound"], [])
    assert renamed["revision"]["renamed"] == [["dog", "hound"]]
    assert "has no class “dog”. Choose one of" in refusal("data", "rename-class", "pets", "dog", "cur")


def test_a_version_answers_with_a_new_name_without_a_training(
    trained: dict[str, Any], run_json: Json, text: Text, tmp_path: Path, refusal: Text
) -> None:
    renamed = run_json("data", "rename-class", "colours", "red", "rosy", "--in-answers")
    assert renamed["versions"] == ["colours@1"]
    image = next((tmp_path / "colours").rglob("red/*.png"))
    shown = run_json("adapters", "title-class", "colours", "green", "leafy")
    assert shown == {
        "adapter": "colours@1",
        "class_names": ["green", "red"],
        "titles": {"red": "rosy", "green": "leafy"},
    }
    assert "leafy" in text("predict", str(image), "--task", "colours")
    assert "colours@1 answers with green, rosy." in text(
        "adapters", "title-class", "colours@1", "leafy", "--as-trained"
    )
    assert "has no class 'blue'" in refusal("adapters", "title-class", "colours", "blue", "sky")
