"""Chips, the list of all tasks and the reader's memory agree."""

from __future__ import annotations

from loravit_web.serving.answers import TaskInfo
from loravit_web.ui.use.choices import (
    QUICK,
    chips_for,
    choices_for,
    pinned,
    quick_choices,
    remembered,
    task_choices,
)
from tests.ui.conftest import RunningApp


def info(slug: str, status: str = "ready") -> TaskInfo:
    return TaskInfo(f"{slug}@1", slug, slug.title(), 1, ("x",), "embedded", status, None)


INFOS = [info(f"task-{letter}") for letter in "abcdefghijkl"]


def test_pinned_tasks_come_first_then_recent_ones_then_the_others() -> None:
    memory = {"pinned": ["task-k"], "recent": ["task-c", "task-k"]}
    slugs = [slug for _, slug in quick_choices(INFOS, memory)]
    assert slugs[:3] == ["task-k", "task-c", "task-a"]
    assert len(slugs) == len(set(slugs)) == QUICK


def test_pinned_chips_carry_a_star() -> None:
    texts = [text for text, _ in quick_choices(INFOS, {"pinned": ["task-b"], "recent": []})]
    assert texts[:2] == ["Task-B ★", "Task-A"]


def test_tasks_keep_their_places_whatever_is_picked_pinned_or_new() -> None:
    places = [slug for _, slug in quick_choices(INFOS[:5], {"pinned": [], "recent": []})]
    memory = {"pinned": ["task-c"], "recent": ["task-e", "task-l"], "places": places}
    slugs = [slug for _, slug in quick_choices(INFOS, memory)]
    assert slugs[:6] == [*places, "task-l"]
    assert len(slugs) == QUICK


def test_the_place_of_a_task_that_left_goes_to_another_and_the_others_stay() -> None:
    memory = {"pinned": [], "recent": [], "places": ["task-a", "gone", "task-b"]}
    assert [slug for _, slug in quick_choices(INFOS[:3], memory)] == ["task-a", "task-c", "task-b"]
    assert [slug for _, slug in quick_choices(INFOS[:2], memory)] == ["task-a", "task-b"]


def test_where_no_place_is_free_only_a_pinned_task_takes_the_last_one_that_is_not_pinned() -> None:
    places = [info.slug for info in INFOS[:QUICK]]
    memory = {"pinned": [places[-1], "task-l"], "recent": ["task-k"], "places": places}
    slugs = [slug for _, slug in quick_choices(INFOS, memory)]
    assert slugs == [*places[:-2], "task-l", places[-1]]


def test_a_task_that_left_the_catalog_leaves_the_chips() -> None:
    assert quick_choices(INFOS[:1], {"pinned": ["gone"], "recent": ["gone"]}) == [("Task-A", "task-a")]


def test_a_task_that_cannot_answer_says_so_and_is_no_chip_unless_pinned() -> None:
    infos = [info("broken", "unavailable"), info("far", "on demand")]
    assert [text for text, _ in task_choices(infos)] == [
        "Broken · v1 · unavailable",
        "Far · v1 · needs another base (slower first time)",
    ]
    assert quick_choices(infos, {"pinned": [], "recent": []}) == []


def test_the_last_picked_is_the_most_recent_and_the_memory_is_bounded() -> None:
    memory = remembered(None, ["a", "b@3"])
    assert memory["recent"] == ["b", "a"]
    assert len(remembered(memory, [f"t{i}" for i in range(20)])["recent"]) == QUICK


def test_pinning_twice_lets_go() -> None:
    once = pinned(None, ["a", "b"])
    assert once["pinned"] == ["a", "b"]
    assert pinned(once, ["a"])["pinned"] == ["b"]
    assert pinned(once, ["a", "c"])["pinned"] == ["a", "b", "c"]


def test_what_a_search_found_contains_what_was_typed_so_that_the_browser_shows_it() -> None:
    shown = [text for text, _ in task_choices([info("pets"), info("flowers")], "pet")]
    assert shown == ["Pets · v1", "Flowers · v1 · pet"]


def test_a_search_finds_names_tags_classes_and_exact_versions(running_app: RunningApp) -> None:
    assert choices_for(running_app.seen, None, text="colou") == [("Colours · v1", "colours")]
    assert choices_for(running_app.seen, None, text="red") == [("Colours · v1 · red", "colours")]
    assert choices_for(running_app.seen, None, text="colours@1") == [("colours@1", "colours@1")]
    assert choices_for(running_app.seen, None, text="colours@latest")[0] == (
        "colours@latest · colours@1",
        "colours@latest",
    )
    for nothing in ("nothing like it", "colours@7", "@", "Colours @ 1"):
        assert choices_for(running_app.seen, None, text=nothing) == []


def test_what_a_link_asks_for_is_listed_even_where_there_is_no_such_task(running_app: RunningApp) -> None:
    listed = choices_for(running_app.seen, None, ["gone", "colours@1", "colours"])
    assert listed == [("Colours · v1", "colours"), ("gone", "gone"), ("colours@1", "colours@1")]


def test_a_links_task_that_was_archived_keeps_its_title(running_app: RunningApp) -> None:
    catalog = running_app.service.registry.catalog
    catalog.archive("colours", actor="ann")
    assert choices_for(running_app.seen, None, ["colours"]) == [("Colours · archived", "colours")]
    catalog.restore("colours", actor="ann")
    assert choices_for(running_app.seen, None, ["colours"]) == [("Colours · v1", "colours")]


def test_the_chips_are_of_the_catalog_as_it_is(running_app: RunningApp) -> None:
    assert chips_for(running_app.seen, None) == [("Colours", "colours")]
    assert chips_for(running_app.seen, {"pinned": ["colours"], "recent": []}) == [("Colours ★", "colours")]
