"""What bundled adapters need of the catalog: tags of a version, and reading a single file."""

from collections.abc import Callable

import pytest

from registry import InvalidTag, NewVersion, Registry

MakeVersion = Callable[..., NewVersion]


def test_the_tags_of_a_version_are_added_to_those_of_the_adapter(
    registry: Registry, new_version: MakeVersion
) -> None:
    registry.catalog.publish(new_version(b"1", tags=("small", "demo")), actor="ann")
    registry.catalog.publish(new_version(b"2", tags=("demo", "fur")), actor="ann")
    assert registry.catalog.adapter("pets").tags == ("demo", "fur", "small")


def test_publishing_the_same_files_again_adds_no_tags(registry: Registry, new_version: MakeVersion) -> None:
    registry.catalog.publish(new_version(), actor="ann")
    registry.catalog.publish(new_version(tags=("late",)), actor="ann")
    assert registry.catalog.adapter("pets").tags == ()


def test_the_event_lists_the_tags(registry: Registry, new_version: MakeVersion) -> None:
    registry.catalog.publish(new_version(tags=("demo",)), actor="ann")
    assert registry.catalog.events()[0].payload["tags"] == ["demo"]


def test_a_bundle_with_an_invalid_tag_is_not_published(registry: Registry, new_version: MakeVersion) -> None:
    with pytest.raises(InvalidTag, match="Two words"):
        registry.catalog.publish(new_version(tags=("fine", "Two words")), actor="ann")
    assert registry.catalog.adapters() == []


def test_a_single_file_can_be_read_and_a_missing_one_is_none(
    registry: Registry, new_version: MakeVersion
) -> None:
    version = registry.catalog.publish(new_version(), actor="ann")
    assert registry.catalog.read_file(version, "task.json") == b"{}"
    assert registry.catalog.read_file(version, "thumbnail.webp") is None
