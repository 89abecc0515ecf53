"""``data``: what is stored, and what is deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loravit_web.access.rights import SHELL
from loravit_web.datasets import DatasetStore
from registry import Registry
from tests.cli.conftest import Json, Text
from tests.datasets.makers import CATS_AND_DOGS, zip_of


def pets(home: Path, folder: Path) -> str:
    """Import five images, and return their fingerprint."""
    archive = zip_of(folder / "pets.zip", {**CATS_AND_DOGS, "cat/notes.txt": b"x"})
    return DatasetStore(home / "datasets").imported_by("ann").import_source(archive).fingerprint


def test_stored_datasets_are_listed_with_who_imported_them(
    home: Path, tmp_path: Path, run_json: Json, text: Text
) -> None:
    assert text("data", "list") == "No stored datasets. Import one in Train.\n"
    fingerprint = pets(home, tmp_path)
    (row,) = run_json("data", "list")
    assert row.pop("megabytes") >= 0
    assert row == {
        "dataset": fingerprint,
        "name": "pets",
        "revision": 1,
        "images": 5,
        "classes": 2,
        "labels": "one",
        "source": "zip",
        "imported_by": ["ann"],
        "problem": None,
    }
    assert fingerprint[:12] in text("data", "list")


def test_a_damaged_dataset_is_listed_with_its_problem(home: Path, tmp_path: Path, run_json: Json) -> None:
    fingerprint = pets(home, tmp_path)
    (home / "datasets" / fingerprint / "manifest.json").write_text("{")
    (row,) = run_json("data", "list")
    assert (row["dataset"], row["name"]) == (fingerprint, None)
    assert "is damaged. Import the images again" in row["problem"]


def test_a_dataset_is_shown_with_classes_imports_and_skipped_files(
    home: Path, tmp_path: Path, run_json: Json, text: Text
) -> None:
    fingerprint = pets(home, tmp_path)
    document = run_json("data", "show", "pets")
    assert document["dataset"] == fingerprint
    assert document["class_counts"] == [
        {"name": "cat", "train": 3, "validation": 0, "test": 0},
        {"name": "dog", "train": 2, "validation": 0, "test": 0},
    ]
    assert [entry["path"] for entry in document["skipped"]] == ["cat/notes.txt"]
    assert [(one["by"], one["name"]) for one in document["imports"]] == [("ann", "pets")]
    assert (document["runs"], document["versions"]) == ([], [])
    assert "1 skipped:" in text("data", "show", fingerprint[:8])


def test_what_was_trained_on_a_dataset_is_shown(trained: dict[str, Any], run_json: Json) -> None:
    document = run_json("data", "show", "colours")
    assert (document["versions"], document["runs"]) == (["colours@1"], [trained["run"]])
    assert document["imported_by"] == [SHELL.name]


def test_a_dataset_is_deleted_after_a_look_at_what_stays(
    trained: dict[str, Any], home: Path, registry: Registry, run_json: Json, text: Text, refusal: Text
) -> None:
    planned = run_json("data", "delete", "colours", "--dry-run")
    assert (planned["deleted"], len(list(home.glob("datasets/*/images")))) == (False, 1)
    done = run_json("data", "delete", "colours")
    assert done == {**planned, "deleted": True}
    assert [kept.split()[2] for kept in done["kept"]] == ["keeps", "keeps"]
    assert run_json("data", "list") == []
    assert list(home.glob("datasets/*")) == []
    assert registry.catalog.resolve("colours").ref == "colours@1"
    assert "No stored dataset begins with 'colours'" in refusal("data", "delete", "colours")


def test_a_deletion_is_told_in_words(home: Path, tmp_path: Path, text: Text) -> None:
    pets(home, tmp_path)
    assert text("data", "delete", "pets", "--dry-run") == "5 image files of “pets” would be deleted.\n"
    assert text("data", "delete", "pets") == "5 image files of “pets” were deleted.\n"


@pytest.mark.parametrize("form", ["folders", "csv", "imagefolder", "coco"])
def test_an_exported_dataset_is_imported_again(home: Path, tmp_path: Path, run_json: Json, form: str) -> None:
    fingerprint = pets(home, tmp_path)
    file = tmp_path / "out.zip"
    assert run_json("data", "export", "pets", str(file), "--format", form) == {
        "dataset": fingerprint,
        "name": "pets",
        "file": str(file),
        "format": form,
        "images": 5,
        "classes": 2,
        "numbered": False,
        "corrections": 0,
    }
    found = run_json("data", "check", str(file))
    assert (found["error"], [one["train"] for one in found["classes"]]) == (None, [3, 2])


def test_an_export_is_told_in_words_and_a_folder_that_is_missing_too(
    home: Path, tmp_path: Path, text: Text, refusal: Text
) -> None:
    pets(home, tmp_path)
    file = tmp_path / "out.zip"
    assert text("data", "export", "pets", str(file)) == f"Exported 5 images of “pets” to {file}.\n"
    missing = str(tmp_path / "missing" / "out.zip")
    assert "cannot be written (No such file or directory). Choose another file" in refusal(
        "data", "export", "pets", missing
    )
