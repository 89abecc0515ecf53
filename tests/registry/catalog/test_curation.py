"""Tags, title, description and owner of an adapter, and unarchiving it."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from registry import InvalidTag, InvalidValue, NewVersion, Registry, UnknownAdapter
from registry.catalog.curation import MAX_DESCRIPTION, MAX_TAGS, MAX_TITLE
from registry.database.models import AdapterSummaryRow

MakeVersion = Callable[..., NewVersion]


@pytest.fixture(autouse=True)
def pets(registry: Registry, new_version: MakeVersion) -> None:
    registry.catalog.publish(new_version(), actor="ann")


def document(registry: Registry) -> str:
    """Return the text that a search looks in."""
    with registry._database.reading() as session:
        return session.scalars(select(AdapterSummaryRow.document)).one()


def test_added_and_removed_tags_are_found_by_search(registry: Registry) -> None:
    tagged = registry.catalog.tag("pets", add=["outdoor", "animals"], actor="bob")
    assert tagged.tags == ("animals", "outdoor")
    assert "outdoor" in document(registry)
    again = registry.catalog.tag("pets", add=["indoor"], remove=["outdoor"], actor="bob")
    assert again.tags == ("animals", "indoor")
    assert registry.catalog.adapters() == [again]
    assert registry.catalog.adapter("pets") == again
    assert "outdoor" not in document(registry)


def test_tagging_is_recorded_with_the_actual_changes(registry: Registry) -> None:
    registry.catalog.tag("pets", add=["a", "b"], actor="bob")
    registry.catalog.tag("pets", add=["b", "c"], remove=["a", "z"], actor="eve")
    (event,) = registry.catalog.events(limit=1)
    assert (event.kind, event.actor, event.entity, event.entity_id) == ("tagged", "eve", "adapter", "pets")
    assert event.payload == {"added": ["c"], "removed": ["a"]}
    revision = registry.revision()
    registry.catalog.tag("pets", add=["b"], remove=["a"], actor="eve")
    assert registry.revision() == revision


@pytest.mark.parametrize("tag", ["", "A", "a b", "-a", "a" * 33, "a\n", "ä", "a,b", "+a"])
def test_an_invalid_tag_is_refused_with_the_rule_and_no_tag_is_added(registry: Registry, tag: str) -> None:
    with pytest.raises(InvalidTag, match="lowercase letters, digits and hyphens"):
        registry.catalog.tag("pets", add=["good", tag], actor="bob")
    assert registry.catalog.adapter("pets").tags == ()


def test_a_tag_cannot_be_both_added_and_removed(registry: Registry) -> None:
    with pytest.raises(InvalidValue, match="both added and removed"):
        registry.catalog.tag("pets", add=["a"], remove=["a"], actor="bob")


def test_the_number_of_tags_of_an_adapter_is_limited(registry: Registry) -> None:
    tags = [f"tag-{number}" for number in range(MAX_TAGS)]
    registry.catalog.tag("pets", add=tags, actor="bob")
    with pytest.raises(InvalidValue, match=f"there are {MAX_TAGS + 1}"):
        registry.catalog.tag("pets", add=["one-more"], actor="bob")
    assert len(registry.catalog.tag("pets", add=["other"], remove=tags[:1], actor="bob").tags) == MAX_TAGS


def test_a_described_adapter_is_found_by_its_new_words(registry: Registry) -> None:
    adapter = registry.catalog.describe(
        "pets", title="  Our \n pets ", description=" All of\nthem. ", actor="bob"
    )
    assert (adapter.title, adapter.description) == ("Our pets", "All of\nthem.")
    assert "our pets\nall of\nthem." in document(registry)
    (event,) = registry.catalog.events(limit=1)
    assert (event.kind, event.actor) == ("described", "bob")
    assert event.payload["from"] == {"title": "Pets", "description": "Cats and dogs."}
    assert event.payload["to"] == {"title": "Our pets", "description": "All of\nthem."}
    assert registry.catalog.resolve("pets@1").title == "Our pets"


def test_only_given_texts_change_and_equal_texts_are_no_change(registry: Registry) -> None:
    adapter = registry.catalog.describe("pets", description="", actor="bob")
    assert (adapter.title, adapter.description) == ("Pets", "")
    revision = registry.revision()
    assert registry.catalog.describe("pets", title="Pets", description="", actor="bob") == adapter
    assert registry.catalog.describe("pets", actor="bob") == adapter
    assert registry.revision() == revision


@pytest.mark.parametrize(
    "texts",
    [
        {"title": "  "},
        {"title": "a" * (MAX_TITLE + 1)},
        {"title": "\ud800"},
        {"description": "a" * (MAX_DESCRIPTION + 1)},
        {"description": "\ud800"},
        {"description": "a\0b"},
    ],
)
def test_a_text_that_cannot_be_shown_is_refused(registry: Registry, texts: dict[str, str]) -> None:
    with pytest.raises(InvalidValue, match="of pets"):
        registry.catalog.describe("pets", actor="bob", **texts)
    assert registry.catalog.adapter("pets").title == "Pets"


@pytest.mark.parametrize(
    "change",
    [{"title": "", "add_tags": ["new"]}, {"title": "Other", "add_tags": ["a b"]}],
    ids=["the title can't be used", "a tag can't be used"],
)
def test_texts_and_tags_change_in_one_transaction(registry: Registry, change: dict[str, Any]) -> None:
    before, revision = registry.catalog.adapter("pets"), registry.revision()
    with pytest.raises((InvalidValue, InvalidTag)):
        registry.catalog.describe("pets", actor="bob", **change)
    assert registry.catalog.adapter("pets") == before
    assert registry.revision() == revision
    both = registry.catalog.describe("pets", title="Other", add_tags=["new"], actor="bob")
    assert (both.title, both.tags) == ("Other", tuple(sorted([*before.tags, "new"])))


def test_unarchiving_an_adapter_is_recorded(registry: Registry) -> None:
    before = registry.catalog.adapter("pets")
    registry.catalog.archive("pets", actor="ann")
    assert registry.catalog.restore("pets", actor="bob") == before
    assert registry.catalog.adapters() == [before]
    (event,) = registry.catalog.events(limit=1)
    assert (event.kind, event.actor, event.entity_id) == ("restored", "bob", "pets")
    revision = registry.revision()
    registry.catalog.restore("pets", actor="bob")
    assert registry.revision() == revision


def test_the_first_publisher_owns_the_adapter_and_each_version_has_its_own_author(
    registry: Registry, new_version: MakeVersion
) -> None:
    registry.catalog.publish(new_version(b"2"), actor="bob")
    assert registry.catalog.adapter("pets").owner == "ann"
    assert [one.created_by for one in registry.catalog.versions("pets")] == ["bob", "ann"]


def test_the_events_of_an_adapter_include_those_of_its_versions_and_aliases_only(
    registry: Registry, new_version: MakeVersion
) -> None:
    registry.catalog.publish(new_version(slug="pets-too"), actor="ann")
    registry.users.ensure("local", "1", "pets", "viewer")
    registry.aliases.promote("pets@1", "production", actor="ann")
    registry.catalog.tag("pets", add=["a"], actor="ann")
    kinds = [(event.kind, event.entity_id) for event in registry.catalog.events("pets")]
    assert kinds == [("tagged", "pets"), ("promoted", "pets@production"), ("published", "pets@1")]
    assert [event.kind for event in registry.catalog.events("pets", limit=1)] == ["tagged"]


def test_changing_an_unknown_adapter_is_refused(registry: Registry) -> None:
    for change in (
        lambda: registry.catalog.adapter("cars"),
        lambda: registry.catalog.restore("cars", actor="ann"),
        lambda: registry.catalog.tag("cars", add=["a"], actor="ann"),
        lambda: registry.catalog.describe("cars", title="Cars", actor="ann"),
        lambda: registry.catalog.events("cars"),
        lambda: registry.aliases.list("cars"),
        lambda: registry.aliases.history("cars"),
        lambda: registry.usage.total("cars"),
    ):
        with pytest.raises(UnknownAdapter):
            change()
