"""A hidden thing does not exist for a reader, in any query."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import event

from registry import (
    AdapterQuery,
    DatasetClass,
    NewDataset,
    NewEvaluation,
    NewRun,
    NewVersion,
    NotFound,
    Owners,
    Registry,
    RegistryError,
    Run,
    RunQuery,
    UnknownAdapter,
    UnknownDataset,
    UnknownReference,
    UnknownRun,
    UnknownRunFile,
    Visibility,
)
from tests.registry.conftest import FakeClock

GUESTS = Owners("guest")
MakeRun = Callable[..., NewRun]
MakeVersion = Callable[..., NewVersion]


@pytest.fixture
def runs(registry: Registry, new_run: MakeRun, new_version: MakeVersion) -> dict[str, Run]:
    """A run of each owner, with an adapter named after the owner; all from the same dataset."""
    found = {}
    for owner in ("ann", "guest-1", "guest-2"):
        slug = f"of-{owner}"
        run = registry.runs.create(new_run(slug=slug, title=f"Of {owner}"), actor=owner, worker="w")
        registry.runs.log_metrics(run.id, 1, {"val_accuracy": 0.5})
        registry.run_files.put(run.id, "predictions.json", owner.encode())
        registry.catalog.publish(
            new_version(
                owner.encode(),
                slug=slug,
                title=f"Of {owner}",
                run_id=run.id,
                class_names=(f"{owner}-a", f"{owner}-b"),
                tags=(f"tag-{owner}",),
                evaluations=(NewEvaluation("validation", 10, 0.75, 0.5, 0.625),),
            ),
            actor=owner,
        )
        registry.aliases.promote(f"{slug}@1", f"alias-{owner}", actor=owner)
        found[owner] = registry.runs.finish(run.lease, "completed")
    return found


@pytest.fixture
def second(registry: Registry, runs: dict[str, Run]) -> Registry:
    """The registry as guest-2 sees it."""
    return registry.seen_by(Visibility(GUESTS, own="guest-2"))


def test_a_name_is_matched_by_its_complete_first_word() -> None:
    assert [name in GUESTS for name in ("guest", "guest-1", "guesthouse", "Guest-1", "ann")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_lists_totals_and_filters_exclude_hidden_adapters(second: Registry) -> None:
    page = second.search.adapters(AdapterQuery(limit=1))
    assert (page.total, page.pages) == (2, 2)
    assert second.search.adapters(AdapterQuery(text="guest-1-a")).total == 0
    facets = second.search.facets(AdapterQuery())
    assert [facet.value for facet in facets.owners] == ["ann", "guest-2"]
    assert [facet.value for facet in facets.tags] == ["tag-ann", "tag-guest-2"]
    assert [facet.value for facet in facets.aliases] == ["alias-ann", "alias-guest-2"]
    assert [facet.n for facet in facets.bases] == [2]
    assert [one.slug for one in second.catalog.adapters()] == ["of-ann", "of-guest-2"]
    assert [one.slug for one in second.catalog.current()] == ["of-ann", "of-guest-2"]
    assert set(second.catalog.files_named("task.json", {"of-ann": 1, "of-guest-1": 1})) == {"of-ann"}
    assert not any("guest-1" in f"{event}" for event in second.catalog.events())


def test_lists_and_totals_exclude_hidden_runs(second: Registry, runs: dict[str, Run]) -> None:
    hidden = runs["guest-1"].id
    assert second.search.runs(RunQuery()).total == 2
    assert second.search.runs(RunQuery(text="guest-1")).total == 0
    assert second.search.run_summaries([hidden], "val_accuracy") == {}
    assert second.search.published_accuracies([hidden, runs["ann"].id]) == {runs["ann"].id: 0.75}
    assert hidden not in [run.id for run in second.runs.list()]
    assert hidden not in [run.id for run in second.runs.progress(20, active=20)]
    assert second.runs.count("completed") == 2
    assert (second.runs.metrics(hidden), second.runs.summary(hidden)) == ({}, {})
    assert second.runs.logged_at(hidden, "val_accuracy", [1]) == {}
    assert second.run_files.names(hidden) == []


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda one, slug, _run: one.catalog.resolve(slug), UnknownAdapter),
        (lambda one, slug, _run: one.catalog.version(f"{slug}@1"), UnknownAdapter),
        (lambda one, slug, _run: one.catalog.resolve(f"{slug}@alias-guest-1"), UnknownAdapter),
        (lambda one, slug, _run: one.catalog.adapter(slug), UnknownAdapter),
        (lambda one, slug, _run: one.catalog.versions(slug), UnknownAdapter),
        (lambda one, slug, _run: one.catalog.events(slug), UnknownAdapter),
        (lambda one, slug, _run: one.catalog.archive(slug, actor="x"), UnknownAdapter),
        (lambda one, slug, _run: one.catalog.withdraw(slug, 1, "no", actor="x"), UnknownAdapter),
        (lambda one, slug, _run: one.catalog.describe(slug, title="x", actor="x"), UnknownAdapter),
        (lambda one, slug, _run: one.aliases.list(slug), UnknownAdapter),
        (lambda one, slug, _run: one.aliases.history(slug), UnknownAdapter),
        (lambda one, slug, _run: one.aliases.promote(f"{slug}@1", "best", actor="x"), UnknownAdapter),
        (lambda one, slug, _run: one.usage.totals(slug), UnknownAdapter),
        (lambda one, slug, _run: one.comparer.compare([f"{slug}@1"]), UnknownAdapter),
        (lambda one, _slug, run: one.comparer.compare([run]), UnknownReference),
        (lambda one, _slug, run: one.runs.get(run), UnknownRun),
        (lambda one, _slug, run: one.runs.get(run[:8]), UnknownRun),
        (lambda one, _slug, run: one.runs.request_stop(run, "cancel"), UnknownRun),
        (lambda one, _slug, run: one.runs.requeue(run), UnknownRun),
        (lambda one, _slug, run: one.runs.queue_position(run), UnknownRun),
        (lambda one, _slug, run: one.run_files.read(run, "predictions.json"), UnknownRunFile),
    ],
)
def test_a_hidden_thing_behaves_like_a_missing_one(
    second: Registry,
    registry: Registry,
    runs: dict[str, Run],
    ask: Callable[[Registry, str, str], object],
    error: type[RegistryError],
    clock: FakeClock,
) -> None:
    slug, run = "of-guest-1", runs["guest-1"].id
    with pytest.raises(error) as hidden:
        ask(second, slug, run)
    assert registry.delete_inactive(
        Owners("guest-1"), before=clock() + timedelta(days=1), actor="app"
    ).runs == {run}
    with pytest.raises(error) as gone:
        ask(registry, slug, run)
    assert str(hidden.value) == str(gone.value)


def test_a_reader_sees_their_own_things(second: Registry, runs: dict[str, Run]) -> None:
    for owner in ("ann", "guest-2"):
        assert second.catalog.resolve(f"of-{owner}").owner == owner
        assert second.runs.get(runs[owner].id).published == f"of-{owner}@1"
        assert second.run_files.read(runs[owner].id, "predictions.json") == owner.encode()


def test_lineage_excludes_hidden_versions_and_runs(second: Registry, registry: Registry) -> None:
    lineage = second.lineage.of(second.catalog.resolve("of-ann"))
    assert lineage.same_data is not None
    assert (lineage.same_data.n_versions, lineage.same_data.versions) == (1, ("of-guest-2@1",))
    assert lineage.same_data.n_runs == 1
    assert second.lineage.of_base("vit_small").n_versions == 2
    assert registry.lineage.of_base("vit_small").n_versions == 3


def test_a_dataset_whose_every_use_is_hidden_is_unknown(
    registry: Registry, second: Registry, new_run: MakeRun
) -> None:
    classes = (DatasetClass("cat", 6, 2, 1), DatasetClass("dog", 5, 2, 0))
    data = registry.datasets.ensure(NewDataset("9" * 64, "secret", "zip", classes))
    registry.runs.create(new_run(dataset_id=data.id), actor="guest-1")
    for ask in (second.datasets.get, second.lineage.of_dataset):
        with pytest.raises(UnknownDataset):
            ask(data.fingerprint)
    assert registry.lineage.of_dataset(data.fingerprint).n_runs == 1


def test_positions_in_the_queue_count_hidden_runs(registry: Registry, new_run: MakeRun) -> None:
    registry.runs.create(new_run(), actor="guest-1")
    own = registry.runs.create(new_run(), actor="guest-2")
    second = registry.seen_by(Visibility(GUESTS, own="guest-2"))
    assert second.runs.queue_position(own.id) == 2
    assert second.runs.queue_positions() == {own.id: 2}
    assert second.runs.queue() == (own.id,)


def test_suggestions_exclude_hidden_adapters(second: Registry) -> None:
    with pytest.raises(NotFound) as found:
        second.catalog.resolve("of-guest-3")
    assert "of-guest-2" in str(found.value)
    assert "of-guest-1" not in str(found.value)


def test_every_query_for_owned_rows_filters_by_owner(
    registry: Registry, second: Registry, runs: dict[str, Run]
) -> None:
    """A new query without the filter fails here, if it is called here."""
    statements: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(" ".join(statement.split()))

    version, run = second.catalog.resolve("of-ann"), runs["ann"].id
    event.listen(registry._database.engine, "before_cursor_execute", listen)
    second.search.adapters(AdapterQuery(text="ann"))
    second.search.facets(AdapterQuery())
    second.search.runs(RunQuery(text="ann"))
    second.search.run_summaries([run], "val_accuracy")
    second.search.published_accuracies([run])
    second.catalog.adapters()
    second.catalog.versions("of-ann")
    second.catalog.events("of-ann")
    second.catalog.files_named("task.json", {"of-ann": 1})
    second.lineage.of(version)
    second.comparer.compare(["of-ann@1", run])
    second.runs.list()
    second.runs.progress(20, active=20)
    second.runs.queue()
    for table, owner in (("adapters", "adapters.owner"), ("runs", "runs.created_by")):
        reading = [one for one in statements if f"FROM {table}" in one or f"JOIN {table}" in one]
        # by row id, after the row was found to be visible
        reading = [one for one in reading if f"WHERE {table}.id = " not in one.partition(f"FROM {table}")[2]]
        # the order in which all runs are claimed, of which only the ids of visible runs are returned
        reading = [
            one for one in reading if "SELECT runs.id, runs.created_by, runs.created_at FROM" not in one
        ]
        assert reading
        light = [one for one in reading if f"{owner} = " not in one]
        assert all("adapters.id IN" in one for one in light), light
