"""Picking tasks: the first nine as chips with keys, all others by searching."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import gradio as gr

from loravit_web.predictor import TaskInfo
from loravit_web.service import Service

QUICK = 9
STORAGE_KEY = "loravit-tasks"
# Preferences are no secret; a fixed one lets them outlive a restart of the app.
STORAGE_SECRET = "preferences"
Memory = Mapping[str, list[str]]
NOTHING_KEPT: Memory = {"pinned": [], "recent": []}
_STATUS_WORDS = {"unavailable": "unavailable", "on demand": "loads its base first"}

_NEWS = """(picked, known) => {
  const now = JSON.stringify(picked ?? []);
  return now === known ? {__type__: "update"} : `${now} ${performance.now()}`;
}"""
"""In the browser, since most changes of the list are none of the picks."""
_PUT_IN = """(found, picked) => {
  return {__type__: "update", choices: JSON.parse(found).choices, value: picked ?? []};
}"""
"""In the browser, since something may have been picked while the server searched."""

Choices = list[tuple[str, str]]
"""Shown text and slug."""


@dataclass(frozen=True)
class Picker:
    """The components that pick tasks.

    Attributes:
        tasks: the picked slugs or versions; what counts.
        news: changes when tasks were picked in the list or from elsewhere, and are still to be asked.
        known: the picks that were asked, `as_text`. Both are to be rendered outside of the tabs, so that they
            are there whichever is open.
        quick: chips of some tasks, a part of ``tasks``.
        shown: the slugs of the chips.
        memory: in the reader's browser, as `NOTHING_KEPT`.
    """

    tasks: gr.Dropdown
    news: gr.Textbox
    known: gr.Textbox
    quick: gr.CheckboxGroup
    shown: gr.State
    pin: gr.Button
    memory: gr.BrowserState


def build_picker(service: Service) -> Picker:
    """Build the components; whoever answers connects them with `picked_by_chips` and `chips_of`.

    The list by itself says ``input`` neither of typed words nor of what the keyboard or the cross let go, and
    ``change`` also where it got the same picks again.
    """
    infos = service.predictor.offered()
    chips = quick_choices(infos, NOTHING_KEPT)
    quick = gr.CheckboxGroup(
        chips,
        label="Tasks",
        info="Several answer side by side, from one look at the image. Keys 1 to 9 switch them.",
        visible=False,  # until the page has its own list: a pick before that would be lost
        elem_id="use-quick",
    )
    tasks = gr.Dropdown(
        label="All tasks",
        choices=task_choices(infos),
        value=[],
        multiselect=True,
        allow_custom_value=True,
        info="Type to search all names, tags and classes.",
        interactive=False,  # as above
        elem_id="use-tasks",
    )
    pin = gr.Button("★ Keep the picked tasks in front", size="sm", elem_id="use-pin")
    memory = gr.BrowserState(dict(NOTHING_KEPT), storage_key=STORAGE_KEY, secret=STORAGE_SECRET)
    news = gr.Textbox(render=False, visible="hidden", elem_id="use-news")
    known = gr.Textbox(as_text([]), render=False, visible="hidden", elem_id="use-known")

    found = gr.Textbox(visible="hidden", elem_id="use-found")

    def search(picked: list[str] | None, kept: Any, event: gr.KeyUpData) -> str:
        choices = choices_for(service, kept, meant(service, picked or []), event.input_value)
        return json.dumps({"choices": choices, "nonce": uuid4().hex})  # the same again is to be heard as well

    tasks.key_up(
        search,
        [tasks, memory],
        found,
        trigger_mode="always_last",
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    there: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    found.change(None, [found, tasks], tasks, js=_PUT_IN, **there)
    tasks.change(None, [tasks, known], news, js=_NEWS, **there)
    return Picker(tasks, news, known, quick, gr.State([slug for _, slug in chips]), pin, memory)


def listed(choices: Choices, picked: Sequence[str] | None) -> gr.Dropdown:
    """A new list of tasks, with what is picked: the browser knows that only by its place in the list."""
    return gr.Dropdown(choices=choices, value=list(picked or []), interactive=True)


def choices_for(
    service: Service, memory: Memory | None, picked: Sequence[str] = (), text: str = ""
) -> Choices:
    """The list of tasks, as far as it is shown.

    Without words: picked, pinned, recent, then the newest. With words: what they find, what is not picked yet
    first, since Enter takes the first; the picked ones are always there, to be known by their names.
    """
    offered = service.predictor.offered
    if not text.strip():
        kept = memory or NOTHING_KEPT
        return task_choices(offered([*picked, *kept.get("pinned", []), *kept.get("recent", [])]))
    chosen = {task.partition("@")[0] for task in picked}
    found = sorted(offered(text=text), key=lambda info: info.slug in chosen)
    known = {info.slug for info in found}
    rest = [info for info in offered(picked, most=len(chosen)) if info.slug not in known] if chosen else []
    return [*task_choices(found, text), *task_choices(rest)]


def task_choices(infos: Iterable[TaskInfo], text: str = "") -> Choices:
    """Tasks to choose from; one that can't answer, or not at once, says so in its text.

    Args:
        text: what they were found by. The list in the browser shows only what contains it.
    """
    return [(_shown(info, text), info.slug) for info in infos]


def quick_choices(infos: Sequence[TaskInfo], memory: Memory) -> Choices:
    """The chips: pinned tasks, then recent ones, then others that can answer, numbered as their keys."""
    by_slug = {info.slug: info for info in infos}
    pinned = memory.get("pinned", [])
    able = [info.slug for info in infos if info.status == "ready"]
    wanted = dict.fromkeys([*pinned, *memory.get("recent", []), *able])
    slugs = [slug for slug in wanted if slug in by_slug][:QUICK]
    return [
        (f"{number} {by_slug[slug].title}{' ★' if slug in pinned else ''}", slug)
        for number, slug in enumerate(slugs, start=1)
    ]


def picked_by_chips(checked: Sequence[str], picked: Sequence[str], shown: Sequence[str]) -> list[str]:
    """The picked tasks after a chip was switched: others stay, in their order, new ones come last."""
    kept = [task for task in picked if task not in shown or task in checked]
    return [*kept, *(task for task in checked if task not in kept)]


def meant(service: Service, picked: Sequence[str]) -> list[str]:
    """The picked tasks, with the first that words find in the place of words that are no task's name.

    Enter picks the typed words themselves, unless an arrow went to the list before: exact versions are typed
    like that. Words that find nothing stay, and say so where the answer would be.
    """
    tasks: dict[str, None] = {}
    for task in picked:
        words = "@" not in task and not service.predictor.knows(task)
        found = [info.slug for info in service.predictor.offered(text=task)] if words else []
        tasks[next((slug for slug in found if slug not in picked), found[0] if found else task)] = None
    return list(tasks)


def as_text(picked: Sequence[str]) -> str:
    """Picked tasks as the browser writes them."""
    return json.dumps(list(picked), ensure_ascii=False, separators=(",", ":"))


def chips_of(picked: Sequence[str], shown: Sequence[str]) -> list[str]:
    """The chips that are on."""
    return [slug for slug in shown if slug in picked]


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


def chip_updates(
    service: Service, memory: Mapping[str, list[str]] | None, picked: Sequence[str]
) -> list[Any]:
    """Chips and their slugs, as the catalog and the memory are now."""
    kept = memory or NOTHING_KEPT
    infos = service.predictor.offered([*kept.get("pinned", []), *kept.get("recent", [])])
    chips = quick_choices(infos, kept)
    shown = [slug for _, slug in chips]
    return [gr.CheckboxGroup(chips, value=chips_of(picked, shown), visible=bool(chips)), shown]


def _shown(info: TaskInfo, text: str) -> str:
    shown = " · ".join([info.title, f"v{info.version}", *_words(info)])
    return shown if not text.strip() or text.lower() in shown.lower() else f"{shown} · {text}"


def _words(info: TaskInfo) -> list[str]:
    return [_STATUS_WORDS[info.status]] if info.status in _STATUS_WORDS else []
