"""From a completed run to the images behind each answer."""

from __future__ import annotations

import pytest

from loravit_web.access.rights import LOCAL
from loravit_web.actions import Actions
from loravit_web.runs.results import (
    NoResult,
    Result,
    classes_in_view,
    details_of,
    images_behind,
    mistakes,
    result_of,
)
from loravit_web.service import Service
from loravit_web.training.recipe import Recipe
from registry import ClassMetric, ConfusionCell, EvaluationDetails, Run
from tests.conftest import RECIPE, ColourFolders, train_now


@pytest.fixture
def run(colours: Run) -> Run:
    return colours


def test_every_image_is_behind_exactly_one_cell(service: Service, run: Run) -> None:
    result = result_of(service.registry, run.id)
    dataset = service.datasets.load(run.dataset.fingerprint)
    assert result.splits == ("test", "validation")
    for split in result.splits:
        details = details_of(service.registry, result, split)
        cells = {(cell.true_idx, cell.predicted_idx): cell.n for cell in details.confusion}
        behind = {
            (true, predicted): images_behind(result, dataset, split, true, predicted)
            for true in range(2)
            for predicted in range(2)
        }
        assert {cell: len(found) for cell, found in behind.items() if found} == cells
        for (true, _), found in behind.items():
            assert all(one.item.label == true for one in found)
            scores = [one.answer.score for one in found]
            assert scores == sorted(scores, reverse=True)


def test_the_images_of_a_mistake_are_corrected_and_trained_again(service: Service, run: Run) -> None:
    result = result_of(service.registry, run.id)
    dataset = service.datasets.load(run.dataset.fingerprint)
    assert result.predictions is not None
    first = result.predictions["test"][0]
    corrected = Actions(service, LOCAL).correct(dataset.fingerprint, {(first.sha256, first.true): None})
    assert len(corrected.items) == len(dataset.items) - 1
    again = train_now(service, corrected, run.title, Recipe.from_json(run.config), service.new_worker())
    assert again.published == "colours@2"
    newer = result_of(service.registry, again.id)
    assert newer.run.dataset.name == "colours, revision 2"
    assert newer.run.dataset_revision is not None
    assert newer.run.dataset_revision["left_out"] == 1


def test_a_run_without_a_version_has_no_result(service: Service, colour_folders: ColourFolders) -> None:
    queued = Actions(service, LOCAL).queue_training(
        service.datasets.import_source(colour_folders()), "Colours", RECIPE
    )
    with pytest.raises(NoResult, match="has not published a version yet"):
        result_of(service.registry, queued.id)


def test_a_run_of_old_that_kept_no_answers_still_has_its_results(
    service: Service, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loravit_web.runs.results.PREDICTIONS", "something-else.json")
    result = result_of(service.registry, run.id)
    assert result.predictions is None
    dataset = service.datasets.load(run.dataset.fingerprint)
    assert images_behind(result, dataset, "test", 0, 0) == []
    assert details_of(service.registry, result, "test").confusion


def test_a_stored_dataset_is_named_by_its_fingerprint(service: Service, run: Run) -> None:
    assert Actions(service, LOCAL).import_dataset(f"dataset:{run.dataset.fingerprint[:12]}").name == "colours"


def details(*cells: tuple[int, int, int], classes: int = 4) -> EvaluationDetails:
    return EvaluationDetails(
        class_names=tuple("abcdefgh"[:classes]),
        classes=tuple(ClassMetric(1.0, 1.0, 1.0, 1) for _ in range(classes)),
        confusion=tuple(ConfusionCell(*cell) for cell in cells),
    )


def test_of_many_classes_the_confused_ones_are_drawn_in_their_order() -> None:
    confused = details((0, 0, 9), (1, 3, 2), (3, 3, 1))
    assert classes_in_view(confused, 4) == [0, 1, 2, 3]
    assert classes_in_view(confused, 2) == [1, 3]


def test_mistakes_come_most_frequent_first_without_what_is_right() -> None:
    found = mistakes(details((0, 0, 9), (0, 1, 1), (1, 0, 5)))
    assert [(cell.true_idx, cell.predicted_idx) for cell in found] == [(1, 0), (0, 1)]


def test_the_result_is_a_record_that_can_not_be_changed(service: Service, run: Run) -> None:
    result: Result = result_of(service.registry, run.id)
    with pytest.raises(AttributeError):
        result.predictions = None  # type: ignore[misc]  # that is the point
