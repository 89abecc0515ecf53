"""Many images become one table, each with its answers or its error."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from loravit_web.serving.answers import Answer, Label, TaskAnswer
from loravit_web.serving.predictor import Predictor
from loravit_web.serving.table import COLUMNS, NoImages, Row, as_csv, as_table, classify_files


class RedPredictor(Predictor):
    """Predictor that names the red value of an image's first pixel."""

    def __init__(self) -> None: ...

    def classify(self, image: Image.Image, tasks: Sequence[str], *, top_k: int = 5) -> Answer:
        red = image.getpixel((0, 0))[0]  # type: ignore[index]
        labels = (Label(f"red {red}", 0.75), Label("other", 0.25))[:top_k]
        return Answer(tuple(TaskAnswer(f"{task}@1", task, labels, None, 1.0) for task in tasks), 1.0)


def image_file(path: Path, red: int) -> Path:
    Image.new("RGB", (8, 8), (red, 0, 0)).save(path)
    return path


def zip_file(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_files_and_zips_become_rows_in_order_without_other_files(tmp_path: Path) -> None:
    one, two = image_file(tmp_path / "one.png", 1), image_file(tmp_path / "two.png", 2)
    archive = zip_file(
        tmp_path,
        {"b/three.png": two.read_bytes(), "a.png": one.read_bytes(), "notes.txt": b"", "__MACOSX/a.png": b""},
    )
    rows = classify_files(RedPredictor(), [two, archive], ["x"], top_k=1)
    assert [(row.image, row.results[0].labels[0].label) for row in rows] == [
        ("two.png", "red 2"),
        ("a.png", "red 1"),
        ("b/three.png", "red 2"),
    ]


def test_every_image_of_a_zip_has_a_row_with_its_labels_or_its_error(tmp_path: Path) -> None:
    good = image_file(tmp_path / "good.png", 1).read_bytes()
    names = {"IMG_0002": good, "photo.HEIC": good, "scan.psd": b"8BPS\0\x01", "cut.jpg": b"\xff\xd8\xff"}
    ignored = {"README": b"text", "labels.csv": b"a,b", "@eaDir/good.png/SYNOPHOTO_THUMB_M.jpg": good}
    rows = classify_files(RedPredictor(), [zip_file(tmp_path, {**names, **ignored})], ["x"], top_k=1)
    assert {row.image: row.error is None for row in rows} == {
        "IMG_0002": True,
        "photo.HEIC": True,
        "scan.psd": False,
        "cut.jpg": False,
    }


def test_an_invalid_image_has_an_error_and_the_others_have_answers(tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    rows = classify_files(RedPredictor(), [bad, image_file(tmp_path / "good.png", 7)], ["x"], top_k=2)
    assert rows[0].error is not None
    assert rows[1].error is None
    lines = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert [(line["image"], line["rank"], line["label"]) for line in lines] == [
        ("bad.png", "", ""),
        ("good.png", "1", "red 7"),
        ("good.png", "2", "other"),
    ]
    assert list(as_table(rows).columns) == ["image", "problem", "x@1"]


def test_a_missing_file_does_not_affect_the_others(tmp_path: Path) -> None:
    gone, good = classify_files(
        RedPredictor(), [tmp_path / "gone.png", image_file(tmp_path / "good.png", 7)], ["x"], top_k=1
    )
    assert gone.error is not None
    assert str(tmp_path) not in gone.error
    assert good.error is None


def test_a_task_named_like_a_column_does_not_replace_the_image() -> None:
    row = Row("cat.png", (TaskAnswer("image", "Image", (), "It is gone.", 0.0),), None)
    assert as_table([row]).to_dict("records") == [{"image": "cat.png"}]


def test_progress_reports_the_number_of_completed_images(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    files = [image_file(tmp_path / f"{n}.png", n) for n in range(3)]
    classify_files(
        RedPredictor(), files, ["x"], top_k=1, progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (3, 3)


def test_a_zip_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoImages, match="Choose images, or a zip of images"):
        classify_files(RedPredictor(), [zip_file(tmp_path, {"notes.txt": b"x"})], ["x"], top_k=1)


def test_a_damaged_zip_is_one_row_and_does_not_affect_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip")
    good = zip_file(tmp_path, {"red.png": image_file(tmp_path / "red.png", 200).read_bytes()})
    broken, red = classify_files(RedPredictor(), [tmp_path / "a.zip", good], ["x"], top_k=1)
    assert (broken.image, broken.results) == ("a.zip", ())
    assert "not a zip" in str(broken.error)
    assert red.error is None


HOSTILE = [
    "a\r=cmd()", "a\n=cmd()", "a\x0b=cmd()", "a\x0c=cmd()", "a\x85=cmd()", "a\u2028=cmd()", "a\u2029=cmd()",
    "\r=cmd()", "\t=cmd()", "\0=cmd()", " =cmd()", "'=cmd()", "\"=cmd()", "\u202e=cmd()", "\ufeff=x()",
    "=cmd()", "+1", "-1", "@x", "＝cmd()", "＋1", "－1", "＠x", "a;=cmd()", 'a";=cmd()', "a\",=x()", "\x1d-1",
    "\u200b@cmd", "a; =x()", "a;;@x",
]  # fmt: skip
FORMULA = tuple("=+-@\t\r＝＋－＠")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_of_a_csv_starts_a_formula(text: str) -> None:
    answered = Row(text, (TaskAnswer(text, "t", (Label(text, 0.5),), None, 1.0),), None)
    failed = Row(text, (TaskAnswer(text, "t", (), text, 1.0),), None)
    written = as_csv([answered, failed, Row(text, (), text)])
    for separator in ",;":
        lines = list(csv.reader(io.StringIO(written, newline=""), delimiter=separator))
        assert len(lines) == 4 == len(written.splitlines())
        for cell in (cell for line in lines for cell in line):
            assert not cell.lstrip(' "').startswith(FORMULA)
            assert cell == "" or cell.isprintable()
    assert all(len(line) == len(COLUMNS) for line in csv.reader(io.StringIO(written)))
    for cell in as_table([answered, failed]).to_numpy().ravel():
        assert not cell.startswith(FORMULA)


def test_ordinary_text_is_unchanged_in_the_csv() -> None:
    row = Row("été 1-2 (=).png", (TaskAnswer("t@1", "t", (Label("👩\u200d👧 a+b", 0.5),), None, 1.0),), None)
    (line,) = csv.DictReader(io.StringIO(as_csv([row])))
    assert (line["image"], line["label"], line["rank"]) == ("été 1-2 (=).png", "👩\u200d👧 a+b", "1")


def test_formulas_in_the_csv_are_escaped() -> None:
    row = Row("=cmd()", (TaskAnswer("t@1", "t", (Label("+1", 0.5),), None, 1.0),), None)
    (line,) = csv.DictReader(io.StringIO(as_csv([row])))
    assert (line["image"], line["label"]) == ("'=cmd()", "'+1")
    assert list(line) == COLUMNS


def test_the_table_and_the_csv_say_that_an_answer_is_unsure_or_an_image_unlike() -> None:
    labels = (Label("cat", 0.97), Label("dog", 0.03))
    answers = [
        TaskAnswer(f"t{number}@1", "t", labels, None, 1.0, novelty, confidence=confidence)
        for number, (confidence, novelty) in enumerate([(0.9, 0.5), (0.1, None), (0.1, 1.5)])
    ]
    rows = [Row("cat.png", tuple(answers), None), Row("bad.png", (), "It is damaged.")]
    (cells, _bad) = as_table(rows).to_dict("records")
    assert [cells[f"t{number}@1"] for number in range(3)] == [
        "cat 97%",
        "cat 97% (unsure)",
        "cat 97% (unlike the training images)",
    ]
    lines = list(csv.DictReader(io.StringIO(as_csv(rows))))
    columns = ("task", "unsure", "unlike", "doubt")
    told = [tuple(line[name] for name in columns) for line in lines if line["rank"] in ("1", "")]
    assert told == [
        ("t0@1", "false", "false", "0.35"),
        ("t1@1", "true", "", "2.8"),
        ("t2@1", "true", "true", "2.65"),
        ("", "", "", ""),
    ]
