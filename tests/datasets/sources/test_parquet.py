"""Parquet files with images are read by an optional package, or it is named in a sentence."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from loravit_web.datasets import DatasetStore
from loravit_web.datasets.errors import (
    ArchiveTooLarge,
    DatasetError,
    InvalidParquet,
    ParquetPackageMissing,
    TooManyEntries,
)
from loravit_web.datasets.sources import parquet
from loravit_web.datasets.sources.archives import ArchiveLimits
from loravit_web.datasets.sources.opening import open_source
from loravit_web.datasets.sources.parquet import plan_of_parquet
from tests.datasets.makers import folder_of, png

LABELS = ["cat", "cat", "cat", "dog", "dog", "dog"]


def written(
    path: Path, *, group: int = 2, features: dict[str, Any] | None = None, **columns: list[Any]
) -> Path:
    """Write a Parquet file of six images beside other columns, or of the given columns alone."""
    arrow = pytest.importorskip("pyarrow")
    images = [{"bytes": png(number), "path": f"{number}.png"} for number in range(6)]
    table = arrow.table({"image": images, **columns})
    if features is not None:
        told = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
        table = table.replace_schema_metadata(told)
    path.parent.mkdir(parents=True, exist_ok=True)
    importlib.import_module("pyarrow.parquet").write_table(table, path, row_group_size=2)
    return path


def test_without_the_package_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(parquet.importlib, "import_module", missing)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ParquetPackageMissing, match=r"need the package pyarrow\. Install it with pip"):
        plan_of_parquet({"a.parquet": tmp_path / "a.parquet"}, ArchiveLimits())


def test_images_and_texts_as_labels_are_read(tmp_path: Path) -> None:
    dataset = DatasetStore(tmp_path / "store").import_source(written(tmp_path / "pets.parquet", label=LABELS))
    assert (dataset.name, dataset.source_kind, dataset.classes) == ("pets", "parquet", ("cat", "dog"))
    assert [item.path for item in dataset.items] == [f"pets/{number}.png" for number in range(6)]
    assert [dataset.image_path(item).read_bytes() for item in dataset.items] == [
        png(number) for number in range(6)
    ]


def test_names_of_classes_come_from_the_hubs_features(tmp_path: Path) -> None:
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    file = written(tmp_path / "a.parquet", label=[0, 0, 1, 1, -1, 7], features=features)
    with open_source(file) as source:
        assert [place.class_name for place in source.plan.placements] == ["cat", "cat", "dog", "dog"]
        assert source.plan.effects == ("2 rows without a label left out.",)


def test_shards_of_a_folder_are_splits_by_their_names(tmp_path: Path) -> None:
    for name, labels in (
        ("train-00000-of-00002", LABELS),
        ("train-00001-of-00002", LABELS),
        ("test-00000-of-00001", LABELS),
    ):
        written(tmp_path / "repo" / "data" / f"{name}.parquet", label=labels)
    folder_of(tmp_path / "repo", {"README.md": b"x"})
    with open_source(tmp_path / "repo") as source:
        assert [place.split for place in source.plan.placements] == ["test"] * 6 + ["train"] * 12
        assert source.name == "repo"


def test_a_column_of_splits_and_one_of_paths_are_read(tmp_path: Path) -> None:
    split = ["train", "train", "test", "train", "train", "test"]
    file = written(tmp_path / "a.parquet", category=LABELS, split=split, embedding=[[0.5] * 3] * 6)
    with open_source(file) as source:
        assert [place.split for place in source.plan.placements] == split


def test_lists_are_several_labels(tmp_path: Path) -> None:
    labels = [["cat", "dog"], ["cat"], [], ["dog"], ["cat"], ["dog"]]
    with open_source(written(tmp_path / "a.parquet", labels=labels)) as source:
        assert source.plan.labels == "many"
        assert [place.class_names for place in source.plan.placements][:3] == [("cat", "dog"), ("cat",), ()]


@pytest.mark.parametrize("order", [[5, 0, 3], [0, 0, 1], [4, 5, 2]])
def test_images_are_read_in_any_order(tmp_path: Path, order: list[int]) -> None:
    with open_source(written(tmp_path / "a.parquet", label=LABELS)) as source:
        assert [source.read(number) for number in order] == [png(number) for number in order]


def test_plain_bytes_are_images_and_rows_without_are_listed(tmp_path: Path) -> None:
    data = [*(png(number) for number in range(5)), None]
    file = written(tmp_path / "a.parquet", label=LABELS, image=data)
    dataset = DatasetStore(tmp_path / "store").import_source(file)
    assert [(entry.path, entry.reason) for entry in dataset.skipped] == [
        ("a/000005", "its row has no image, or one that is too large")
    ]


@pytest.mark.parametrize(
    ("limits", "error"),
    [(ArchiveLimits(max_entries=5), TooManyEntries), (ArchiveLimits(max_total_bytes=300), ArchiveTooLarge)],
)
def test_limits_are_checked_before_images_are_read(
    tmp_path: Path, limits: ArchiveLimits, error: type[DatasetError]
) -> None:
    file = written(tmp_path / "a.parquet", label=LABELS)
    with pytest.raises(error), open_source(file, limits):
        pass


def test_large_row_groups_and_other_columns_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"a.parquet": written(tmp_path / "a.parquet", label=LABELS)}
    with monkeypatch.context() as patch:
        patch.setattr(parquet, "MAX_GROUP_BYTES", 100)
        with pytest.raises(InvalidParquet, match="smaller row groups"):
            plan_of_parquet(files, ArchiveLimits())
    monkeypatch.setattr(parquet, "MAX_LABEL_BYTES", 10)
    with pytest.raises(InvalidParquet, match="beside its images. Remove columns"):
        plan_of_parquet(files, ArchiveLimits())


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"note": LABELS}, "has no column of labels"),
        ({"label": LABELS, "mask": [b"x"] * 6}, "has 2 columns of images instead of one"),
        ({"label": LABELS, "image": LABELS}, "has 0 columns of images instead of one"),
    ],
)
def test_files_without_images_or_labels_are_refused(
    tmp_path: Path, columns: dict[str, list[Any]], sentence: str
) -> None:
    with (
        pytest.raises(InvalidParquet, match=sentence),
        open_source(written(tmp_path / "a.parquet", **columns)),
    ):
        pass


def test_damaged_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    good = written(tmp_path / "good.parquet", label=LABELS).read_bytes()
    broken = [b"", b"PAR1" * 100, good[:-20], good[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1"]
    for number, content in enumerate(broken):
        file = tmp_path / f"{number}.parquet"
        file.write_bytes(content)
        with pytest.raises(InvalidParquet, match="Write or download"), open_source(file):
            pass


@pytest.mark.slow
def test_flipped_bytes_give_an_import_or_a_sentence_and_never_end_the_app(tmp_path: Path) -> None:
    good = written(tmp_path / "good.parquet", label=LABELS).read_bytes()
    file = tmp_path / "flipped.parquet"
    footer = len(good) - 600  # where one byte can make pyarrow abort its process
    for at in range(footer, len(good), 97):
        file.write_bytes(bytes([*good[:at], good[at] ^ 0x55, *good[at + 1 :]]))
        try:
            DatasetStore(tmp_path / "store").import_source(file)
        except DatasetError as error:
            assert str(tmp_path) not in str(error)


def test_a_process_that_is_aborted_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr("sys.executable", "/bin/false")
    with (
        pytest.raises(InvalidParquet, match="are damaged or too large to read"),
        open_source(tmp_path / "a.parquet"),
    ):
        pass
