"""An import is complete or has no effect; equal images are the same dataset."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from loravit_web.datasets import DatasetStore, ingestion
from loravit_web.datasets.errors import (
    ArchiveTooLarge,
    ClassTooSmall,
    DatasetDamaged,
    DatasetNotFound,
    DiskFull,
    StoreUnwritable,
    TooFewClasses,
    TooManyClasses,
    TooManyEntries,
    TooManyImages,
)
from loravit_web.datasets.sources.archives import ArchiveLimits
from loravit_web.datasets.stored import placing
from loravit_web.images.loading import encode_webp
from loravit_web.settings.limits import Limits
from loravit_web.settings.quota import Quota, QuotaReached

from .makers import CATS_AND_DOGS, folder_of, images, png, zip_of

SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared real images are not on this machine"
)


@pytest.fixture
def datasets(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "store", workers=2)


def leftovers(datasets: DatasetStore) -> list[str]:
    return sorted(path.name for path in datasets.root.iterdir()) if datasets.root.exists() else []


def test_images_are_stored_by_content(datasets: DatasetStore, tmp_path: Path) -> None:
    dataset = datasets.import_source(zip_of(tmp_path / "pets.zip", CATS_AND_DOGS))

    assert dataset.name == "pets"
    assert dataset.source_kind == "zip"
    assert dataset.classes == ("cat", "dog")
    assert [item.path for item in dataset.items] == list(CATS_AND_DOGS)
    for item in dataset.items:
        content = dataset.image_path(item).read_bytes()
        assert content == CATS_AND_DOGS[item.path]
        assert hashlib.sha256(content).hexdigest() == item.sha256
    assert leftovers(datasets) == [dataset.fingerprint] == datasets.list()


def test_loading_returns_the_imported_dataset(datasets: DatasetStore, tmp_path: Path) -> None:
    files = {**CATS_AND_DOGS, "cat/notes.txt": b"", "dog/cut.png": png(50)[:70]}
    dataset = datasets.import_source(folder_of(tmp_path / "pets", files), name="My  pets\n")
    assert dataset.name == "My pets"
    assert datasets.load(dataset.fingerprint) == dataset


def test_splits_are_counted_and_selected(datasets: DatasetStore, tmp_path: Path) -> None:
    files = images(
        f"{split}/{name}/{n}.png" for split in ("train", "test") for name in "ab" for n in range(2)
    )
    dataset = datasets.import_source(zip_of(tmp_path / "a.zip", {**files, "valid/b/9.png": png(99)}))
    assert dataset.counts() == {
        "a": {"train": 2, "val": 0, "test": 2},
        "b": {"train": 2, "val": 1, "test": 2},
    }
    assert [item.path for item in dataset.select("val")] == ["valid/b/9.png"]


def test_file_names_do_not_change_the_fingerprint_but_classes_do(
    datasets: DatasetStore, tmp_path: Path
) -> None:
    renamed = {path.replace(".png", "-copy.png"): content for path, content in CATS_AND_DOGS.items()}
    other_class = {path.replace("dog", "wolf"): content for path, content in CATS_AND_DOGS.items()}
    fingerprints = [
        datasets.import_source(zip_of(tmp_path / f"{number}.zip", files)).fingerprint
        for number, files in enumerate([CATS_AND_DOGS, renamed, other_class])
    ]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_importing_again_returns_the_stored_dataset_with_the_new_names_and_skipped_files(
    datasets: DatasetStore, tmp_path: Path
) -> None:
    first = datasets.import_source(zip_of(tmp_path / "first.zip", CATS_AND_DOGS))
    second = datasets.import_source(zip_of(tmp_path / "second.zip", {**CATS_AND_DOGS, "cat/x.txt": b"x"}))
    assert (second.fingerprint, second.name, second.items) == (first.fingerprint, "second", first.items)
    assert [entry.path for entry in second.skipped] == ["cat/x.txt"]
    assert leftovers(datasets) == [first.fingerprint]


def test_unreadable_images_are_listed_with_a_reason(datasets: DatasetStore, tmp_path: Path) -> None:
    files = {**CATS_AND_DOGS, "cat/empty.png": b"", "dog/cut.png": png(9)[:60], "dog/page.jpg": b"<html>"}
    dataset = datasets.import_source(zip_of(tmp_path / "a.zip", files))
    reasons = {entry.path: entry.reason for entry in dataset.skipped}
    assert "empty" in reasons["cat/empty.png"]
    assert "incomplete" in reasons["dog/cut.png"]
    assert "HTML" in reasons["dog/page.jpg"]
    assert len(dataset.items) == 5


def test_a_class_without_readable_images_is_named(datasets: DatasetStore, tmp_path: Path) -> None:
    files = {**CATS_AND_DOGS, "dog/1.png": b"broken"}
    with pytest.raises(
        ClassTooSmall,
        match=r"“dog” has only 1 training image \(dog/1.png was skipped: The file is not an image that the "
        r"app can read\)\. Add",
    ):
        datasets.import_source(zip_of(tmp_path / "a.zip", files))
    assert leftovers(datasets) == []


def test_a_duplicate_image_is_counted_once(datasets: DatasetStore, tmp_path: Path) -> None:
    dataset = datasets.import_source(zip_of(tmp_path / "a.zip", {**CATS_AND_DOGS, "cat/9.png": png(0)}))
    assert [(entry.path, entry.reason) for entry in dataset.skipped] == [
        ("cat/9.png", "it is a duplicate of cat/1.png")
    ]
    with pytest.raises(ClassTooSmall):
        datasets.import_source(
            zip_of(
                tmp_path / "b.zip",
                {"a/1.png": png(1), "a/2.png": png(1), "b/1.png": png(2), "b/2.png": png(3)},
            )
        )


def test_images_in_several_splits_or_classes_are_kept_with_a_warning(
    datasets: DatasetStore, tmp_path: Path
) -> None:
    files = {f"train/{path}": content for path, content in CATS_AND_DOGS.items()}
    files |= {"test/cat/leak.png": png(0), "train/dog/torn.png": png(1)}
    dataset = datasets.import_source(zip_of(tmp_path / "a.zip", files))
    assert len(dataset.items) == 7
    leak, ambiguous = dataset.warnings
    assert leak.startswith("1 image(s) appear in more than one of train, val and test")
    assert ambiguous.startswith("1 image(s) appear more than once with different labels")
    assert datasets.load(dataset.fingerprint).warnings == dataset.warnings


def test_progress_never_decreases_and_ends_at_one(datasets: DatasetStore, tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    files = images(f"{name}/{n}.png" for name in "ab" for n in range(120))
    datasets.import_source(zip_of(tmp_path / "a.zip", files), progress=lambda *step: seen.append(step))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert seen[-1] == (1.0, "Read 240 of 240 images")
    assert len(seen) == 3


def test_a_cancelled_import_leaves_nothing(datasets: DatasetStore, tmp_path: Path) -> None:
    class CancelledError(Exception):
        pass

    def cancel(fraction: float, sentence: str) -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        datasets.import_source(zip_of(tmp_path / "a.zip", CATS_AND_DOGS), progress=cancel)
    assert leftovers(datasets) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("intake")]


def test_the_order_does_not_depend_on_threads(tmp_path: Path) -> None:
    files = images(f"{name}/{n:03}.png" for name in "abc" for n in range(100))
    archive = zip_of(tmp_path / "a.zip", files)
    one, many = (DatasetStore(tmp_path / str(n), workers=n).import_source(archive) for n in (1, 8))
    assert one.items == many.items
    assert [item.path for item in one.items] == sorted(files)


def test_only_a_few_batches_are_in_memory(tmp_path: Path) -> None:
    files = list(images(f"a/{n}.png" for n in range(2000)).items())
    placements = [ingestion.Placement(n, path, "train", ("a",)) for n, (path, _) in enumerate(files)]
    read: list[int] = []

    def reading(index: int) -> bytes:
        read.append(index)
        return files[index][1]

    results = ingestion.ingest(placements, reading, tmp_path, workers=2)
    next(results)
    assert len(read) <= 5 * ingestion.BATCH_IMAGES
    results.close()
    assert len(read) <= 5 * ingestion.BATCH_IMAGES


def failing_with(number: int) -> Callable[[Path, bytes], None]:
    def write(path: Path, content: bytes) -> None:
        raise OSError(number, os.strerror(number), str(path))

    return write


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EACCES, StoreUnwritable)]
)
def test_a_disk_error_is_reported_and_leaves_nothing(
    datasets: DatasetStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[Exception],
) -> None:
    monkeypatch.setattr(ingestion, "_write_once", failing_with(number))
    with pytest.raises(kind, match="imported") as caught:
        datasets.import_source(zip_of(tmp_path / "a.zip", CATS_AND_DOGS))
    assert str(tmp_path) not in str(caught.value)
    assert leftovers(datasets) == []


def test_a_store_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnwritable, match="data folder"):
        DatasetStore(tmp_path / "file" / "store").import_source(zip_of(tmp_path / "a.zip", CATS_AND_DOGS))


def test_a_disk_that_is_full_at_the_manifest_leaves_nothing(
    datasets: DatasetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "write_manifest", failing_with(errno.ENOSPC))
    with pytest.raises(DiskFull):
        datasets.import_source(zip_of(tmp_path / "a.zip", CATS_AND_DOGS))
    assert leftovers(datasets) == []


def test_a_rejected_archive_leaves_nothing(datasets: DatasetStore, tmp_path: Path) -> None:
    with pytest.raises(ArchiveTooLarge):
        datasets.import_source(
            zip_of(tmp_path / "a.zip", CATS_AND_DOGS), limits=ArchiveLimits(max_total_bytes=300)
        )
    assert leftovers(datasets) == []


@pytest.mark.parametrize(
    ("limits", "refused", "sentence"),
    [
        (Limits(images=4), TooManyImages, "The dataset has 5 images, and the limit is 4. Use fewer images"),
        (Limits(classes=1), TooManyClasses, "There are 2 classes, and the limit is 1"),
        (Limits(files=4), TooManyEntries, "The archive has 5 entries, and the limit is 4"),
    ],
)
def test_an_import_above_a_limit_is_rejected_before_anything_is_written(
    tmp_path: Path, limits: Limits, refused: type[Exception], sentence: str
) -> None:
    datasets = DatasetStore(tmp_path / "store", limits=limits)
    with pytest.raises(refused, match=sentence):
        datasets.import_source(zip_of(tmp_path / "a.zip", CATS_AND_DOGS))
    assert not datasets.root.exists()


def test_an_image_above_the_limit_is_listed_and_the_others_are_imported(tmp_path: Path) -> None:
    large = encode_webp(Image.new("RGB", (1250, 1000)))
    datasets = DatasetStore(tmp_path / "store", limits=Limits(megapixels=1))
    dataset = datasets.import_source(zip_of(tmp_path / "a.zip", {**CATS_AND_DOGS, "cat/large.webp": large}))
    (skipped,) = dataset.skipped
    assert skipped.path == "cat/large.webp"
    assert "and the limit is 1 million pixels" in skipped.reason


def test_an_import_into_a_full_data_folder_is_rejected_and_leaves_nothing(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", CATS_AND_DOGS)
    for most in (0, 200):
        datasets = DatasetStore(tmp_path / "store", quota=Quota(tmp_path / "store", most))
        with pytest.raises(QuotaReached, match="LORAVIT_MAX_DISK_GIB"):
            datasets.import_source(archive)
        assert not datasets.root.exists() or leftovers(datasets) == []
    DatasetStore(tmp_path / "store", quota=Quota(tmp_path / "store", 100_000)).import_source(archive)


def test_an_invalid_layout_is_rejected_before_anything_is_written(
    datasets: DatasetStore, tmp_path: Path
) -> None:
    with pytest.raises(
        TooFewClasses,
        match="Put the images of each class into a folder",
    ):
        datasets.import_source(zip_of(tmp_path / "a.zip", {"1.png": png(1), "2.png": png(2)}))
    assert not datasets.root.exists()


@pytest.mark.parametrize("fingerprint", ["0" * 64, "../../etc", "", "a" * 63, ".import-x"])
def test_an_unknown_dataset_is_not_found(datasets: DatasetStore, fingerprint: str) -> None:
    with pytest.raises(DatasetNotFound, match="no stored dataset"):
        datasets.load(fingerprint)


@pytest.mark.parametrize("damage", ["{", "[]", '{"schema": 1}', None])
def test_a_changed_manifest_is_detected_and_repaired_by_importing_again(
    datasets: DatasetStore, tmp_path: Path, damage: str | None
) -> None:
    archive = zip_of(tmp_path / "a.zip", CATS_AND_DOGS)
    dataset = datasets.import_source(archive)
    manifest = dataset.root / "manifest.json"
    document = json.loads(manifest.read_text())
    document["classes"] = ["dog", "cat"]
    manifest.write_text(json.dumps(document) if damage is None else damage)
    with pytest.raises(DatasetDamaged, match="is damaged. Import the images again"):
        datasets.load(dataset.fingerprint)

    assert datasets.import_source(archive) == dataset
    assert datasets.load(dataset.fingerprint) == dataset
    assert leftovers(datasets) == [dataset.fingerprint]


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.write_bytes(b"")], ids=["gone", "empty"])
def test_a_missing_image_is_restored_by_importing_again(
    datasets: DatasetStore, tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    archive = zip_of(tmp_path / "a.zip", CATS_AND_DOGS)
    dataset = datasets.import_source(archive)
    lose(dataset.image_path(dataset.items[0]))
    again = datasets.import_source(archive)
    assert again.image_path(again.items[0]).read_bytes() == CATS_AND_DOGS["cat/1.png"]


def test_two_concurrent_imports_give_one_dataset(datasets: DatasetStore, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", CATS_AND_DOGS)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: datasets.import_source(archive), range(8)))
    assert len(set(results)) == 1
    assert leftovers(datasets) == [results[0].fingerprint]


def test_sweep_removes_only_old_temp_folders(tmp_path: Path) -> None:
    datasets = DatasetStore(tmp_path, clock=lambda: 10_000.0)
    kept = datasets.import_source(zip_of(tmp_path / "a.zip", CATS_AND_DOGS))
    for name, written in ((".import-old", 1_000.0), (".import-new", 9_500.0), (".import-busy", 1_000.0)):
        inner = tmp_path / name / "images" / "ab"
        inner.mkdir(parents=True)
        for folder in (inner, inner.parent, inner.parent.parent):
            os.utime(folder, (written, written))
    os.utime(tmp_path / ".import-busy" / "images" / "ab", (9_900.0, 9_900.0))

    assert datasets.list() == [kept.fingerprint]
    assert datasets.sweep(older_than=3_600) == 1
    assert sorted(path.name for path in tmp_path.glob(".import-*")) == [".import-busy", ".import-new"]
    assert datasets.load(kept.fingerprint) == kept


def test_an_empty_store_lists_nothing(datasets: DatasetStore) -> None:
    assert datasets.list() == []
    assert datasets.sweep(0) == 0


def test_the_digits_sample_always_has_the_same_fingerprint(datasets: DatasetStore) -> None:
    first = datasets.import_source("sample:digits")
    assert first.source_kind == "sample"
    assert first.classes == tuple("0123456789")
    assert len(first.items) + len(first.skipped) == 1797
    assert datasets.import_source("sample:digits").fingerprint == first.fingerprint


@needs_shared
def test_real_photographs_in_six_classes_are_imported_completely(datasets: DatasetStore) -> None:
    dataset = datasets.import_source(SHARED / "magnetic-tiles.zip")
    assert len(dataset.items) == 1344
    assert dataset.skipped == ()
    sizes = {name: counts["train"] for name, counts in dataset.counts().items()}
    assert (max(sizes.values()), min(sizes.values())) == (952, 32)
