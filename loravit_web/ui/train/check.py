"""Step 2 of Train: what was found in the dataset, warnings, and corrections of its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import gradio as gr
from markupsafe import Markup

from loravit_web.datasets import (
    SEVERAL_LABELS,
    SPLITS,
    ImageDataset,
    ImageItem,
    near_duplicates,
)
from loravit_web.datasets.layout.plan import INNERMOST, ClassLevel, Level
from loravit_web.images.loading import ImageError
from loravit_web.service import Service
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import LAST, QUIET, Updates
from loravit_web.ui.kit.markup import line, notice
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.language.texts import _, ngettext
from loravit_web.ui.scripts import call
from loravit_web.ui.train.found import (
    class_images,
    continue_text,
    doubles_notice,
    doubles_pending,
    found_html,
)
from loravit_web.ui.train.relabel import (
    IN_ORDER,
    Kept,
    RelabelPanel,
    Sheet,
    build_relabel,
    changes_in,
    changes_of,
    key_of,
    place_of,
)
from loravit_web.ui.train.review.revise import RevisePanel, build_revise
from loravit_web.ui.train.steps import actions, go_back
from loravit_web.ui.train.suspects import Doubts, doubts_of_dataset
from loravit_web.util.labels import several
from loravit_web.util.text import listed
from loravit_web.visibility import Seen

EVERYTHING, SUSPICIOUS, NEAR, SPARE = "every", "suspicious", "near", "spare"
Near = list[list[str]]
"""Key and caption of each near-duplicate. The two images of a pair follow each other."""


@dataclass(frozen=True)
class CheckPanel:
    """Components of the step.

    Attributes:
        data: Fingerprint of the dataset that is shown and trained on, or None.
        taken: The fingerprint and a random number, which changes with every import, even of the same data.
        near: `Near` of the dataset.
        level: Choice of the class folders, if the folders can be read in several ways; part of step 1.
        problem: Error of the import; part of step 1.
        found: What was found in the dataset.
        doubles: Result of the search for near-duplicates.
        look: Accordion with the images.
        view: Choice of the images to show.
        panel: Images of the view, and their corrections.
        fix: Button that applies the corrections.
        revise: Components that add images, and rename classes.
        go_on: Button that leads to the settings.
    """

    data: gr.State
    taken: gr.Textbox
    near: gr.State
    level: gr.Dropdown
    problem: gr.HTML
    found: gr.HTML
    doubles: gr.HTML
    look: gr.Accordion
    view: gr.Dropdown
    panel: RelabelPanel
    fix: gr.Button
    revise: RevisePanel
    go_on: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """Components that the methods update."""
        found = [self.near, self.level, self.problem, self.found, self.doubles]
        corrections = [self.look, self.view, self.fix, *self.panel.outputs]
        return [self.data, self.taken, *found, self.go_on, *corrections, *self.revise.outputs]

    def filled(
        self,
        seen: Seen,
        dataset: ImageDataset,
        changes: Kept | None = None,
        levels: Sequence[Level] = (),
        at: ClassLevel = None,
    ) -> Updates:
        """Return updates that show what was found in a dataset, images with a suspicious label first.

        Args:
            seen: What the visitor sees.
            dataset: Dataset to show.
            changes: Corrections that were made before and are not in the dataset.
            levels: Levels of folders that can be the classes.
            at: Level that was used.
        """
        new: Updates = {
            self.data: dataset.fingerprint,
            self.taken: f"{dataset.fingerprint} {uuid4().hex}",
            self.near: [],
            self.level: level_choice(levels, at),
            self.problem: "",
            self.found: _found(seen, dataset),
            self.doubles: "" if several(dataset.labels) else doubles_pending(),
            self.go_on: gr.Button(continue_text(dataset), interactive=True),
            **self.revise.filled(dataset),
        }
        if several(dataset.labels):
            return {**new, **self._without_corrections()}
        doubts = doubts_of_dataset(seen, dataset)
        first = SUSPICIOUS if doubts.entries else EVERYTHING
        return {
            **new,
            self.look: gr.Accordion(visible=True, open=bool(changes)),
            self.view: gr.Dropdown(choices=views_of(dataset, 0, doubts), value=first, visible=True),
            self.fix: gr.Button(visible=True),
            **self.panel.shown(dataset, entries_of(dataset, first, [], doubts), changes or {}),
        }

    def _without_corrections(self) -> Updates:
        """Return updates for a dataset whose labels cannot be changed here."""
        return {
            self.look: gr.Accordion(visible=False),
            self.view: gr.Dropdown(visible=False),
            self.fix: gr.Button(visible=False),
            **self.panel.hidden(),
        }

    def emptied(self, problem: str = "", levels: Sequence[Level] = ()) -> Updates:
        """Return updates for a page without a dataset.

        Args:
            problem: Reason why an import failed, or nothing.
            levels: Levels of folders to choose from, if the folders can be read in several ways.
        """
        return {
            self.level: level_choice(levels, None),
            self.data: None,
            self.taken: f" {uuid4().hex}",
            self.near: [],
            self.problem: notice(problem, kind="error") if problem else "",
            self.found: "",
            self.doubles: "",
            self.go_on: gr.Button(interactive=False),
            **self.revise.emptied(),
            **self._without_corrections(),
        }

    def near_found(self, seen: Seen, fingerprint: str | None) -> Updates:
        """Find near-duplicates and return updates that report them and offer them as views."""
        if fingerprint is None:
            return {self.near: [], self.doubles: ""}
        dataset = seen.datasets.load(fingerprint)
        if several(dataset.labels):  # nothing could be excluded here
            return {self.near: [], self.doubles: ""}
        try:
            found = near_duplicates(dataset)
        except ImageError as error:
            return {self.near: [], self.doubles: notice(error.in_public, kind="error")}
        doubtful = [
            [key_of(item), f"{number}: {item.split}, {', '.join(dataset.names_of(item))}"]
            for number, pair in enumerate(found.pairs, start=1)
            for item in (pair.first, pair.second)
        ]
        return {
            self.near: doubtful,
            self.doubles: doubles_notice(found, len(dataset.items)),
            self.view: gr.Dropdown(
                choices=views_of(dataset, len(found.pairs), doubts_of_dataset(seen, dataset))
            ),
        }


def build_check(service: Service, data: gr.State, problem: gr.HTML, level: gr.Dropdown) -> CheckPanel:
    """Build the components and the events between them.

    Args:
        service: Service with the datasets.
        data: Fingerprint of the dataset.
        problem: Component for the error of an import.
        level: Choice of the class folders.
    """
    near, taken = gr.State([]), gr.Textbox(visible=False, container=False)
    found = gr.HTML(elem_id="train-found")
    doubles = gr.HTML("", elem_id="train-near")
    with gr.Accordion(_("Review and relabel images"), open=False, elem_id="train-look") as images:
        view = gr.Dropdown(label=_("Show"), visible=False, elem_id="train-view")
        panel = build_relabel(service, prefix="train-check")
        fix = gr.Button(_("Apply changes"), visible=False, elem_id="train-fix")
    revise = build_revise()
    with actions():
        back = go_back("data")
        go_on = gr.Button(_("Continue"), variant="primary", interactive=False, elem_id="train-continue")
    back.click(None, None, None, js=call("steps.show", "data"), **QUIET)
    go_on.click(None, None, None, js=call("steps.show", "settings"), **QUIET)

    @told
    def look(
        fingerprint: str, chosen: str, doubtful: Near, sheet: Sheet | None, request: gr.Request
    ) -> Updates:
        seen = seen_by(service, request)
        dataset = seen.datasets.load(fingerprint)
        entries = entries_of(dataset, chosen, doubtful, doubts_of_dataset(seen, dataset))
        return panel.shown(dataset, entries, changes_of(sheet))

    view.input(
        look,
        [data, view, near, panel.sheet],
        panel.outputs,
        show_progress="minimal",
        show_progress_on=[view],
        api_visibility="private",
        **LAST,
        **IN_ORDER,
    )
    return CheckPanel(
        data, taken, near, level, problem, found, doubles, images, view, panel, fix, revise, go_on
    )


def connect_check(service: Service, check: CheckPanel, start: gr.Button) -> None:
    """Add the events that create a corrected dataset and that find near-duplicates in each new dataset."""

    @told
    def correct(fingerprint: str, sheet: Sheet | None, request: gr.Request) -> Updates:
        actions = actions_of(service, request)
        corrected = actions.correct(fingerprint, changes_in(sheet))
        return {**check.filled(seen_by(service, request), corrected), start: gr.Button(interactive=True)}

    def show_images(fingerprint: str | None, request: gr.Request) -> Any:
        if fingerprint is None:
            return gr.skip()
        seen = seen_by(service, request)
        dataset = seen.datasets.load(fingerprint)
        return _found(seen, dataset, class_images(dataset))

    @told
    def find(fingerprint: str | None, request: gr.Request) -> Updates:
        return check.near_found(seen_by(service, request), fingerprint)

    check.fix.click(
        correct,
        [check.data, check.panel.sheet],
        [*check.outputs, start],
        show_progress_on=[check.found],
        api_visibility="private",
        **IN_ORDER,
    )
    check.taken.change(
        told(show_images),
        check.data,
        check.found,
        **LAST,
        show_progress="hidden",
        concurrency_limit=2,
        concurrency_id="thumbnails",
        api_visibility="private",
    )
    # in the browser, so that the next step is in view at once
    check.taken.change(None, [check.taken, check.found], None, js=call("steps.takeData"), **QUIET)
    check.taken.change(
        find,
        check.data,
        [check.near, check.doubles, check.view],
        **LAST,
        show_progress="minimal",
        show_progress_on=[check.doubles],
        concurrency_limit=1,
        concurrency_id="doubles",
        api_visibility="private",
    )


def _found(seen: Seen, dataset: ImageDataset, images: Mapping[str, Sequence[str]] | None = None) -> Markup:
    """Return what was found in a dataset and is known about its labels."""
    if several(dataset.labels):
        return found_html(dataset, images) + line(SEVERAL_LABELS)
    return found_html(dataset, images) + doubts_of_dataset(seen, dataset).notice


def level_choice(levels: Sequence[Level], at: ClassLevel) -> gr.Dropdown:
    """Return the choice of the class folders, hidden if there is none.

    Args:
        levels: Levels of folders that can be the classes.
        at: Level that was used, or None.
    """
    choices = [(title_of(level), str(level.at)) for level in levels]
    value = str(at) if at is not None and any(level.at == at for level in levels) else None
    return gr.Dropdown(choices=choices, value=value, visible=len(choices) > 1)


def chosen_level(value: Any) -> ClassLevel:
    """Return the level that a value of the choice means, or None for any other value."""
    if value == INNERMOST:
        return INNERMOST
    text = str(value or "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else None


def title_of(level: Level) -> str:
    """Return the title of a level with the names of some folders."""
    where = _("Folders around the images") if level.at == INNERMOST else _("Level {number}", number=level.at)
    return f"{where}: {listed(level.names, most=4)}"


def views_of(dataset: ImageDataset, pairs: int, doubts: Doubts) -> list[tuple[str, str]]:
    """Return title and value of each view.

    The views are: suspicious labels first, all images, near-duplicates, one of each pair, and each class.

    Args:
        dataset: Dataset to show.
        pairs: Number of pairs of near-duplicates.
        doubts: Images whose label looks wrong.
    """
    suspicious = len(doubts.entries)
    first = [(_("Suspicious labels first ({n})", n=suspicious), SUSPICIOUS)] if suspicious else []
    near = ngettext("Near-duplicates ({n} pair)", "Near-duplicates ({n} pairs)", pairs)
    doubtful = [(near, NEAR), (_("One of each pair"), SPARE)] if pairs else []
    classes = [
        (_("Class “{name}”", name=name), f"class:{label}") for label, name in enumerate(dataset.classes)
    ]
    return [*first, (_("All images"), EVERYTHING), *doubtful, *classes]


def entries_of(
    dataset: ImageDataset, view: str, doubtful: Near, doubts: Doubts
) -> Sequence[tuple[ImageItem, str]]:
    """Return the images of a view, each with its caption.

    Training images are first; before them, in the view of suspicious labels, the most suspicious images.

    Args:
        dataset: Dataset to show.
        view: Value of the view.
        doubtful: Near-duplicates.
        doubts: Images whose label looks wrong.
    """
    if view in (NEAR, SPARE):
        items = {key_of(item): item for item in dataset.items}
        shown = doubtful if view == NEAR else _one_of_each(doubtful, items)
        return [(items[key], caption) for key, caption in shown if key in items]
    kind, _separator, label = view.partition(":")
    chosen = [item for item in dataset.items if kind != "class" or int(label) in item.labels]
    chosen.sort(key=lambda item: SPLITS.index(item.split))
    first = doubts.entries if kind == SUSPICIOUS else ()
    listed = {key_of(item) for item, _caption in first}
    return [*first, *((item, place_of(dataset, item)) for item in chosen if key_of(item) not in listed)]


def _one_of_each(doubtful: Near, items: Mapping[str, ImageItem]) -> Near:
    """Return one image of each pair to exclude: the training image if only one of them is in training."""
    spare: dict[str, str] = {}
    for first, second in zip(doubtful[::2], doubtful[1::2], strict=True):
        splits = [items[key].split if key in items else None for key, _caption in (first, second)]
        key, caption = first if splits[0] == "train" != splits[1] else second
        spare.setdefault(key, caption)
    return [[key, caption] for key, caption in spare.items()]
