"""Labels in JSON: COCO, Label Studio, and lists or lines of objects, in a folder, in a zip, and alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loravit_web.datasets.errors import (
    AmbiguousLayout,
    ClassNameTooLong,
    CsvPathOutside,
    DatasetError,
    InvalidAnnotations,
    NoAnnotations,
    TooManyEntries,
)
from loravit_web.datasets.layout.plan import Plan
from loravit_web.datasets.sources.annotations import json_text
from loravit_web.datasets.sources.annotations.entries import path_in
from loravit_web.datasets.sources.annotations.json_text import memory_of
from loravit_web.datasets.sources.annotations.reading import read_annotations
from loravit_web.datasets.sources.archives import ArchiveLimits
from loravit_web.datasets.sources.opening import open_source
from tests.datasets.makers import folder_of, images, png, zip_of

LABELS = {f"{number}.png": name for number, name in enumerate(["cat", "cat", "cat", "dog", "dog", "dog"])}
Placed = list[tuple[str, str, tuple[str, ...]]]


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def coco(labels: dict[str, Any], **more: Any) -> bytes:
    """COCO's JSON, with a box for each label; several labels are a list."""
    names = dict.fromkeys(name for value in labels.values() for name in listed(value))
    ids = {name: number for number, name in enumerate(names, start=7)}
    annotations = [
        {"id": number * 10 + place, "image_id": number, "category_id": ids[name], "bbox": [0, 0, 6, 6]}
        for number, value in enumerate(labels.values())
        for place, name in enumerate(listed(value))
    ]
    document = {
        "info": {"year": 2026},
        "images": [
            {"id": number, "file_name": path, "width": 6, "height": 6} for number, path in enumerate(labels)
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": name, "supercategory": "pet"} for name, number in ids.items()],
    }
    return json.dumps({**document, **more}).encode()


def task(path: str, *choices: str, question: str = "class", done: str = "annotations") -> dict[str, Any]:
    """A task of Label Studio with one annotation."""
    value = {"type": "choices", "from_name": question, "value": {"choices": list(choices)}}
    return {"id": 1, "data": {"image": path}, done: [{"result": [value], "was_cancelled": False}]}


def label_studio(labels: dict[str, str], path: str = "/data/upload/3/0a1b2c3d-{}", **more: Any) -> bytes:
    return json.dumps([task(path.format(name), label, **more) for name, label in labels.items()]).encode()


def lines(labels: dict[str, Any], path: str = "file_name", label: str = "label", **more: Any) -> bytes:
    objects = ({path: name, label: value, **more} for name, value in labels.items())
    return "\n".join(map(json.dumps, objects)).encode()


def planned(tmp_path: Path, files: dict[str, bytes], *, kind: str = "zip") -> Plan:
    data = zip_of(tmp_path / "a.zip", files) if kind == "zip" else folder_of(tmp_path / "a", files)
    with open_source(data) as source:
        return source.plan


def placed(plan: Plan) -> Placed:
    return sorted((place.path, place.split, place.class_names) for place in plan.placements)


WANTED = [(path, "train", (name,)) for path, name in LABELS.items()]
FORMS: dict[str, tuple[str, bytes]] = {
    "COCO": ("_annotations.coco.json", coco(LABELS)),
    "COCO of another name": ("result.json", coco(LABELS)),
    "COCO with text ids": (
        "labels.json",
        json.dumps(
            {
                "images": [{"id": path, "file_name": path} for path in LABELS],
                "annotations": [{"image_id": path, "category_id": name} for path, name in LABELS.items()],
                "categories": [{"id": name, "name": name} for name in ("cat", "dog")],
            }
        ).encode(),
    ),
    "Label Studio": ("project-1-at-2026.json", label_studio(LABELS)),
    "Label Studio before 1.0": ("tasks.json", label_studio(LABELS, done="completions")),
    "Label Studio, files of its machine": (
        "tasks.json",
        label_studio(LABELS, "/data/local-files/?d=pets%2F{}"),
    ),
    "Label Studio, a bucket": ("tasks.json", label_studio(LABELS, "s3://bucket/pets/{}")),
    "Label Studio, an address": ("tasks.json", label_studio(LABELS, "https://example.org/p/{}?token=1")),
    "Label Studio, short": (
        "min.json",
        json.dumps(
            [{"image": f"/data/upload/1/{path}", "choice": name} for path, name in LABELS.items()]
        ).encode(),
    ),
    "ImageFolder": ("metadata.jsonl", lines(LABELS)),
    "lines with empty ones": ("metadata.jsonl", b"\n" + lines(LABELS).replace(b"\n", b"\r\n\r\n") + b"\n\n"),
    "lines of another suffix": ("labels.ndjson", lines(LABELS, "image", "category")),
    "lines with a byte order mark": ("metadata.jsonl", b"\xef\xbb\xbf" + lines(LABELS)),
    "a list of objects": (
        "labels.json",
        json.dumps([{"path": path, "class": name, "note": None} for path, name in LABELS.items()]).encode(),
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_the_labels_of_a_file_beside_the_images_are_read(tmp_path: Path, form: str, kind: str) -> None:
    name, content = FORMS[form]
    plan = planned(tmp_path, {**images(LABELS), name: content}, kind=kind)
    assert placed(plan) == WANTED
    assert plan.labels == "one"
    assert plan.from_table
    assert f"The labels were read from {name}." in plan.notes


@pytest.mark.parametrize("form", FORMS)
def test_a_file_of_labels_is_opened_itself_too(tmp_path: Path, form: str) -> None:
    name, content = FORMS[form]
    if "0a1b2c3d-" in content.decode():
        pytest.skip("names of an upload are only found among the files of a folder")
    folder = folder_of(tmp_path / "a", {**images(LABELS), name: content})
    with open_source(folder / name) as source:
        assert [place.class_names for place in source.plan.placements] == [("cat",)] * 3 + [("dog",)] * 3
        assert source.read(0) == images(LABELS)["0.png"]


@pytest.mark.parametrize(
    "where",
    [
        ("", "images/"),
        ("pets/", "pets/images/"),
        ("annotations/", "images/"),
        ("data/annotations/", "data/val2017/"),
        ("a/b/c/", "a/"),
    ],
)
@pytest.mark.parametrize("make", [coco, lines], ids=["COCO", "lines"])
def test_images_are_found_wherever_they_are_beside_the_labels(
    tmp_path: Path, where: tuple[str, str], make: Callable[[dict[str, str]], bytes]
) -> None:
    at, around = where
    name = f"{at}labels.{'json' if make is coco else 'jsonl'}"
    files = {f"{around}{path}": content for path, content in images(LABELS).items()}
    plan = planned(tmp_path, {**files, name: make(LABELS)})
    assert [place.path for place in plan.placements] == list(files)


SPLIT = {"train": dict(list(LABELS.items())[:4]), "valid": {"4.png": "dog"}, "test": {"5.png": "dog"}}


@pytest.mark.parametrize(
    "layout",
    {
        "Roboflow": {f"{split}/_annotations.coco.json": coco(labels) for split, labels in SPLIT.items()},
        "ImageFolder": {f"{split}/metadata.jsonl": lines(labels) for split, labels in SPLIT.items()},
        "ImageFolder in CSV": {
            f"{split}/metadata.csv": "\n".join(
                ["file_name,label", *(f"{path},{name}" for path, name in labels.items())]
            ).encode()
            for split, labels in SPLIT.items()
        },
        "one file above": {
            "metadata.jsonl": lines(
                {f"{split}/{path}": name for split, labels in SPLIT.items() for path, name in labels.items()}
            )
        },
        "COCO's own": {
            f"annotations/instances_{split}2017.json": coco(labels) for split, labels in SPLIT.items()
        },
        "COCO's own in one file": {
            "annotations/all.json": coco(
                {f"{split}/{path}": name for split, labels in SPLIT.items() for path, name in labels.items()}
            )
        },
        "a key of splits": {
            "labels.json": json.dumps(
                [
                    {"file": path, "label": name, "split": split}
                    for split, labels in SPLIT.items()
                    for path, name in labels.items()
                ]
            ).encode()
        },
    }.items(),
    ids=lambda one: one[0],
)
def test_splits_are_read_from_folders_names_and_keys(
    tmp_path: Path, layout: tuple[str, dict[str, bytes]]
) -> None:
    files = {f"{split}/{path}": png(int(path[0])) for split, labels in SPLIT.items() for path in labels}
    plan = planned(tmp_path, {**files, **layout[1]})
    meant = {"train": "train", "valid": "val", "test": "test"}
    assert placed(plan) == sorted(
        (f"{split}/{path}", meant[split], (name,))
        for split, labels in SPLIT.items()
        for path, name in labels.items()
    )


SEVERAL = {path: [name] for path, name in LABELS.items()} | {"0.png": ["cat", "dog"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.json", coco(SEVERAL)),
        ("labels.jsonl", lines(SEVERAL)),
        ("tasks.json", dumped([task(path, *names) for path, names in SEVERAL.items()])),
    ],
    ids=["COCO", "lines", "Label Studio"],
)
def test_several_labels_of_an_image_are_read_and_told(tmp_path: Path, name: str, content: bytes) -> None:
    plan = planned(tmp_path, {**images(LABELS), name: content})
    assert plan.labels == "many"
    assert placed(plan)[0] == ("0.png", "train", ("cat", "dog"))
    assert any("Several labels per image" in note for note in plan.notes)


def test_images_without_an_annotation_are_left_out_or_have_no_label(tmp_path: Path) -> None:
    one = json.loads(coco(LABELS))
    one["annotations"] = one["annotations"][:-1]
    plan = planned(tmp_path, {**images(LABELS), "labels.json": json.dumps(one).encode()})
    assert len(plan.placements) == 5
    assert plan.effects == ("1 image left out, because no row of the table names them.",)
    one["annotations"].append({"image_id": 0, "category_id": 8})
    plan = planned(tmp_path, {**images(LABELS), "labels.json": json.dumps(one).encode()})
    assert placed(plan)[-1] == ("5.png", "train", ())


def test_boxes_are_told_to_be_unused(tmp_path: Path) -> None:
    plan = planned(tmp_path, {**images(LABELS), "labels.json": coco(LABELS)})
    assert any("Boxes and masks in “labels.json” are not used" in note for note in plan.notes)


def test_annotations_that_differ_are_told_and_cancelled_ones_do_not_count(tmp_path: Path) -> None:
    tasks = [task(path, name) for path, name in LABELS.items()]
    tasks[0]["annotations"].insert(0, {**task("", "dog")["annotations"][0], "was_cancelled": True})
    tasks[1]["annotations"] += task("", "dog")["annotations"]
    plan = planned(tmp_path, {**images(LABELS), "tasks.json": json.dumps(tasks).encode()})
    assert placed(plan) == WANTED
    assert any(note.startswith("1 task of “tasks.json”") for note in plan.notes)


def test_two_files_that_contradict_each_other_are_a_question(tmp_path: Path) -> None:
    other = {path: "dog" if name == "cat" else "cat" for path, name in LABELS.items()}
    with pytest.raises(AmbiguousLayout, match="The tables a.json and b.jsonl say different things"):
        planned(tmp_path, {**images(LABELS), "a.json": coco(LABELS), "b.jsonl": lines(other)})
    plan = planned(tmp_path, {**images(LABELS), "a.json": coco(LABELS), "b.jsonl": lines(LABELS)})
    assert placed(plan) == WANTED


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("package.json", b'{"name": "pets"}'),
        ("empty.json", b"[]"),
        ("numbers.json", b"[1, 2, 3]"),
        ("settings.json", b'[{"id": 1, "value": true}]'),
        ("captions.json", dumped({"images": [], "annotations": [{"image_id": 1}], "categories": []})),
        ("lines.jsonl", b'{"text": "a"}\n{"text": "b"}'),
        ("mixed.json", b'[{"file_name": "0.png", "label": "cat"}, 1]'),
    ],
)
def test_json_of_another_kind_is_no_table(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NoAnnotations, match="does not list images with labels"):
        read_annotations(tmp_path / name, 100)
    csv = b"path,label\n0.png,cat\n1.png,dog"
    plan = planned(tmp_path, {**images(LABELS), name: content, "labels.csv": csv})
    assert len(plan.placements) == 2


BROKEN: dict[str, tuple[str, bytes, type[DatasetError], str]] = {
    "no JSON": ("a.json", b"{", InvalidAnnotations, "“a.json” is not valid JSON. Export it again"),
    "no bytes": ("a.json", b"", InvalidAnnotations, "is not valid JSON"),
    "half a file": ("a.json", coco(LABELS)[:200], InvalidAnnotations, "is not valid JSON"),
    "a broken line": (
        "a.jsonl",
        lines(LABELS) + b"\n{",
        InvalidAnnotations,
        "Line 7 of “a.jsonl” is not valid",
    ),
    "Latin-1": ("a.json", '["é"]'.encode("latin-1"), InvalidAnnotations, "is not UTF-8 text"),
    "UTF-16": ("a.json", '["é"]'.encode("utf-16"), InvalidAnnotations, "is not UTF-8 text"),
    "nested deeply": ("a.json", b"[" * 100_000, InvalidAnnotations, "is nested too deeply"),
    "nested deeply in a line": ("a.jsonl", b'{"a":' * 100_000, InvalidAnnotations, "is nested too deeply"),
    "a number of 10,000 digits": ("a.json", b"9" * 10_000, InvalidAnnotations, "is not valid JSON"),
    "many small values": ("a.json", b"[" + b"[]," * 3_000_000 + b"1]", InvalidAnnotations, "is too large"),
    "many lines": ("a.jsonl", b"1\n" * 9_000_000, InvalidAnnotations, "is too large"),
    "an annotation of no image": (
        "a.json",
        coco(LABELS, annotations=[{"image_id": 99, "category_id": 7}]),
        InvalidAnnotations,
        "that is not listed",
    ),
    "an annotation of a list": (
        "a.json",
        coco(LABELS, annotations=[{"image_id": 1, "category_id": 7}, {"image_id": [], "category_id": {}}]),
        InvalidAnnotations,
        "that is not listed",
    ),
    "an annotation that is text": (
        "a.json",
        coco(LABELS, annotations=[{"image_id": 1, "category_id": 7}, "x"]),
        InvalidAnnotations,
        "that is not a JSON object",
    ),
    "a category without a name": (
        "a.json",
        coco(LABELS, categories=[{"id": 7}]),
        InvalidAnnotations,
        "without a name",
    ),
    "an image without an id": (
        "a.json",
        coco(LABELS, images=[{"file_name": "0.png"}]),
        InvalidAnnotations,
        "without an id",
    ),
    "an image that is a number": ("a.json", coco(LABELS, images=[5]), InvalidAnnotations, "without an id"),
    "two questions": (
        "a.json",
        json.dumps([task("0.png", "cat"), task("1.png", "good", question="quality")]).encode(),
        InvalidAnnotations,
        "answers several questions: “class” and “quality”",
    ),
    "no choices": (
        "a.json",
        json.dumps([{"data": {"image": "0.png"}, "annotations": []}]).encode(),
        InvalidAnnotations,
        "has no tasks with an image and choices",
    ),
    "a label that is an object": (
        "a.jsonl",
        lines({"0.png": {"name": "cat"}}),
        InvalidAnnotations,
        "neither a text nor a list",
    ),
    "an image that is an object": (
        "a.json",
        b'[{"image": {}, "label": "cat"}]',
        InvalidAnnotations,
        "has an object without image",
    ),
    "an unknown split": (
        "a.json",
        json.dumps(
            [
                {"file": f"{number}.png", "label": "cat", "split": split}
                for number, split in enumerate(["train", "test", "someday"])
            ]
        ).encode(),
        InvalidAnnotations,
        "the unknown split “someday”",
    ),
    "a label of 300 characters": (
        "a.jsonl",
        lines({"0.png": "x" * 300}),
        ClassNameTooLong,
        "has 300 characters",
    ),
    "more images than allowed": (
        "a.jsonl",
        lines({f"{number}.png": "cat" for number in range(101)}),
        TooManyEntries,
        "more than 100 images",
    ),
    "more images in COCO than allowed": (
        "a.json",
        coco({f"{number}.png": "cat" for number in range(101)}),
        TooManyEntries,
        "more than 100 images",
    ),
    "too many labels": (
        "a.jsonl",
        lines({"0.png": [str(number) for number in range(1001)]}),
        InvalidAnnotations,
        "1001 labels",
    ),
    "an image without a path": (
        "a.jsonl",
        lines({"..": "cat"}),
        InvalidAnnotations,
        "without a path or a label",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path, case: str) -> None:
    name, content, error, sentence = BROKEN[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=sentence) as refused:
        read_annotations(tmp_path / name, 100)
    assert str(tmp_path) not in str(refused.value)


def test_a_broken_file_is_told_if_no_other_has_labels(tmp_path: Path) -> None:
    with pytest.raises(InvalidAnnotations, match="“labels.json” is not valid JSON"):
        planned(tmp_path, {**images(LABELS), "labels.json": b"{"})
    plan = planned(tmp_path, {**images(LABELS), "broken.json": b"{", "labels.json": coco(LABELS)})
    assert placed(plan) == WANTED


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("cat/1.png", "cat/1.png"),
        ("./cat//1.png", "cat/1.png"),
        ("/home/ann/cat/1.png", "home/ann/cat/1.png"),
        ("../../etc/passwd", "etc/passwd"),
        ("C:\\pets\\1.png", "pets/1.png"),
        ("\\\\host\\share\\1.png", "1.png"),
        ("s3://bucket/cat/1.png", "cat/1.png"),
        ("https://example.org/a%20b/1.png?x=1#y", "a b/1.png"),
        ("https://example.org/%2e%2e/%2e%2e/1.png", "1.png"),
        ("/data/local-files/?d=cat/..%2F1.png", "cat/1.png"),
        ("a\0b/1.png", "1.png"),
        ("..", ""),
        ("", ""),
        ("100%/1.png", "100%/1.png"),
    ],
)
def test_a_path_leads_nowhere_outside(written: str, path: str) -> None:
    assert path_in(written) == path


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png(1))
    folder = folder_of(tmp_path / "a", {"labels.jsonl": lines({"link.png": "cat"})})
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(CsvPathOutside, match="names an image outside of its folder"):
        read_annotations(folder / "labels.jsonl", 10)


def test_no_file_outside_of_the_data_is_read_whatever_is_written(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png(99))
    labels = {"../secret.png": "cat", "a/../../secret.png": "dog", **LABELS}
    folder = folder_of(tmp_path / "a", {**images(LABELS), "labels.jsonl": lines(labels)})
    for data in (folder, folder / "labels.jsonl"):
        with open_source(data) as source:
            assert {place.path for place in source.plan.placements} == set(LABELS)


def test_what_a_file_takes_in_memory_is_bounded_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_text, "MAX_BYTES", 1000)
    (tmp_path / "a.json").write_bytes(b" " * 1001)
    with pytest.raises(InvalidAnnotations, match="is too large"):
        read_annotations(tmp_path / "a.json", 100)
    for text in ('{"a": [1, 2.5, "b"]}', "[[], [], []]", '{"a": {}, "b": {}}'):
        value = json.loads(text)
        assert memory_of(text) > len(json.dumps(value))


def test_json_files_of_single_images_do_not_hide_the_table(tmp_path: Path) -> None:
    files = {**images(LABELS)} | {path.replace(".png", ".json"): b"{}" for path in LABELS}
    files |= {f"more/{number:03}.json": b"{}" for number in range(100)}
    csv = "\n".join(["path,label", *(f"{path},{name}" for path, name in LABELS.items())]).encode()
    assert placed(planned(tmp_path, {**files, "z/labels.csv": csv})) == WANTED


def test_sizes_that_say_little_do_not_read_more_than_allowed(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {**images(LABELS), "a.json": b" " * 3_000_000 + coco(LABELS)})
    limits = ArchiveLimits(max_file_bytes=1 << 20)
    with pytest.raises(DatasetError, match="is larger than 1 MiB"), open_source(archive, limits):
        pass
