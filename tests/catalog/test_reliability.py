"""How well a version tells what it does not know, in figures and sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loravit_web.catalog.facts import read_facts
from loravit_web.catalog.reliability import SplitReliability, reliability_of_version
from loravit_web.service import Service
from loravit_web.training.files.reliability import Told
from registry import BlobMissing, Run, Split, Thresholds, Version

TOLD = Told(n=200, unlike=2, unsure=30, correct=160)


@pytest.fixture
def version(service: Service, colours: Run) -> Version:
    return service.registry.catalog.version("colours@1")


def test_the_card_has_the_figures_of_the_test_images(service: Service, version: Version) -> None:
    found = read_facts(service.registry, service.predictor, "colours").reliability
    evaluation = version.evaluation("test")
    assert found is not None
    assert evaluation is not None
    assert (found.split, found.images, found.told.n) == ("test", evaluation.n, evaluation.n)
    assert found.told.unlike is not None
    assert found.calibration_error == evaluation.calibration_error


def test_the_figures_follow_the_thresholds(service: Service, version: Version) -> None:
    def told(thresholds: Thresholds) -> Told:
        changed = service.registry.thresholds.set(version.ref, thresholds, actor="ann")
        found = reliability_of_version(service.registry, changed)
        assert found is not None
        return found.told

    strict, lax = told(Thresholds(0.01, 1.0)), told(Thresholds(100.0, 0.0))
    assert strict.unlike == strict.n
    assert (lax.unlike, lax.unsure, lax.sure) == (0, 0, lax.n)


def test_a_version_whose_files_cannot_be_read_has_no_figures(
    service: Service, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_version: Version, _path: str) -> bytes:
        raise BlobMissing("task.json", "it is gone")

    assert reliability_of_version(service.registry, replace(version, evaluations=())) is None
    monkeypatch.setattr(service.registry.catalog, "read_file", missing)
    assert reliability_of_version(service.registry, version) is None


def test_the_sentences_name_the_number_of_images() -> None:
    assert SplitReliability("test", 200, TOLD, 0.032).sentences == (
        "On 200 test images:",
        "2 of 200 (1.0 %) called unlike the training images.",
        "30 of 200 (15.0 %) called unsure.",
        "160 of 168 (95.2 %, 95 % CI 91 to 98 %) of the other answers correct.",
        "Expected calibration error 3.2 %: mean distance of scores from the fraction of correct answers.",
    )


@pytest.mark.parametrize(
    ("images", "split", "first"),
    [(200, "validation", "On 200 validation images:"), (2000, "test", "On 200 of 2,000 test images:")],
)
def test_the_first_sentence_says_which_images_were_counted(images: int, split: Split, first: str) -> None:
    assert SplitReliability(split, images, TOLD, None).sentences[0] == first


def test_a_calibration_error_of_validation_images_is_named_as_one() -> None:
    shown = SplitReliability("validation", 200, TOLD, 0.032).sentences[-1]
    assert shown == (
        "Expected calibration error 3.2 %, on the images that calibrated the scores, so it may be too small."
    )


def test_what_a_version_cannot_tell_is_left_out() -> None:
    shown = SplitReliability("test", 3, Told(n=3, unlike=None, unsure=3, correct=0), None).sentences
    assert shown == ("On 3 test images:", "3 of 3 (100.0 %) called unsure.")
