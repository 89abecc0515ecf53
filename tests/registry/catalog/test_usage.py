"""Usage counters per version and hour."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from registry import InvalidValue, NewVersion, Registry, UsageCount, UsageTotal, Version

MakeVersion = Callable[..., NewVersion]
NINE = datetime(2026, 3, 1, 9, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


@pytest.fixture
def versions(registry: Registry, new_version: MakeVersion) -> list[Version]:
    return [registry.catalog.publish(new_version(str(i).encode()), actor="ann") for i in (1, 2)]


def test_counts_of_the_same_hour_are_added_and_hours_stay_separate(
    registry: Registry, versions: list[Version]
) -> None:
    first, _second = versions
    registry.usage.add([UsageCount(first.id, NINE + timedelta(minutes=59), 3, 1, 20.0, 15.0)])
    registry.usage.add(
        [UsageCount(first.id, NINE, 2, 0, 20.0, 12.0), UsageCount(first.id, NINE + HOUR, 1, 0, 5, 5)]
    )
    nine, ten = registry.usage.hours("pets")
    assert (nine.hour, nine.total) == (NINE, UsageTotal(5, 1, 10.0, 15.0))
    assert (ten.hour, ten.total) == (NINE + HOUR, UsageTotal(1, 0, 5.0, 5.0))
    assert registry.usage.total("pets") == UsageTotal(6, 1, 9.0, 15.0)


def test_usage_is_counted_per_version_and_summed_per_adapter(
    registry: Registry, versions: list[Version], new_version: MakeVersion
) -> None:
    other = registry.catalog.publish(new_version(slug="birds"), actor="ann")
    counts = [
        UsageCount(version.id, NINE, n, 0, n * 10.0, 10.0) for n, version in enumerate([*versions, other], 1)
    ]
    registry.usage.add(counts)
    assert registry.usage.totals("pets") == {1: UsageTotal(1, 0, 10.0, 10.0), 2: UsageTotal(2, 0, 10.0, 10.0)}
    assert registry.usage.total("pets").n == 3
    assert [one.total.n for one in registry.usage.hours("pets", version=2)] == [2]


def test_a_time_span_includes_the_hour_of_its_start_but_not_of_its_end(
    registry: Registry, versions: list[Version]
) -> None:
    registry.usage.add(UsageCount(versions[0].id, NINE + i * HOUR, 1, 0, 1.0, 1.0) for i in range(4))
    span = {"since": NINE + timedelta(minutes=90), "until": NINE + 3 * HOUR}
    assert [one.hour for one in registry.usage.hours("pets", **span)] == [NINE + HOUR, NINE + 2 * HOUR]
    assert registry.usage.total("pets", **span).n == 2
    assert registry.usage.totals("pets", **span)[1].n == 2
    elsewhere = timezone(timedelta(hours=5, minutes=30))
    assert registry.usage.total("pets", since=(NINE + HOUR).astimezone(elsewhere)).n == 3


def test_usage_without_answers_has_no_durations(registry: Registry, versions: list[Version]) -> None:
    assert registry.usage.total("pets") == UsageTotal(0, 0, None, None)
    assert registry.usage.totals("pets") == {}
    registry.usage.add([UsageCount(versions[0].id, NINE, 2, 2, 0.0, 0.0)])
    assert registry.usage.total("pets") == UsageTotal(2, 2, None, None)


def test_counts_of_an_unknown_version_do_not_prevent_storing_the_others(
    registry: Registry, versions: list[Version]
) -> None:
    registry.usage.add(
        [UsageCount(99, NINE, 1, 0, 1.0, 1.0), UsageCount(versions[0].id, NINE, 1, 0, 1.0, 1.0)]
    )
    assert registry.usage.total("pets").n == 1


@pytest.mark.parametrize(
    "count",
    [
        UsageCount(1, NINE, -1, 0, 1.0, 1.0),
        UsageCount(1, NINE, 1, 2, 1.0, 1.0),
        UsageCount(1, NINE, 1, 0, float("nan"), 1.0),
        UsageCount(1, NINE, 1, 0, 1.0, float("inf")),
        UsageCount(1, NINE.replace(tzinfo=None), 1, 0, 1.0, 1.0),
    ],
)
def test_an_impossible_count_is_refused_with_all_others(
    registry: Registry, versions: list[Version], count: UsageCount
) -> None:
    with pytest.raises(InvalidValue, match="usage count"):
        registry.usage.add([UsageCount(versions[0].id, NINE, 1, 0, 1.0, 1.0), count])
    assert registry.usage.total("pets").n == 0


def test_concurrent_writers_lose_no_count(registry: Registry, versions: list[Version]) -> None:
    counts = [UsageCount(version.id, NINE, 1, 0, 2.0, 2.0) for version in versions]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: registry.usage.add(counts), range(30)))
    assert registry.usage.total("pets") == UsageTotal(60, 0, 2.0, 2.0)


def test_counting_does_not_change_the_revision(registry: Registry, versions: list[Version]) -> None:
    revision = registry.revision()
    registry.usage.add([UsageCount(versions[0].id, NINE, 1, 0, 1.0, 1.0)])
    assert registry.revision() == revision
