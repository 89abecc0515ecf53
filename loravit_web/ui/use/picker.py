"""The components that select tasks, and the events that keep them in sync.

The chips are the picker: those of the first tasks, and one for every other selected task. The list beside
them finds all others. The selection is the value of the list. Only the browser changes it: a reply of the
server arrives late and would undo later selections. The server sends the tasks on offer, and tasks to select.
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
from loravit_web.ui.language.texts import _
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
        pin: Pins the selected tasks, or unpins them. Not rendered yet.
        memory: Tasks in the browser, as in `NOTHING_KEPT`. Not rendered yet. Only ``kept`` and ``chips``
            change it.
        kept: Part of the memory to store, as from `kept_json`.
    """

    tasks: gr.Dropdown
    quick: gr.CheckboxGroup
    listing: gr.Textbox
    chips: gr.Textbox
    pin: gr.Button
    memory: gr.BrowserState
    kept: gr.Textbox


@dataclass(frozen=True)
class Opening:
    """An image that opens together with its tasks.

    Attributes:
        picture: The image as the page sends it, with its link.
        tasks: Tasks to select instead of the selected ones, or None to keep the selection.
        is_offer: Whether to open it only where there is no image and no selection.
    """

    picture: dict[str, Any] | None
    tasks: Sequence[str] | None
    is_offer: bool = False


NOTHING_OPENS = Opening(None, None)


def build_picker(service: Service, image: gr.Image) -> Picker:
    """Build the components and the events between them. Both lists stay empty until the page is filled.

    Args:
        service: Service with the tasks.
        image: Image to classify, which an `Opening` sets.
    """
    with gr.Column(elem_id="use-picker"):
        quick = gr.CheckboxGroup([], label=_("Tasks"), visible=False, elem_id="use-quick")
        tasks = gr.Dropdown(
            label=_("Find a task"),
            choices=[],
            value=[],
            multiselect=True,
            interactive=False,
            elem_id="use-tasks",
        )
    pin = gr.Button(_("★ Pin selected"), size="sm", elem_id="use-pin", render=False)
    memory = kept_in_browser("tasks", dict(NOTHING_KEPT))
    offered, chips, kept = (
        gr.Textbox(visible=False, container=False, elem_id="use-listing"),
        gr.Textbox("[]", visible=False, container=False),
        gr.Textbox(visible=False, container=False),
    )
    kept.change(None, [kept, memory], memory, js=call("picker.remember"), **QUIET)
    picker = Picker(tasks, quick, offered, chips, pin, memory, kept)
    _keep_in_step(picker, image)
    _search(service, picker)
    return picker


def listing(
    choices: Choices, *, text: str = "", add: Sequence[str] = (), opening: Opening = NOTHING_OPENS
) -> str:
    """Return a new list of tasks as JSON. Selected tasks stay in the list.

    Args:
        choices: Tasks to offer.
        text: Search text of the list. The browser drops the list if the text has changed.
        add: Tasks to add to the selection.
        opening: Image and tasks to open.
    """
    return json.dumps(
        {
            "choices": choices,
            "text": text,
            "add": list(add),
            "picture": opening.picture,
            "pick": None if opening.tasks is None else list(opening.tasks),
            "isOffer": opening.is_offer,
            "nonce": uuid4().hex,  # because Gradio does not report a value that stays the same
        }
    )


def with_tasks(
    seen: Seen, memory: Memory | None, add: Sequence[str], opening: Opening = NOTHING_OPENS
) -> str:
    """Return a listing that adds tasks to the selection, and may open an image with its tasks."""
    listed = [*add, *(opening.tasks or ())]
    return listing(choices_for(seen, memory, listed), add=add, opening=opening)


def kept_json(memory: Memory, part: str) -> str:
    """Return one part of the memory, ``pinned`` or ``recent``, as JSON."""
    return json.dumps({part: memory[part]})


def chips_json(seen: Seen, memory: Memory | None) -> str:
    """Return the chips for the current catalog and memory as JSON."""
    return json.dumps(chips_for(seen, memory))


def _keep_in_step(picker: Picker, image: gr.Image) -> None:
    tasks, quick, chips, memory = picker.tasks, picker.quick, picker.chips, picker.memory
    picker.listing.change(
        None, [picker.listing, tasks, image], [tasks, image], js=call("picker.takeListing"), **QUIET
    )
    chips.change(None, [chips, tasks], quick, js=call("picker.showChips"), **QUIET)
    chips.change(None, [chips, memory], memory, js=call("picker.keepPlaces"), **QUIET)
    quick.input(None, [quick, tasks], tasks, js=call("picker.switchChips"), **QUIET)
    # not `input`, which Gradio does not send if a task is removed by keyboard or with its cross
    tasks.change(None, [chips, tasks], quick, js=call("picker.showChips"), **QUIET)


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
