"""Pages of adapters: results, order and number of queries."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, event, select

from registry import (
    AdapterQuery,
    Base,
    Facet,
    InvalidQuery,
    NewBase,
    NewEvaluation,
    NewVersion,
    Registry,
)
from registry.catalog.summaries import refresh_summary
from registry.database.models import AdapterRow, AdapterSummaryRow, AdapterTagRow, AliasRow, VersionRow
from registry.queries import MAX_LIMIT, MAX_TEXT, SHOWN_CLASSES, SHOWN_DESCRIPTION
from tests.registry.conftest import FakeClock

MakeVersion = Callable[..., NewVersion]


def tag(registry: Registry, slug: str, *tags: str) -> None:
    with registry._database.writing() as session:
        adapter = session.scalars(select(AdapterRow).filter_by(slug=slug)).one()
        session.add_all(AdapterTagRow(adapter_id=adapter.id, tag=one) for one in tags)
        refresh_summary(session, adapter)


def point_alias(registry: Registry, slug: str, alias: str, version: int) -> None:
    with registry._database.writing() as session:
        row = session.scalars(
            select(VersionRow)
            .join(AdapterRow, AdapterRow.id == VersionRow.adapter_id)
            .where(AdapterRow.slug == slug, VersionRow.version == version)
        ).one()
        now = registry._database.now()
        session.add(
            AliasRow(
                adapter_id=row.adapter_id,
                alias=alias,
                version_id=row.id,
                moved_at=now,
                moved_by="ann",
                protected=0,
            )
        )


def found(registry: Registry, **asked: Any) -> list[str]:
    return [entry.slug for entry in registry.search.adapters(AdapterQuery(**asked)).entries]


@pytest.fixture
def zoo(registry: Registry, new_version: MakeVersion) -> Registry:
    """Four adapters: birds and cats in use, dogs archived, eels withdrawn."""

    def publish(slug: str, accuracy: float, actor: str, versions: int = 1, **changes: Any) -> None:
        for number in range(versions):
            evaluation = NewEvaluation("validation", 10, accuracy, 0.1, 0.5, accuracy / 2)
            new = new_version(f"{slug}{number}".encode(), slug=slug, evaluations=(evaluation,), **changes)
            registry.catalog.publish(new, actor=actor)

    other = registry.bases.ensure(NewBase("vit_base", "b" * 64, "vit_base_patch16", 768, 12))
    publish("cats", 0.9, "ann", title="Cats", class_names=("Siamese", "Persian"))
    publish("birds", 0.7, "bob", versions=3, title="Garden birds", base_id=other.id, class_names=("Robin",))
    publish("dogs", 0.8, "ann", adapter_type="PREFIX")
    publish("eels", 0.6, "ann")
    registry.catalog.archive("dogs", actor="ann")
    registry.catalog.withdraw("eels", 1, "mislabelled", actor="ann")
    tag(registry, "cats", "indoor", "small")
    tag(registry, "birds", "outdoor", "small")
    point_alias(registry, "birds", "production", 2)
    return registry


def test_an_entry_summarizes_the_newest_version(zoo: Registry, base: Base) -> None:
    (entry,) = zoo.search.adapters(AdapterQuery(text="siamese")).entries
    newest = entry.newest
    assert newest is not None
    assert (entry.slug, entry.title, entry.owner, entry.status) == ("cats", "Cats", "ann", "active")
    assert (entry.versions, entry.tags, entry.aliases) == (1, ("indoor", "small"), {})
    assert (newest.version, newest.base, newest.base_sha256) == (1, base.name, base.weights_sha256)
    assert (newest.adapter_type, newest.image_size, newest.n_params) == ("LORA", 112, 1000)
    assert (newest.n_classes, newest.class_names) == (2, ("Siamese", "Persian"))
    assert (newest.accuracy, newest.linear_probe_accuracy) == (0.9, 0.45)
    assert newest.size_bytes == zoo.catalog.resolve("cats").size_bytes
    assert newest.published_at == zoo.catalog.resolve("cats").created_at


def test_the_accuracy_is_that_of_the_test_split_if_there_is_one(
    registry: Registry, new_version: MakeVersion
) -> None:
    splits = (
        NewEvaluation("validation", 10, 0.9, 0.1, 0.5, 0.8),
        NewEvaluation("test", 10, 0.7, 0.1, 0.5, 0.6),
    )
    registry.catalog.publish(new_version(evaluations=splits), actor="ann")
    (entry,) = registry.search.adapters(AdapterQuery()).entries
    assert entry.newest is not None
    assert (entry.newest.validation_accuracy, entry.newest.test_accuracy) == (0.9, 0.7)
    assert (entry.newest.accuracy, entry.newest.linear_probe_accuracy) == (0.7, 0.6)
    assert found(registry, min_accuracy=0.7) == ["pets"]
    assert found(registry, min_accuracy=0.8) == []


ASKED: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({}, ["birds", "cats"]),
    ({"status": None}, ["birds", "cats", "dogs", "eels"]),
    ({"status": "archived"}, ["dogs"]),
    ({"status": "withdrawn"}, ["eels"]),
    ({"text": "robin"}, ["birds"]),
    ({"text": "BIRDS gar"}, ["birds"]),
    ({"text": "outdoor"}, ["birds"]),
    ({"text": "birds siamese"}, []),
    ({"base": "vit_base"}, ["birds"]),
    ({"base": "a" * 64}, ["cats"]),
    ({"adapter_type": "PREFIX", "status": None}, ["dogs"]),
    ({"alias": "production"}, ["birds"]),
    ({"alias": "latest", "status": None}, ["birds", "cats", "dogs"]),
    ({"tags": ("small",)}, ["birds", "cats"]),
    ({"tags": ("small", "indoor")}, ["cats"]),
    ({"owner": "bob"}, ["birds"]),
    ({"owners": ("ann", "nobody")}, ["cats"]),
    ({"owners": ("ann", "bob")}, ["birds", "cats"]),
    ({"min_accuracy": 0.8}, ["cats"]),
    ({"owner": "nobody"}, []),
    ({"sort": "newest"}, ["birds", "cats"]),
    ({"sort": "accuracy", "status": None}, ["cats", "dogs", "birds", "eels"]),
    ({"sort": "versions", "status": None}, ["birds", "cats", "dogs", "eels"]),
)


def test_a_query_finds_the_adapters_that_meet_all_its_conditions_in_its_order(zoo: Registry) -> None:
    assert [found(zoo, **asked) for asked, _ in ASKED] == [slugs for _, slugs in ASKED]


def test_an_adapter_without_a_usable_version_is_listed_without_one(zoo: Registry) -> None:
    (entry,) = zoo.search.adapters(AdapterQuery(status="withdrawn")).entries
    assert (entry.status, entry.newest, entry.versions) == ("withdrawn", None, 1)


def test_an_alias_is_shown_with_the_number_of_its_version(zoo: Registry) -> None:
    (entry,) = zoo.search.adapters(AdapterQuery(text="robin")).entries
    assert entry.aliases == {"production": 2}


def test_pages_hold_every_adapter_once_and_report_the_total(
    registry: Registry, new_version: MakeVersion, clock: FakeClock
) -> None:
    clock.step = timedelta(0)  # so that all are equally new
    for number in range(7):
        registry.catalog.publish(new_version(slug=f"a{number}"), actor="ann")
    pages = [
        registry.search.adapters(AdapterQuery(sort="newest", page=page, limit=3)) for page in range(1, 5)
    ]
    assert [[entry.slug for entry in page.entries] for page in pages] == [
        ["a0", "a1", "a2"],
        ["a3", "a4", "a5"],
        ["a6"],
        [],
    ]
    assert {(page.total, page.pages) for page in pages} == {(7, 3)}


def test_an_empty_catalog_has_one_empty_page(registry: Registry) -> None:
    page = registry.search.adapters(AdapterQuery())
    assert (page.entries, page.total, page.pages) == ((), 0, 1)


def test_an_entry_has_the_beginning_of_a_long_description(
    registry: Registry, new_version: MakeVersion
) -> None:
    registry.catalog.publish(new_version(description="ä" * 10_000), actor="ann")
    (entry,) = registry.search.adapters(AdapterQuery()).entries
    assert entry.description == "ä" * SHOWN_DESCRIPTION


def test_a_version_of_many_classes_lists_only_the_first(registry: Registry, new_version: MakeVersion) -> None:
    names = tuple(f"class {number}" for number in range(300))
    registry.catalog.publish(new_version(class_names=names), actor="ann")
    (entry,) = registry.search.adapters(AdapterQuery(text="299")).entries
    assert entry.newest is not None
    assert entry.newest.n_classes == 300
    assert entry.newest.class_names == names[:SHOWN_CLASSES]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"page": 0}, "there is no page 0"),
        ({"page": 2**70}, "there is no page"),
        ({"limit": 0}, "cannot hold 0 entries"),
        ({"limit": MAX_LIMIT + 1}, "cannot hold 501 entries"),
        ({"sort": "slug; DROP TABLE adapters"}, "Use one of name, newest"),
        ({"status": "gone"}, "Use one of active, archived"),
        ({"min_accuracy": float("nan")}, "minimum accuracy"),
        ({"min_accuracy": 80}, "a number from 0 to 1"),
        ({"tags": ("tag",) * 21}, "21 tags. Give at most 20"),
    ],
)
def test_an_invalid_query_is_refused_with_the_reason(
    registry: Registry, asked: dict[str, Any], sentence: str
) -> None:
    query = AdapterQuery(**asked)
    for ask in (registry.search.adapters, registry.search.facets):
        with pytest.raises(InvalidQuery, match=sentence):
            ask(query)


@pytest.mark.parametrize("word", ["a\0b", "\ud800", "' OR 1=1 --", "%"])
def test_a_filter_with_any_text_finds_nothing_instead_of_failing(zoo: Registry, word: str) -> None:
    assert [found(zoo, **{name: word}) for name in ("base", "adapter_type", "alias", "owner")] == [[]] * 4
    assert found(zoo, tags=(word,)) == []


def test_facets_count_the_adapters_that_meet_the_query(zoo: Registry) -> None:
    facets = zoo.search.facets(AdapterQuery())
    assert facets.bases == (Facet("vit_base", 1), Facet("vit_small", 1))
    assert facets.adapter_types == (Facet("LORA", 2),)
    assert facets.tags == (Facet("small", 2), Facet("indoor", 1), Facet("outdoor", 1))
    assert facets.aliases == (Facet("production", 1),)
    assert facets.owners == (Facet("ann", 1), Facet("bob", 1))
    assert zoo.search.facets(AdapterQuery(status=None)).owners == (Facet("ann", 3), Facet("bob", 1))


def statements(registry: Registry, query: AdapterQuery) -> list[str]:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        registry.search.adapters(query)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return seen


def test_a_page_takes_a_fixed_number_of_queries(zoo: Registry, new_version: MakeVersion) -> None:
    few = statements(zoo, AdapterQuery(text="siamese"))
    for number in range(20):
        zoo.catalog.publish(new_version(slug=f"a{number}"), actor="ann")
    many = statements(zoo, AdapterQuery())
    assert len(few) == len(many) == 6
    assert not [one for one in many if "version_files" in one or "run_metrics" in one]


TITLES = {
    "percent": "100% Äpfel",
    "underscore": "under_score",
    "quotes": 'it\'s "quoted" `here`',
    "words": "NEAR(a b) OR * NOT -x",
    "emoji": "🐈 cats 👩‍🔬",
    "sharp": "Straße İstanbul ŒUVRE ﬁn",
    "slashes": "a/b\\c [d-e] {f} ^g$",
}


@pytest.fixture(scope="module")
def titled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder: Path = tmp_path_factory.mktemp("titled")
    with Registry.open(f"sqlite:///{folder / 'registry.db'}", folder / "artifacts") as registry:
        base = registry.bases.ensure(NewBase("vit_small", "a" * 64, "vit_small", 384, 12))
        for slug, title in TITLES.items():
            new = NewVersion(
                slug=slug,
                title=title,
                description="",
                run_id=None,
                base_id=base.id,
                dataset_id=None,
                adapter_type="LORA",
                n_params=1,
                image_size=112,
                class_names=("one", "two"),
                config={},
                files={"adapter_model.safetensors": b"weights"},
            )
            registry.catalog.publish(new, actor="ann")
        yield registry


def joined(words: Sequence[str]) -> str:
    return " ".join(words)


PIECES = st.sampled_from([*TITLES, *TITLES.values(), "one", "TWO"]).flatmap(
    lambda text: st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(
        lambda ends: text[min(ends) : max(ends)]
    )
)
TEXTS = st.one_of(
    st.text(),
    st.lists(PIECES, max_size=3).map(joined),
    st.lists(st.sampled_from("%_*\"'/\\🐈🔬ßiİ "), max_size=6).map("".join),
)


@settings(deadline=None, max_examples=300)
@given(text=TEXTS)
def test_a_text_finds_the_adapters_that_contain_all_its_words(titled: Registry, text: str) -> None:
    words = text[:MAX_TEXT].casefold().split()
    expected = [
        slug
        for slug, title in sorted(TITLES.items())
        if all(word in f"{slug}\n{title}\n\none\ntwo".casefold() for word in words)
    ]
    assert found(titled, text=text) == expected


def test_a_long_text_is_truncated_and_the_page_reports_the_words(titled: Registry) -> None:
    page = titled.search.adapters(AdapterQuery(text="One " * 10_000))
    assert (page.total, page.words) == (len(TITLES), ("one",))
    assert titled.search.adapters(AdapterQuery(text="x" * 10_000)).words == ("x" * MAX_TEXT,)
    assert titled.search.adapters(AdapterQuery(text="cat\ud800")).total == 0


def test_every_change_updates_the_summaries(zoo: Registry) -> None:
    assert zoo.search.stale_summaries() == ()


def test_a_wrong_or_missing_summary_is_found_and_repaired(zoo: Registry) -> None:
    before = zoo.search.adapters(AdapterQuery(status=None))
    with zoo._database.writing() as session:
        rows = {row.slug: row.id for row in session.scalars(select(AdapterRow))}
        session.get_one(AdapterSummaryRow, rows["cats"]).accuracy = 0.1
        session.execute(delete(AdapterSummaryRow).filter_by(adapter_id=rows["eels"]))
    assert zoo.search.stale_summaries() == ("cats", "eels")
    assert zoo.search.mend_summaries() == ("cats", "eels")
    assert zoo.search.stale_summaries() == ()
    assert zoo.search.adapters(AdapterQuery(status=None)) == before


def test_repeating_a_query_returns_the_same_page(zoo: Registry) -> None:
    query = AdapterQuery(sort="accuracy")
    assert zoo.search.adapters(query) == zoo.search.adapters(replace(query))
