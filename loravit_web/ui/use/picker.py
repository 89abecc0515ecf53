"""The components that pick tasks, and how they keep in step.

What is picked is the value of the list. It is changed in the browser alone: an answer of the server comes
late, and would take back what was picked meanwhile. The server says what there is to pick, and what to add.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import gradio as gr

from loravit_web.service import Service
from loravit_web.ui.kit.browser_state import kept_in_browser
from loravit_web.ui.kit.events import EACH, QUIET, UNCHECKED, Updates
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.scripts import call
from loravit_web.ui.use.choices import NOTHING_KEPT, Choices, Memory, chips_for, choices_for, pinned
from loravit_web.visibility import Seen

_MOVES = {"ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Home", "End", "Enter", "Escape", "Tab"}
_NOT_TYPED = frozenset(_MOVES | {"Shift", "Control", "Alt", "Meta", "CapsLock"})


@dataclass(frozen=True)
class Picker:
    """The components that pick tasks.

    Attributes:
        tasks: the picked slugs or versions. An event that takes them is `UNCHECKED`, and none may set them.
        quick: chips of some tasks, a part of ``tasks``.
        listing: what there is in the list, as `listing`; setting it changes the list.
        chips: what the chips are, as `chips_json`; setting it changes them.
        memory: in the reader's browser, as `NOTHING_KEPT`; not rendered yet. Only ``kept`` changes it.
        kept: a part of the memory to take over, as `kept_json`.
    """

    tasks: gr.Dropdown
    quick: gr.CheckboxGroup
    listing: gr.Textbox
    chips: gr.Textbox
    pin: gr.Button
    memory: gr.BrowserState
    kept: gr.Textbox


def build_picker(service: Service) -> Picker:
    """Build the components and the events between them. Both lists are empty until the page has its own."""
    quick = gr.CheckboxGroup(
        [],
        label="Tasks",
        info="A task is a small trained classifier; several answer side by side. Keys 1 to 9 switch them.",
        visible=False,
        elem_id="use-quick",
    )
    tasks = gr.Dropdown(
        label="All tasks",
        choices=[],
        value=[],
        multiselect=True,
        info="Type to search all names, tags and classes, or an exact version: name@2.",
        interactive=False,
        elem_id="use-tasks",
    )
    pin = gr.Button("★ Keep the picked tasks in front", size="sm", elem_id="use-pin")
    memory = kept_in_browser("tasks", dict(NOTHING_KEPT))
    offered, chips, kept = (
        gr.Textbox(visible=False, container=False, elem_id="use-listing"),
        gr.Textbox("[]", visible=False, container=False),
        gr.Textbox(visible=False, container=False),
    )
    kept.change(None, [kept, memory], memory, js=call("picker.remember"), **QUIET)
    picker = Picker(tasks, quick, offered, chips, pin, memory, kept)
    _keep_in_step(picker)
    _search(service, picker)
    return picker


def listing(choices: Choices, *, text: str = "", add: Sequence[str] = ()) -> str:
    """A new list of tasks; what is picked stays in it.

    Args:
        text: the words that it was made for; whoever types others by now waits for theirs.
        add: tasks that are to be picked beside those that are.
    """
    # the same again is to be heard as well
    return json.dumps({"choices": choices, "text": text, "add": list(add), "nonce": uuid4().hex})


def with_tasks(seen: Seen, memory: Memory | None, add: Sequence[str]) -> str:
    """The listing that picks some tasks more."""
    return listing(choices_for(seen, memory, add), add=add)


def kept_json(memory: Memory, part: str) -> str:
    """One part of the memory, ``pinned`` or ``recent``."""
    return json.dumps({part: memory[part]})


def chips_json(seen: Seen, memory: Memory | None) -> str:
    """The chips, as the catalog and the memory are now."""
    return json.dumps(chips_for(seen, memory))


def _keep_in_step(picker: Picker) -> None:
    tasks, quick, chips = picker.tasks, picker.quick, picker.chips
    picker.listing.change(None, [picker.listing, tasks], tasks, js=call("picker.takeListing"), **QUIET)
    chips.change(None, [chips, tasks], quick, js=call("picker.takeChips"), **QUIET)
    quick.input(None, [quick, tasks, chips], tasks, js=call("picker.switchChips"), **QUIET)
    # of what the keyboard and the list's cross let go Gradio says only this, and no `input`
    tasks.change(None, [tasks, chips], quick, js=call("picker.checkChips"), **QUIET)


def _search(service: Service, picker: Picker) -> None:
    tasks, memory = picker.tasks, picker.memory

    def search(kept: Any, event: gr.KeyUpData, request: gr.Request) -> Any:
        if event.key in _NOT_TYPED:
            return gr.skip()
        text = event.input_value
        return listing(choices_for(seen_by(service, request), kept, text=text), text=text)

    def leave(kept: Any, request: gr.Request) -> str:
        return listing(choices_for(seen_by(service, request), kept))

    def pin(picked: list[str] | None, kept: Any, request: gr.Request) -> Updates:
        now = pinned(kept, picked or [])
        chips = chips_json(seen_by(service, request), now)
        return {picker.kept: kept_json(now, "pinned"), picker.chips: chips}

    # "multiple", as Gradio calls again with the first letter where others were typed while it waited
    tasks.key_up(search, memory, picker.listing, **EACH, **QUIET)
    tasks.blur(leave, memory, picker.listing, **QUIET)
    picker.pin.click(pin, [tasks, memory], [picker.kept, picker.chips], **QUIET, **UNCHECKED)
