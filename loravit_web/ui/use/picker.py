"""The components that select tasks, and the events that keep them in sync.

The selection is the value of the list. Only the browser changes it: a reply of the server arrives late and
would undo later selections. The server sends the tasks on offer, and tasks to add to the selection.
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
    """The components that select tasks.

    Attributes:
        tasks: Selected slugs or versions. An event that reads them is `UNCHECKED`, and no event sets them.
        quick: Chips for a part of the tasks.
        listing: Tasks in the list, as from `listing`. Setting it changes the list.
        chips: Tasks of the chips, as from `chips_json`. Setting it changes the chips.
        pin: Pins the selected tasks, or unpins them.
        memory: Pinned and recent tasks in the browser, as in `NOTHING_KEPT`. Not rendered yet. Only ``kept``
            changes it.
        kept: Part of the memory to store, as from `kept_json`.
    """

    tasks: gr.Dropdown
    quick: gr.CheckboxGroup
    listing: gr.Textbox
    chips: gr.Textbox
    pin: gr.Button
    memory: gr.BrowserState
    kept: gr.Textbox


def build_picker(service: Service) -> Picker:
    """Build the components and the events between them. Both lists stay empty until the page is filled."""
    quick = gr.CheckboxGroup(
        [],
        label="Tasks",
        info="Select one or more. Results appear side by side. Shortcuts: 1 to 9.",
        visible=False,
        elem_id="use-quick",
    )
    tasks = gr.Dropdown(
        label="Find a task",
        choices=[],
        value=[],
        multiselect=True,
        info="Search by name, tag, class, or exact version (name@2).",
        interactive=False,
        elem_id="use-tasks",
    )
    pin = gr.Button("★ Pin selected", size="sm", elem_id="use-pin")
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
    """Return a new list of tasks as JSON. Selected tasks stay in the list.

    Args:
        choices: Tasks to offer.
        text: Search text of the list. The browser drops the list if the text has changed.
        add: Tasks to add to the selection.
    """
    # with a nonce, because Gradio does not report a value that stays the same
    return json.dumps({"choices": choices, "text": text, "add": list(add), "nonce": uuid4().hex})


def with_tasks(seen: Seen, memory: Memory | None, add: Sequence[str]) -> str:
    """Return a listing that adds tasks to the selection."""
    return listing(choices_for(seen, memory, add), add=add)


def kept_json(memory: Memory, part: str) -> str:
    """Return one part of the memory, ``pinned`` or ``recent``, as JSON."""
    return json.dumps({part: memory[part]})


def chips_json(seen: Seen, memory: Memory | None) -> str:
    """Return the chips for the current catalog and memory as JSON."""
    return json.dumps(chips_for(seen, memory))


def _keep_in_step(picker: Picker) -> None:
    tasks, quick, chips = picker.tasks, picker.quick, picker.chips
    picker.listing.change(None, [picker.listing, tasks], tasks, js=call("picker.takeListing"), **QUIET)
    chips.change(None, [chips, tasks], quick, js=call("picker.takeChips"), **QUIET)
    quick.input(None, [quick, tasks, chips], tasks, js=call("picker.switchChips"), **QUIET)
    # not `input`, which Gradio does not send if a task is removed by keyboard or with its cross
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

    # "multiple", because "once" would call with the first letter again after others were typed
    tasks.key_up(search, memory, picker.listing, **EACH, **QUIET)
    tasks.blur(leave, memory, picker.listing, **QUIET)
    picker.pin.click(pin, [tasks, memory], [picker.kept, picker.chips], **QUIET, **UNCHECKED)
