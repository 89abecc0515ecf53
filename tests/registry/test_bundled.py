"""What a bundle asks of the catalog: tags that come with a version, and one file of it."""

from collections.abc import Callable

import pytest

from registry import InvalidValue, NewVersion, Registry, UnknownAdapter

MakeVersion = Callable[..., NewVersion]


def test_tags_that_come_with_a_version_join_those_of_the_adapter(
    registry: Registry, new_version: MakeVersion
) -> None:
    registry.catalog.publish(new_version(b"1", tags=("small", "demo")), actor="ann")
    registry.catalog.publish(new_version(b"2", tags=("demo", "fur")), actor="ann")
    assert registry.catalog.tags("pets") == ("demo", "fur", "small")


def test_the_same_files_again_bring_no_tags(registry: Registry, new_version: MakeVersion) -> None:
    registry.catalog.publish(new_version(), actor="ann")
    registry.catalog.publish(new_version(tags=("late",)), actor="ann")
    assert registry.catalog.tags("pets") == ()


def test_the_event_tells_of_the_tags(registry: Registry, new_version: MakeVersion) -> None:
    registry.catalog.publish(new_version(tags=("demo",)), actor="ann")
    assert registry.catalog.events()[0].payload["tags"] == ["demo"]


@pytest.mark.parametrize("tag", ["", "Two words", "-x", "a" * 33, "ä", "a\n"])
def test_what_is_no_word_is_no_tag(registry: Registry, new_version: MakeVersion, tag: str) -> None:
    with pytest.raises(InvalidValue, match="a tag has"):
        registry.catalog.publish(new_version(tags=("fine", tag)), actor="ann")
    assert registry.catalog.adapters() == []


def test_the_tags_of_an_unknown_adapter_are_unknown(registry: Registry) -> None:
    with pytest.raises(UnknownAdapter):
        registry.catalog.tags("pets")


def test_one_file_is_read_alone_and_a_file_that_is_not_there_is_none(
    registry: Registry, new_version: MakeVersion
) -> None:
    version = registry.catalog.publish(new_version(), actor="ann")
    assert registry.catalog.read_file(version, "task.json") == b"{}"
    assert registry.catalog.read_file(version, "thumbnail.webp") is None
