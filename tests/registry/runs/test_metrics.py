"""The metrics of a run and their summaries."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import MetricPoint, MetricSummary, NewRun, Registry, Run, RunLost, UnknownRun
from registry.runs.metrics import extend, summarize

POINTS = st.dictionaries(st.integers(0, 20), st.floats(width=32)).map(
    lambda values: [MetricPoint(step, value) for step, value in values.items()]
)


@pytest.fixture
def run(registry: Registry, new_run: Callable[..., NewRun]) -> Run:
    return registry.runs.create(new_run(), worker="w")


def test_points_are_returned_sorted_by_step(registry: Registry, run: Run) -> None:
    for step, loss in ((2, 0.5), (1, 0.9), (3, 0.7)):
        registry.runs.log_metrics(run.id, step, {"loss": loss, "accuracy": 1 - loss})
    expected = [MetricPoint(1, 0.9), MetricPoint(2, 0.5), MetricPoint(3, 0.7)]
    assert registry.runs.metrics(run.id)["loss"] == expected
    assert registry.runs.metrics(run.id, ["loss"]) == {"loss": expected}
    assert registry.runs.summary(run.id)["loss"] == MetricSummary(0.7, 3, 0.5, 2, 0.9, 1)


def test_nan_and_infinities_are_stored_but_stay_out_of_the_summary(registry: Registry, run: Run) -> None:
    for step, loss in enumerate((0.5, math.nan, math.inf, -math.inf)):
        registry.runs.log_metrics(run.id, step, {"loss": loss})
    values = [point.value for point in registry.runs.metrics(run.id)["loss"]]
    assert values[0] == 0.5
    assert math.isnan(values[1])
    assert values[2:] == [math.inf, -math.inf]
    assert registry.runs.summary(run.id) == {"loss": MetricSummary(0.5, 0, 0.5, 0, 0.5, 0)}


def test_a_step_logged_again_is_overwritten_in_series_and_summary(registry: Registry, run: Run) -> None:
    for step, loss in enumerate((0.9, 0.1, 0.5)):
        registry.runs.log_metrics(run.id, step, {"loss": loss})
    registry.runs.log_metrics(run.id, 1, {"loss": 0.7})
    assert [point.value for point in registry.runs.metrics(run.id)["loss"]] == [0.9, 0.7, 0.5]
    assert registry.runs.summary(run.id)["loss"] == MetricSummary(0.5, 2, 0.5, 2, 0.9, 0)


def test_overwriting_the_only_finite_value_with_nan_removes_the_summary(registry: Registry, run: Run) -> None:
    registry.runs.log_metrics(run.id, 0, {"loss": 0.9})
    registry.runs.log_metrics(run.id, 0, {"loss": math.nan})
    assert registry.runs.summary(run.id) == {}


def test_metrics_of_an_unknown_run_are_refused(registry: Registry) -> None:
    with pytest.raises(UnknownRun):
        registry.runs.log_metrics("missing", 0, {"loss": 1.0})


@given(POINTS)
def test_a_summary_matches_the_finite_values_of_its_series(points: list[MetricPoint]) -> None:
    finite = [point for point in points if math.isfinite(point.value)]
    found = summarize(points)
    if not finite:
        assert found is None
        return
    assert found is not None
    last = max(finite, key=lambda point: point.step)
    assert (found.last, found.last_step) == (last.value, last.step)
    assert found.minimum == min(point.value for point in finite)
    assert found.min_step == min(point.step for point in finite if point.value == found.minimum)
    assert found.maximum == max(point.value for point in finite)
    assert found.max_step == min(point.step for point in finite if point.value == found.maximum)


def test_a_non_finite_value_changes_no_summary() -> None:
    before = MetricSummary(1.0, 1, 1.0, 1, 1.0, 1)
    assert extend(before, MetricPoint(2, math.nan)) == before


def test_a_worker_that_goes_on_from_a_step_forgets_the_later_ones(registry: Registry, run: Run) -> None:
    for step, loss in enumerate((0.9, 0.5, 0.1)):
        registry.runs.log_metrics(run.id, step, {"loss": loss} | ({"late": 1.0} if step == 2 else {}))
    registry.runs.rewind(run.lease, 1)
    assert registry.runs.metrics(run.id) == {"loss": [MetricPoint(0, 0.9), MetricPoint(1, 0.5)]}
    assert registry.runs.summary(run.id) == {"loss": MetricSummary(0.5, 1, 0.5, 1, 0.9, 0)}


def test_a_worker_that_lost_the_run_neither_adds_points_nor_forgets_any(registry: Registry, run: Run) -> None:
    registry.runs.log_metrics(run.id, 1, {"loss": 0.5}, lease=run.lease)
    with pytest.raises(RunLost):
        registry.runs.log_metrics(run.id, 2, {"loss": 0.4}, lease=replace(run.lease, worker="other"))
    with pytest.raises(RunLost):
        registry.runs.rewind(replace(run.lease, worker="other"), 0)
    assert registry.runs.metrics(run.id) == {"loss": [MetricPoint(1, 0.5)]}


def test_it_is_known_when_a_step_was_logged(registry: Registry, run: Run) -> None:
    for step in (1, 2, 3):
        registry.runs.log_metrics(run.id, step, {"loss": 0.5})
    moments = registry.runs.logged_at(run.id, "loss", [1, 3, 9])
    assert set(moments) == {1, 3}
    assert moments[1] < moments[3]
