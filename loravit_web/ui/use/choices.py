"""The tasks on offer: up to nine as chips with keys, all others by search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from loravit_web.serving.answers import TaskInfo
from loravit_web.serving.stored import names_run, title_of_run
from loravit_web.ui.language.texts import _, gettext_noop
from loravit_web.visibility import Seen
from registry import RegistryError

QUICK = 9
Memory = Mapping[str, list[str]]
NOTHING_KEPT: Memory = {"pinned": [], "recent": [], "places": []}
_STATUS_WORDS = {
    "unavailable": gettext_noop("unavailable"),
    "on demand": gettext_noop("needs another base (slower first time)"),
}

Choices = list[tuple[str, str]]
"""Pairs of displayed text and task."""


def choices_for(seen: Seen, memory: Memory | None, also: Sequence[str] = (), *, text: str = "") -> Choices:
    """Return the choices of the task list.

    Args:
        seen: What the visitor sees of the app.
        memory: Pinned and recent tasks, or None.
        also: Tasks that are always included, even if they are withdrawn or archived.
        text: Search text. A version such as ``flowers@2`` finds that version. If it is empty, pinned tasks
            come first, then recent ones, then the newest.
    """
    kept = memory or NOTHING_KEPT
    first = [] if text.strip() else [*also, *kept.get("pinned", []), *kept.get("recent", [])]
    found = task_choices(seen.predictor.offered(first, text=text), text)
    choices = [*_version_named(seen, text), *found]
    there = {task for _name, task in choices}
    return [*choices, *((_left(seen, task), task) for task in also if task not in there)]


def task_choices(infos: Iterable[TaskInfo], text: str = "") -> Choices:
    """Return tasks as choices. The text of a task that is not ready says so.

    Args:
        infos: Tasks in their order.
        text: Search text that found the tasks. The browser shows only choices that contain it.
    """
    return [(_shown(info, text), info.slug) for info in infos]


def quick_choices(infos: Sequence[TaskInfo], memory: Memory) -> Choices:
    """Return the chips. The position of a chip is the number of its key.

    A chip keeps its position while its task is on offer. Free positions go to pinned tasks, then to recent
    ones, then to other ready ones. If no position is free, a pinned task replaces the last unpinned one.

    Args:
        infos: All tasks in their order.
        memory: Pinned and recent tasks, and the tasks of the chips so far.
    """
    by_slug = {info.slug: info for info in infos}
    pinned = [slug for slug in memory.get("pinned", []) if slug in by_slug]
    able = [info.slug for info in infos if info.status == "ready"]
    before = memory.get("places", [])[:QUICK]
    places = [slug if slug in by_slug else None for slug in before] + [None] * (QUICK - len(before))
    wanted = dict.fromkeys([*pinned, *memory.get("recent", []), *able])
    for slug in [slug for slug in wanted if slug in by_slug and slug not in places]:
        place = _free_place(places, pinned if slug in pinned else None)
        if place is not None:
            places[place] = slug
    return [
        (f"{by_slug[slug].title}{' ★' if slug in pinned else ''}", slug)
        for slug in places
        if slug is not None
    ]


def _free_place(places: Sequence[str | None], pinned: Sequence[str] | None) -> int | None:
    """Return a free position, or else the last one without a pinned task if ``pinned`` is given."""
    if None in places:
        return places.index(None)
    unpinned = [place for place, slug in enumerate(places) if pinned is not None and slug not in pinned]
    return unpinned[-1] if unpinned else None


def remembered(memory: Memory | None, picked: Sequence[str]) -> dict[str, list[str]]:
    """Return the memory after tasks were selected, the last one first."""
    before = {**NOTHING_KEPT, **(memory or {})}
    slugs = _slugs(reversed(picked))
    return {**before, "recent": list(dict.fromkeys([*slugs, *before["recent"]]))[:QUICK]}


def pinned(memory: Memory | None, picked: Sequence[str]) -> dict[str, list[str]]:
    """Return the memory after the selected tasks were pinned, or unpinned if all of them were pinned."""
    before = {**NOTHING_KEPT, **(memory or {})}
    slugs = _slugs(picked)
    if slugs and all(slug in before["pinned"] for slug in slugs):
        return {**before, "pinned": [slug for slug in before["pinned"] if slug not in slugs]}
    return {**before, "pinned": list(dict.fromkeys([*before["pinned"], *slugs]))[:QUICK]}


def chips_for(seen: Seen, memory: Memory | None) -> Choices:
    """Return the chips for the current catalog and memory."""
    kept = memory or NOTHING_KEPT
    before = [slug for part in ("places", "pinned", "recent") for slug in kept.get(part, [])]
    first = [*before, *seen.predictor.newest(QUICK)]
    return quick_choices(seen.predictor.offered(first), kept)


def _slugs(picked: Iterable[str]) -> list[str]:
    """Return the adapters of tasks. First answers are left out, because they are gone after the run."""
    return list(dict.fromkeys(task.partition("@")[0] for task in picked if not names_run(task)))


def _version_named(seen: Seen, text: str) -> Choices:
    """Return the version that a search text names, such as ``flowers@2`` or ``flowers@production``."""
    task = text.strip()
    if "@" not in task:
        return []
    try:
        ref = seen.registry.catalog.resolve(task).ref
    except RegistryError:
        return []
    return [(text if ref == task else f"{text} · {ref}", task)]


def _left(seen: Seen, task: str) -> str:
    """Return the text of a task that is not on offer: a first answer, a version, or a withdrawn task."""
    try:
        if names_run(task):
            return title_of_run(seen.registry, task)
        adapter = seen.registry.catalog.adapter(task)
    except RegistryError:  # the answer says what is wrong
        return task
    return f"{adapter.title} · {_('withdrawn') if adapter.archived_at is None else _('archived')}"


def _shown(info: TaskInfo, text: str) -> str:
    shown = " · ".join([info.title, f"v{info.version}", *_words(info)])
    return shown if not text.strip() or text.lower() in shown.lower() else f"{shown} · {text}"


def _words(info: TaskInfo) -> list[str]:
    return [_(_STATUS_WORDS[info.status])] if info.status in _STATUS_WORDS else []
