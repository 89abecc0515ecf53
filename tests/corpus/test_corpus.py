"""Every entry gets its expected answer, shows nothing of the machine and costs no later visitor anything."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loravit_web.access.rights import LOCAL
from loravit_web.actions import Actions
from loravit_web.catalog.naming import slugified
from loravit_web.datasets import ImageDataset, csv_with_zip
from loravit_web.errors import LoraVitError
from loravit_web.images.loading import load_rgb
from loravit_web.service import Service
from registry import RegistryError
from tests.corpus.adapters import BUNDLES, BundleEntry, Files, Published
from tests.corpus.annotations import ANNOTATED
from tests.corpus.answers import Refused, leak_in
from tests.corpus.archives import ARCHIVES, CSVS, IMAGES_OF_CSV, ArchiveEntry, CsvEntry, Imported, zipped
from tests.corpus.images import IMAGES, ImageEntry, Shown
from tests.corpus.names import NAMES, Named, NameEntry
from tests.corpus.requests import REQUESTS
from tests.corpus.tars import TARS
from tests.corpus.visits import Place
from tests.datasets.makers import CATS_AND_DOGS

pytestmark = pytest.mark.filterwarnings("ignore:Corrupt EXIF")


def each(entries: tuple[Any, ...]) -> Any:
    """One test per entry, under its name."""
    return pytest.mark.parametrize("entry", entries, ids=[one.name for one in entries])


def wrong(place: Place, entries: tuple[Any, ...], visit: Callable[[Any], list[str]]) -> dict[str, list[str]]:
    """What is wrong with the replies to each entry; now and then a good request is sent in between."""
    found = {}
    for number, entry in enumerate(entries, start=1):
        problems = visit(entry)
        if problems or number % 10 == 0 or entry is entries[-1]:
            problems += place.alive()
        if problems:
            found[entry.name] = problems
    return found


def test_the_corpus_is_as_large_as_it_should_be_and_names_no_entry_twice() -> None:
    assert len(IMAGES) >= 60
    assert len(ARCHIVES) + len(CSVS) + len(BUNDLES) >= 40
    for entries in (IMAGES, (*ARCHIVES, *ANNOTATED), TARS, CSVS, BUNDLES, NAMES, REQUESTS):
        names = [one.name for one in entries]
        assert len(set(names)) == len(names)


@each(IMAGES)
def test_an_image_is_the_expected_one_or_refused_in_one_sentence(entry: ImageEntry) -> None:
    if isinstance(entry.answer, Shown):
        assert entry.answer.fits(load_rgb(entry.make()))
        return
    with pytest.raises(LoraVitError) as caught:
        load_rgb(entry.make())
    assert type(caught.value) is entry.answer.error
    assert entry.answer.fits(str(caught.value))


def test_images_over_http(place: Place) -> None:
    assert wrong(place, IMAGES, place.image) == {}


def test_images_in_a_zip_are_taken_in_or_listed_with_their_sentence(service: Service, tmp_path: Path) -> None:
    files = {f"cat/{n}{Path(one.file).suffix.lower()}": (one, one.make()) for n, one in enumerate(IMAGES)}
    # the larger ones would each make the zip a bomb, or reach its limit together
    names = {path: one for path, (one, data) in files.items() if len(data) < 1 << 20}
    archive = tmp_path / "all.zip"
    archive.write_bytes(zipped({**CATS_AND_DOGS, **{path: files[path][1] for path in names}}))
    assert len(names) > 100
    dataset = service.datasets.import_source(archive)
    taken = {item.path for item in dataset.items}
    reasons = {one.path: one.reason for one in dataset.skipped}
    for path, entry in names.items():
        if isinstance(entry.answer, Shown):
            assert path in taken or "duplicate" in reasons[path], entry.name
        else:
            assert entry.answer.fits(reasons[path]), entry.name


def import_csv(service: Service, folder: Path, entry: CsvEntry) -> ImageDataset:
    csv, images = folder / "corpus.csv", folder / "corpus.zip"
    csv.write_bytes(entry.make())
    images.write_bytes(IMAGES_OF_CSV)
    with csv_with_zip(csv, images, service.datasets.archive_limits) as source:
        return service.datasets.import_opened(source)


def import_zip(service: Service, folder: Path, entry: ArchiveEntry) -> ImageDataset:
    archive = folder / "corpus.zip"
    archive.write_bytes(entry.make())
    return service.datasets.import_source(archive)


def import_tar(service: Service, folder: Path, entry: ArchiveEntry) -> ImageDataset:
    archive = folder / "corpus.tar.gz"
    archive.write_bytes(entry.make())
    return service.datasets.import_source(archive)


@each(TARS)
def test_a_tar_is_imported_as_expected_or_refused_in_one_sentence(
    service: Service, tmp_path: Path, entry: ArchiveEntry
) -> None:
    if isinstance(entry.answer, Imported):
        dataset = import_tar(service, tmp_path, entry)
        assert (dataset.classes, len(dataset.skipped)) == (entry.answer.classes, entry.answer.skipped)
        return
    with pytest.raises(LoraVitError) as caught:
        import_tar(service, tmp_path, entry)
    assert type(caught.value) is entry.answer.error
    assert entry.answer.fits(str(caught.value))
    assert leak_in(str(caught.value), tmp_path) is None


@each((*ARCHIVES, *ANNOTATED, *CSVS))
def test_data_is_imported_as_expected_or_refused_in_one_sentence(
    service: Service, tmp_path: Path, entry: ArchiveEntry | CsvEntry
) -> None:
    def take_in() -> ImageDataset:
        take: Any = import_csv if isinstance(entry, CsvEntry) else import_zip
        dataset: ImageDataset = take(service, tmp_path, entry)
        return dataset

    if isinstance(entry.answer, Imported):
        dataset = take_in()
        assert (dataset.classes, len(dataset.skipped)) == (entry.answer.classes, entry.answer.skipped)
        return
    with pytest.raises(LoraVitError) as caught:
        take_in()
    assert type(caught.value) is entry.answer.error
    assert entry.answer.fits(str(caught.value))
    assert leak_in(str(caught.value), tmp_path) is None


def test_zips_over_http(place: Place) -> None:
    assert wrong(place, (*ARCHIVES, *ANNOTATED), place.archive) == {}


def test_csvs_over_http(place: Place) -> None:
    assert wrong(place, CSVS, place.csv) == {}


@each(BUNDLES)
def test_a_bundle_is_published_or_refused_in_one_sentence(
    service: Service, good_files: Files, tmp_path: Path, entry: BundleEntry
) -> None:
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(entry.make(good_files))
    if isinstance(entry.answer, Published):
        assert Actions(service, LOCAL).import_bundle(bundle).title == entry.answer.title
        return
    with pytest.raises((LoraVitError, RegistryError)) as caught:
        Actions(service, LOCAL).import_bundle(bundle)
    assert isinstance(caught.value, entry.answer.error)
    assert entry.answer.fits(str(caught.value))
    assert leak_in(str(caught.value), tmp_path) is None


def test_bundles_over_http(place: Place, good_files: Files) -> None:
    assert wrong(place, BUNDLES, lambda entry: place.bundle(entry, good_files)) == {}


@each(NAMES)
def test_a_name_gives_the_expected_slug_and_title(entry: NameEntry) -> None:
    if isinstance(entry.answer, Refused):
        with pytest.raises(LoraVitError) as caught:
            slugified(entry.text)
        assert type(caught.value) is entry.answer.error
        assert entry.answer.fits(str(caught.value))
    else:
        assert Named(*slugified(entry.text)) == entry.answer


def test_names_over_http_stay_text_wherever_they_are_used(place: Place, good_files: Files) -> None:
    slugs = {entry.name: f"name-{number}" for number, entry in enumerate(NAMES)}
    assert wrong(place, NAMES, lambda entry: place.title(entry, good_files, slugs[entry.name])) == {}
    for start in range(0, len(NAMES), 10):
        assert place.ask(NAMES[start : start + 10]) == []
    assert wrong(place, NAMES, place.search) == {}


def test_what_no_page_sends_is_refused(place: Place) -> None:
    assert wrong(place, REQUESTS, place.request) == {}


def test_events_by_number_with_values_of_a_wrong_kind_show_nothing_of_the_machine(place: Place) -> None:
    turn = itertools.count()  # `python -m benchmarks corpus` tries all values with each event
    samples = itertools.count()  # one event each, which import seconds of images whatever they are given
    for call in place.visitor.config["dependencies"]:
        values = place.garbage_for(call["id"])
        if place.is_sample(call["id"]) and next(samples):
            continue
        if len(values) > 1:
            assert place.garbage(call["id"], values[next(turn) % len(values)]) == [], call["targets"]
    assert place.alive() == []
