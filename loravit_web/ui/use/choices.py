"""What can be picked: the first nine tasks as chips with keys, all others by searching."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from loravit_web.serving.answers import TaskInfo
from loravit_web.visibility import Seen
from registry import RegistryError

QUICK = 9
Memory = Mapping[str, list[str]]
NOTHING_KEPT: Memory = {"pinned": [], "recent": []}
_STATUS_WORDS = {"unavailable": "unavailable", "on demand": "loads its base first"}

Choices = list[tuple[str, str]]
"""Shown text and task."""


def choices_for(seen: Seen, memory: Memory | None, also: Sequence[str] = (), *, text: str = "") -> Choices:
    """The list of tasks, as far as it is shown.

    Args:
        also: tasks that are in it in any case, even if they can't be picked any more.
        text: words that the others are found by; one that names a version finds that. Without any, the pinned
            ones, recent ones and then the newest.
    """
    kept = memory or NOTHING_KEPT
    first = [] if text.strip() else [*also, *kept.get("pinned", []), *kept.get("recent", [])]
    found = task_choices(seen.predictor.offered(first, text=text), text)
    choices = [*_version_named(seen, text), *found]
    there = {task for _, task in choices}
    return [*choices, *((_left(seen, task), task) for task in also if task not in there)]


def task_choices(infos: Iterable[TaskInfo], text: str = "") -> Choices:
    """Tasks to choose from; one that can't answer, or not at once, says so in its text.

    Args:
        text: what they were found by. The list in the browser shows only what contains it.
    """
    return [(_shown(info, text), info.slug) for info in infos]


def quick_choices(infos: Sequence[TaskInfo], memory: Memory) -> Choices:
    """The chips: pinned tasks, then recent ones, then others that can answer, numbered as their keys.

    Args:
        infos: the others in this order.
    """
    by_slug = {info.slug: info for info in infos}
    pinned = memory.get("pinned", [])
    able = [info.slug for info in infos if info.status == "ready"]
    wanted = dict.fromkeys([*pinned, *memory.get("recent", []), *able])
    slugs = [slug for slug in wanted if slug in by_slug][:QUICK]
    return [
        (f"{number} {by_slug[slug].title}{' ★' if slug in pinned else ''}", slug)
        for number, slug in enumerate(slugs, start=1)
    ]


def remembered(memory: Memory | None, picked: Sequence[str]) -> dict[str, list[str]]:
    """The memory after tasks were picked: the last ones first."""
    before = {**NOTHING_KEPT, **(memory or {})}
    slugs = [task.partition("@")[0] for task in reversed(picked)]
    return {**before, "recent": list(dict.fromkeys([*slugs, *before["recent"]]))[:QUICK]}


def pinned(memory: Memory | None, picked: Sequence[str]) -> dict[str, list[str]]:
    """The memory after the picked tasks were pinned; after they were let go, if all of them were pinned."""
    before = {**NOTHING_KEPT, **(memory or {})}
    slugs = list(dict.fromkeys(task.partition("@")[0] for task in picked))
    if slugs and all(slug in before["pinned"] for slug in slugs):
        return {**before, "pinned": [slug for slug in before["pinned"] if slug not in slugs]}
    return {**before, "pinned": list(dict.fromkeys([*before["pinned"], *slugs]))[:QUICK]}


def chips_for(seen: Seen, memory: Memory | None) -> Choices:
    """The chips, as the catalog and the memory are now."""
    kept = memory or NOTHING_KEPT
    first = [*kept.get("pinned", []), *kept.get("recent", []), *seen.predictor.newest(QUICK)]
    return quick_choices(seen.predictor.offered(first), kept)


def _version_named(seen: Seen, text: str) -> Choices:
    """The exact version that was typed, such as ``flowers@2`` or ``flowers@production``."""
    task = text.strip()
    if "@" not in task:
        return []
    try:
        ref = seen.registry.catalog.resolve(task).ref
    except RegistryError:
        return []
    return [(text if ref == task else f"{text} · {ref}", task)]


def _left(seen: Seen, task: str) -> str:
    """What a link's task is called that is not offered: an exact version, or one that was taken back."""
    try:
        adapter = seen.registry.catalog.adapter(task)
    except RegistryError:  # its card says what is wrong
        return task
    return f"{adapter.title} · {'withdrawn' if adapter.archived_at is None else 'archived'}"


def _shown(info: TaskInfo, text: str) -> str:
    shown = " · ".join([info.title, f"v{info.version}", *_words(info)])
    return shown if not text.strip() or text.lower() in shown.lower() else f"{shown} · {text}"


def _words(info: TaskInfo) -> list[str]:
    return [_STATUS_WORDS[info.status]] if info.status in _STATUS_WORDS else []
