"""Pages of runs."""

from collections.abc import Callable
from typing import Any

import pytest

from registry import UNKNOWN, InvalidQuery, NewEvaluation, NewRun, NewVersion, Registry, Run, RunQuery

MakeRun = Callable[..., NewRun]


@pytest.fixture
def history(registry: Registry, new_run: MakeRun) -> list[Run]:
    """Three runs, oldest first: queued, running and cancelled."""
    queued = registry.runs.create(new_run(slug="aepfel", title="ÄPFEL & Birnen"))
    running = registry.runs.create(new_run(slug="cats", title="Cats 100%"), worker="w")
    cancelled = registry.runs.create(new_run(slug="cats", title="Cats"))
    registry.runs.request_stop(cancelled.id, "cancel")
    return [queued, running, cancelled]


def test_a_run_has_and_is_found_by_the_name_that_its_user_has_for_the_dataset(
    registry: Registry, new_run: MakeRun
) -> None:
    first = registry.runs.create(new_run(slug="one", title="One"), actor="ann")
    second = registry.runs.create(new_run(slug="two", title="Two", dataset_name="Hunde"), actor="bob")
    assert (first.dataset.name, second.dataset.name) == ("pets", "Hunde")
    assert registry.runs.get(second.id).dataset.name == "Hunde"
    assert [run.id for run in registry.search.runs(RunQuery(text="hunde")).runs] == [second.id]
    assert [run.id for run in registry.search.runs(RunQuery(text="pets")).runs] == [first.id]


@pytest.mark.parametrize(
    ("asked", "places"),
    [
        ({}, [2, 1, 0]),
        ({"statuses": ("queued", "running")}, [1, 0]),
        ({"slug": "cats"}, [2, 1]),
        ({"slug": "cats", "statuses": ("queued",)}, []),
        ({"text": "cats"}, [2, 1]),
        ({"text": "äpfel"}, [0]),
        ({"text": "BIRNEN ÄPFEL"}, [0]),
        ({"text": "100%"}, [1]),
        ({"text": "_"}, []),
        ({"text": "pets"}, [2, 1, 0]),
        ({"text": "cats", "statuses": ("cancelled",)}, [2]),
        ({"text": "a\0b"}, []),
        ({"slug": "\ud800"}, []),
        ({"owners": ("ann", UNKNOWN)}, [2, 1, 0]),
        ({"owners": ("bob",)}, []),
    ],
)
def test_a_query_finds_the_newest_runs_first_that_meet_all_its_conditions(
    registry: Registry, history: list[Run], asked: dict[str, Any], places: list[int]
) -> None:
    page = registry.search.runs(RunQuery(**asked))
    assert [run.id for run in page.runs] == [history[place].id for place in places]
    assert page.total == len(places)


def test_a_search_finds_a_run_by_the_beginning_of_its_id(registry: Registry, history: list[Run]) -> None:
    (run,) = registry.search.runs(RunQuery(text=history[0].id[:12])).runs
    assert run.id == history[0].id


@pytest.mark.parametrize("text", ["", "cats"])
def test_pages_hold_every_run_once(registry: Registry, new_run: MakeRun, text: str) -> None:
    made = [registry.runs.create(new_run(title="Cats")).id for _ in range(5)]
    pages = [registry.search.runs(RunQuery(text=text, page=page, limit=2)) for page in (1, 2, 3, 4)]
    assert [run.id for page in pages for run in page.runs] == made[::-1]
    assert {(page.total, page.pages) for page in pages} == {(5, 3)}


@pytest.mark.parametrize("text", ["", "cats"])
def test_runs_are_counted_by_status_whatever_statuses_are_asked_for(
    registry: Registry, history: list[Run], text: str
) -> None:
    found = registry.search.run_counts(RunQuery(text=text, slug="cats", statuses=("queued",)))
    assert found == {"running": 1, "cancelled": 1}
    assert registry.search.run_counts(RunQuery(text=text, owners=("bob",))) == {}


def test_an_unknown_status_is_refused(registry: Registry) -> None:
    with pytest.raises(InvalidQuery, match="Use one of queued, running"):
        registry.search.runs(RunQuery(statuses=("done",)))  # type: ignore[arg-type]


def test_the_summaries_of_many_runs_are_read_together(registry: Registry, history: list[Run]) -> None:
    for run, accuracy in zip(history[:2], (0.5, 0.75), strict=True):
        registry.runs.log_metrics(run.id, 1, {"val_accuracy": accuracy, "val_loss": 9.0})
    found = registry.search.run_summaries([run.id for run in history], "val_accuracy")
    assert {run_id: one.maximum for run_id, one in found.items()} == {
        history[0].id: 0.5,
        history[1].id: 0.75,
    }


def test_a_run_has_the_validation_accuracy_of_the_newest_version_that_it_published(
    registry: Registry, new_run: MakeRun, new_version: Callable[..., NewVersion]
) -> None:
    run = registry.runs.create(new_run(), worker="w")
    other = registry.runs.create(new_run(), worker="w")
    for weights, accuracy in ((b"1", 0.5), (b"2", 0.75)):
        results = (
            NewEvaluation("validation", 8, accuracy, 0.5, 0.5),
            NewEvaluation("test", 8, 0.25, 0.5, 0.5),
        )
        registry.catalog.publish(new_version(weights, run_id=run.id, evaluations=results), actor="ann")
    assert registry.search.published_accuracies([run.id, other.id]) == {run.id: 0.75}
