"""What a bundle asks of the catalog: tags that come with a version, and one file of it."""

from collections.abc import Callable

import pytest

from registry import InvalidTag, NewVersion, Registry

MakeVersion = Callable[..., NewVersion]


def test_tags_that_come_with_a_version_join_those_of_the_adapter(
    registry: Registry, new_version: MakeVersion
) -> None:
    registry.catalog.publish(new_version(b"1", tags=("small", "demo")), actor="ann")
    registry.catalog.publish(new_version(b"2", tags=("demo", "fur")), actor="ann")
    assert registry.catalog.adapter("pets").tags == ("demo", "fur", "small")


def test_the_same_files_again_bring_no_tags(registry: Registry, new_version: MakeVersion) -> None:
    registry.catalog.publish(new_version(), actor="ann")
    registry.catalog.publish(new_version(tags=("late",)), actor="ann")
    assert registry.catalog.adapter("pets").tags == ()


def test_the_event_tells_of_the_tags(registry: Registry, new_version: MakeVersion) -> None:
    registry.catalog.publish(new_version(tags=("demo",)), actor="ann")
    assert registry.catalog.events()[0].payload["tags"] == ["demo"]


def test_a_bundle_with_an_impossible_tag_is_not_published(
    registry: Registry, new_version: MakeVersion
) -> None:
    with pytest.raises(InvalidTag, match="Two words"):
        registry.catalog.publish(new_version(tags=("fine", "Two words")), actor="ann")
    assert registry.catalog.adapters() == []


def test_one_file_is_read_alone_and_a_file_that_is_not_there_is_none(
    registry: Registry, new_version: MakeVersion
) -> None:
    version = registry.catalog.publish(new_version(), actor="ann")
    assert registry.catalog.read_file(version, "task.json") == b"{}"
    assert registry.catalog.read_file(version, "thumbnail.webp") is None
