"""The check of data tells what an import would give, effects first, and stores nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from loravit_web.cli.data import checked_document
from loravit_web.datasets.check import Checked, check
from loravit_web.datasets.similar import key_of, similar_names
from loravit_web.datasets.sources.opening import open_source
from tests.datasets.makers import CATS_AND_DOGS, images, png, zip_of

CASES = Path(__file__).resolve().parents[3] / "shared" / "data" / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not part of the repository")


def checked(data: Path) -> Checked:
    return check(open_source(data))


def document(tmp_path: Path, files: dict[str, bytes]) -> dict[str, Any]:
    return checked_document(checked(zip_of(tmp_path / "a.zip", files)))


def counts(found: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    return {one["name"]: (one["train"], one["validation"], one["test"]) for one in found["classes"]}


def test_the_document_has_classes_warnings_skipped_files_and_an_error(tmp_path: Path) -> None:
    found = document(tmp_path, {**CATS_AND_DOGS, "dog/notes.txt": b"x"})
    assert found == {
        "classes": [
            {"name": "cat", "train": 3, "validation": 0, "test": 0},
            {"name": "dog", "train": 2, "validation": 0, "test": 0},
        ],
        "warnings": [],
        "skipped": [{"path": "dog/notes.txt", "reason": found["skipped"][0]["reason"]}],
        "error": None,
    }


@pytest.mark.parametrize(
    "content", [b"", b"not an image", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"8BPS\0\x01"]
)
def test_a_class_without_a_readable_image_is_told_first(tmp_path: Path, content: bytes) -> None:
    found = document(
        tmp_path, {**CATS_AND_DOGS, "hen/1.heic": content, "hen/2.heic": content, "cat/x.txt": b""}
    )
    assert found["warnings"][0].startswith("The class “hen” has no readable image and is left out.")
    assert set(counts(found)) == {"cat", "dog"}


def test_unreadable_images_of_a_class_are_counted(tmp_path: Path) -> None:
    found = document(tmp_path, {**CATS_AND_DOGS, "cat/cut.png": png(7)[:50], "cat/empty.png": b""})
    assert found["warnings"] == ["2 of 5 images of “cat” cannot be read and are left out."]


def test_names_that_differ_only_in_case_or_form_are_told(tmp_path: Path) -> None:
    files = images(f"{name}/{n}.png" for name in ("Cat", "cat", "1", "1.0") for n in range(3))
    found = document(tmp_path, files)
    assert sum("although their names only differ" in warning for warning in found["warnings"]) == 2


def test_a_test_class_of_another_case_is_the_class_of_the_training_images(tmp_path: Path) -> None:
    files = images(
        f"{name}/{n}.png" for name in ("train/Cat", "train/Dog", "test/cat", "test/dog") for n in range(3)
    )
    found = document(tmp_path, files)
    assert counts(found) == {"Cat": (3, 0, 3), "Dog": (3, 0, 3)}
    assert "Validation and test images of “cat” were taken for the class “Cat”." in found["warnings"]


def test_masks_of_the_same_name_are_found_by_their_colors(tmp_path: Path) -> None:
    def mask(number: int) -> bytes:
        buffer = BytesIO()
        values = np.zeros((8, 8), dtype=np.uint8)
        values[: number + 1] = 255
        Image.fromarray(values).save(buffer, "PNG")
        return buffer.getvalue()

    photographs = images(f"{name}/{n}.jpg" for name in ("a", "b") for n in range(3))
    masks = {f"{name}/{n}.png": mask(n) for name in ("a", "b") for n in range(3)}
    found = document(tmp_path, {**photographs, **masks})
    assert counts(found) == {"a": (3, 0, 0), "b": (3, 0, 0)}
    assert "6 files of few colors" in found["warnings"][0]


def test_pages_bits_and_misleading_names_are_told(tmp_path: Path) -> None:
    def stored(image: Image.Image, **options: Any) -> bytes:
        buffer = BytesIO()
        image.save(buffer, "TIFF", **options)
        return buffer.getvalue()

    deep = [Image.fromarray(np.full((4, 4), 100 * (n + 1), dtype=np.uint16)) for n in range(3)]
    files = {f"a/{n}.tif": stored(image) for n, image in enumerate(deep)}
    pages = [Image.new("L", (4, 4), n) for n in range(4)]
    files |= {f"b/{n}.tif": stored(pages[n], save_all=True, append_images=pages[3:]) for n in range(3)}
    found = document(tmp_path, {**files, "b/photo": png(1), "b/text": b"no image"})
    assert found["error"] is None
    assert found["warnings"] == [
        "1 file of “b” was read by content, not by name: b/photo is a PNG file.",
        "Only the first page of 3 files with several pages is used, such as of b/0.tif.",
        "Images of more than 8 bits are scaled from 0 to 1023: 3 images.",
    ]


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"1.png": b"x", "2.png": b"x"}, "no class with images was found"),
        (
            {"a/1.psd": b"8BPS", "b/1.psd": b"8BPS"},
            "no image can be used .*Photoshop.* Save it as JPEG or PNG",
        ),
        ({f"{x}/{y}/1.png": b"x" for x in "ab" for y in "cd"}, "Choose the level of the class folders"),
        (
            {"a/1.png": b"x", "a/2.png": b"x", "b/1.png": b"x", "b/2.png": b"x"},
            "no image can be used|no class",
        ),
    ],
)
def test_the_error_names_the_true_cause(tmp_path: Path, files: dict[str, bytes], error: str) -> None:
    found = document(tmp_path, files)
    assert re.search(error, found["error"])


def test_a_refusal_names_the_most_frequent_reason_and_not_the_first_file(tmp_path: Path) -> None:
    files = {".DS_Store": b"x", "a-notes.txt": b"x", **{f"{n}.png": png(n) for n in range(5)}}
    found = document(tmp_path, files)
    assert "(5 of 7 skipped files, such as 0.png: it is not inside a class folder)" in found["error"]


def test_the_command_prints_one_document_without_loading_torch(tmp_path: Path) -> None:
    data = zip_of(tmp_path / "a.zip", CATS_AND_DOGS)
    code = (
        "import sys; from loravit_web.cli.main import main; code = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    run = [sys.executable, "-c", code, "data", "check", str(data), "--json"]
    done = subprocess.run(
        run, capture_output=True, text=True, check=True, env={"LORAVIT_HOME": str(tmp_path / "h")}
    )
    assert list(json.loads(done.stdout)) == ["classes", "warnings", "skipped", "error"]
    assert not (tmp_path / "h" / "datasets").exists()


def test_similar_names_have_one_key() -> None:
    assert key_of("Hot_Dog") == key_of("hot dog")
    assert key_of("1") == key_of("1.0") == key_of("01")
    assert key_of("1.5") != key_of("1")
    assert similar_names(["a", "b"]) == []


EXPECTED = {
    "case-differs-within": {"Cat": (6, 0, 0), "cat": (6, 0, 0), "dog": (6, 0, 0)},
    "class-lost-heic": {"cat": (8, 0, 0), "dog": (8, 0, 0), "hen": (8, 0, 0)},
    "class-then-split": {"cats": (10, 0, 4), "dogs": (10, 0, 4)},
    "codepage-ru866": {"кошки": (6, 0, 0), "собаки": (6, 0, 0)},
    "csv-headers": {"cat": (6, 0, 0), "dog": (6, 0, 0)},
    "csv-inside-zip": {"cat": (6, 0, 0), "dog": (6, 0, 0)},
    "csv-split-column": {"cat": (6, 0, 2), "dog": (6, 0, 2)},
    "masks-in-classes": {"COVID": (8, 0, 0), "Normal": (8, 0, 0)},
    "nas-thumbnails": {"cat": (6, 0, 0), "dog": (6, 0, 0)},
    "no-extension": {"cat": (8, 0, 0), "dog": (8, 0, 0)},
    "parts": {"cat": (6, 6, 6), "dog": (6, 6, 6)},
    "repo-download": {"circle": (8, 0, 0), "square": (8, 0, 0)},
    "split-names-training-testing": {"circle": (12, 0, 4), "square": (12, 0, 4), "triangle": (12, 0, 4)},
    "tiff-only": {"01_TUMOR": (6, 0, 0), "02_STROMA": (6, 0, 0)},
    "train-classes-test-flat": {"nok": (6, 0, 0), "ok": (6, 0, 0), "unsure": (6, 0, 0)},
    "twelve-bit-in-sixteen": {"nodule": (60, 0, 0), "normal": (60, 0, 0)},
    "unicode-path-field-ru": {"кошки": (6, 0, 0), "собаки": (6, 0, 0)},
}


@needs_cases
@pytest.mark.parametrize(("name", "classes"), EXPECTED.items(), ids=EXPECTED)
def test_each_case_gives_what_its_kind_needs(name: str, classes: dict[str, tuple[int, int, int]]) -> None:
    found = checked_document(checked(CASES / f"{name}.zip"))
    assert (counts(found), found["error"]) == (classes, None)
