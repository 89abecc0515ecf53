"""The points that are kept when a long curve is thinned."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry import DatasetClass, InvalidQuery, MetricPoint, NewBase, NewDataset, NewRun, Registry, Run
from registry.database.models import RunMetricRow


def abs_zero(value: float) -> float:
    """Return the value as SQLite stores it, which has no -0.0."""
    return value + 0.0


SERIES = st.dictionaries(
    st.one_of(st.integers(0, 60), st.integers(-(10**12), 10**12)),
    st.one_of(st.floats(), st.sampled_from([0.0, 1.0, math.nan, math.inf])).map(abs_zero),
    min_size=1,
    max_size=60,
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder: Path = tmp_path_factory.mktemp("curves")
    with Registry.open(f"sqlite:///{folder / 'registry.db'}", folder / "artifacts") as registry:
        yield registry


def stored(registry: Registry, *curves: dict[int, float]) -> Run:
    """Return a new run with the curves `0`, `1` and so on."""
    base = registry.bases.ensure(NewBase("vit_small", "a" * 64, "vit_small", 384, 12))
    classes = (DatasetClass("cat", 6, 2, 1),)
    dataset = registry.datasets.ensure(NewDataset("f" * 64, "pets", "zip", classes))
    run = registry.runs.create(NewRun("pets", "Pets", base.id, dataset.id, 1, {}, {}))
    with registry._database.writing() as session:
        session.add_all(
            RunMetricRow(
                run_id=run.id,
                key=str(key),
                step=step,
                value=value if math.isfinite(value) else None,
                nonfinite=None if math.isfinite(value) else str(value),
                ts=run.created_at,
            )
            for key, curve in enumerate(curves)
            for step, value in curve.items()
        )
    return run


def shown(points: list[MetricPoint]) -> list[tuple[int, str]]:
    """Return the values as texts, because NaN does not equal itself."""
    return [(point.step, repr(point.value)) for point in points]


def expected(curve: dict[int, float], max_points: int) -> list[tuple[int, str]]:
    """Return the points to keep by the same rule, computed without SQL."""
    steps = sorted(curve)
    if len(steps) <= max_points:
        return [(step, repr(curve[step])) for step in steps]
    all_finite = all(math.isfinite(value) for value in curve.values())
    buckets = (max_points - 2) // (2 if all_finite else 3)
    width = (steps[-1] - steps[0]) // buckets + 1
    kept = {steps[0], steps[-1]}
    for bucket in {(step - steps[0]) // width for step in steps}:
        inside = [step for step in steps if (step - steps[0]) // width == bucket]
        finite = [step for step in inside if math.isfinite(curve[step])]
        others = [step for step in inside if not math.isfinite(curve[step])]
        if finite:
            kept |= {
                min(finite, key=lambda step: (curve[step], step)),
                min(finite, key=lambda step: (-curve[step], step)),
            }
        kept |= set(others[:1])
    return [(step, repr(curve[step])) for step in sorted(kept)]


@settings(deadline=None)
@given(curve=SERIES, max_points=st.integers(5, 40))
def test_a_thinned_curve_keeps_its_ends_extremes_and_non_finite_values(
    opened: Registry, curve: dict[int, float], max_points: int
) -> None:
    points = opened.runs.metrics(stored(opened, curve).id, max_points=max_points)["0"]
    assert shown(points) == expected(curve, max_points)
    assert len(points) <= max_points or len(curve) <= max_points
    assert (points[0].step, points[-1].step) == (min(curve), max(curve))
    finite = [value for value in curve.values() if math.isfinite(value)]
    if finite:
        values = [point.value for point in points if math.isfinite(point.value)]
        assert (min(values), max(values)) == (min(finite), max(finite))
    assert len(finite) == len(curve) or any(not math.isfinite(point.value) for point in points)


def test_a_short_curve_keeps_all_points_beside_a_long_one(opened: Registry) -> None:
    run = stored(opened, {step: 1.0 / (step + 1) for step in range(1000)}, {5: 1.0, 6: math.nan})
    series = opened.runs.metrics(run.id, max_points=20)
    assert len(series["0"]) <= 20
    assert shown(series["1"]) == [(5, "1.0"), (6, "nan")]
    assert opened.runs.metrics(run.id, ["1"], max_points=20).keys() == {"1"}
    assert len(opened.runs.metrics(run.id)["0"]) == 1000


def test_a_constant_curve_is_thinned_too(opened: Registry) -> None:
    run = stored(opened, dict.fromkeys(range(1000), 0.5))
    points = opened.runs.metrics(run.id, max_points=32)["0"]
    assert [point.step for point in points] == [*range(0, 1000, 67), 999]


def test_a_curve_of_only_nan_keeps_some_points(opened: Registry) -> None:
    run = stored(opened, dict.fromkeys(range(1000), math.nan))
    points = opened.runs.metrics(run.id, max_points=32)["0"]
    assert len(points) == 11
    assert all(math.isnan(point.value) for point in points)


def test_a_limit_of_too_few_points_is_refused(opened: Registry) -> None:
    with pytest.raises(InvalidQuery, match="at least 5"):
        opened.runs.metrics("any", max_points=4)


def test_a_run_without_metrics_has_no_curves(registry: Registry, new_run: Callable[..., NewRun]) -> None:
    assert registry.runs.metrics(registry.runs.create(new_run()).id, max_points=100) == {}
