"""Part of step 1 with images without labels, of which the most useful are decided with one key each."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from loravit_web.datasets import ImageDataset
from loravit_web.datasets.pool.record import PoolSummary
from loravit_web.datasets.pool.source import open_images
from loravit_web.errors import LoraVitError
from loravit_web.images.loading import ImageError, encode_webp, load_rgb
from loravit_web.runs.suspects import doubted_of_task
from loravit_web.runs.taught import taught_dataset
from loravit_web.service import Service
from loravit_web.serving.pool_ranking import Suggested, suggestions
from loravit_web.training.files.suspects import SuspectsDamaged
from loravit_web.ui.kit.errors import told
from loravit_web.ui.kit.events import EACH, QUEUED, QUIET, Data, Updates
from loravit_web.ui.kit.markup import line
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.kit.served import file_link
from loravit_web.ui.kit.uploads import upload_folder, uploaded
from loravit_web.ui.kit.visitors import actions_of, seen_by
from loravit_web.ui.language.texts import _, ngettext
from loravit_web.ui.scripts import on_load
from loravit_web.ui.templates import render
from loravit_web.util.cancellation import raise_if_cancelled
from loravit_web.util.files import write_atomic
from loravit_web.visibility import Seen
from registry import RegistryError

NEXT = 20
"""Number of images that are shown at once."""
KEYS = 9
"""Number of classes with a key of their own."""
_SIDE = 640
_MOST_RUNS = 500
FILE_TYPES = ["image", ".zip", ".tar", ".tgz", ".gz"]


class NoTaskChosen(LoraVitError):
    """An action on a pool without a task."""


class UnreadableDecision(LoraVitError):
    """A decision that the page cannot have sent."""


@dataclass(frozen=True)
class PoolPanel:
    """Components of the pool.

    Attributes:
        tab: Tab with the others.
        task: Task whose pool is shown.
        files: Images to add.
        status: Pool in numbers, and what happened last.
        show: Button that shows the most useful images.
        review: The images. Its event ``select`` decides on one.
        join: Button that adds the confirmed images to the training data; `connect_pool` connects it.
        collecting: Whether images of requests are kept; for admins.
        delete: Button that deletes the images.
    """

    tab: gr.Tab
    task: gr.Dropdown
    files: gr.File
    status: gr.HTML
    show: gr.Button
    review: gr.HTML
    join: gr.Button
    collecting: gr.Checkbox
    delete: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """Components that the methods update."""
        return [self.files, self.status, self.show, self.review, self.join, self.collecting, self.delete]

    def shown(self, seen: Seen, task: str | None, *, review: Markup | None = None, said: str = "") -> Updates:
        """Return updates that show a pool in numbers.

        Args:
            seen: What the visitor sees.
            task: Slug of the task, or None.
            review: Images to show, or None to hide them.
            said: What happened last, as a sentence.
        """
        if not task:
            hidden = gr.Button(visible=False)
            return {
                self.status: "",
                self.show: hidden,
                self.review: "",
                self.join: hidden,
                self.delete: hidden,
            }
        summary = seen.pools.summary(task)
        return {
            self.files: None,
            self.status: line(status_text(summary, said)),
            self.show: gr.Button(visible=summary.open > 0),
            self.review: review or "",
            **self._counted(summary),
            self.collecting: gr.Checkbox(value=summary.is_collecting, visible=seen.visitor.may("manage")),
        }

    def decided(self, seen: Seen, task: str) -> Updates:
        """Return updates after a decision, which leave the images as they are."""
        summary = seen.pools.summary(task)
        return {self.status: line(status_text(summary)), **self._counted(summary)}

    def _counted(self, summary: PoolSummary) -> Updates:
        text = ngettext(
            "Add {n} confirmed image to the data", "Add {n} confirmed images to the data", summary.confirmed
        )
        return {
            self.join: gr.Button(text, visible=summary.confirmed > 0),
            self.delete: gr.Button(visible=summary.images > 0),
        }


def suspects_said(seen: Seen, task: str) -> str:
    """Return what is told about suspects of a task; images of the pool are shown even if that is an error."""
    try:
        return suspects_text(len(doubted_of_task(seen.registry, seen.datasets, task)))
    except (SuspectsDamaged, RegistryError) as error:
        return error.in_public


def suspects_text(count: int) -> str:
    """Return that labels of the training data should be looked at first, or nothing if none looks wrong."""
    if not count:
        return ""
    return ngettext(
        "{n} label of the training data looks wrong: look at it first, with Stored data.",
        "{n} labels of the training data look wrong: look at them first, with Stored data.",
        count,
    )


def status_text(summary: PoolSummary, said: str = "") -> str:
    """Return a pool in numbers as text."""
    if not summary.images:
        return f"{said} {_('No images without labels yet. Add some.')}".strip()
    counts = [ngettext("{n} image", "{n} images", summary.images)]
    if summary.from_use:
        counts.append(_("{n} kept from requests", n=summary.from_use))
    numbers = _(
        "{open} to look at, {confirmed} confirmed, {skipped} skipped",
        open=summary.open,
        confirmed=summary.confirmed,
        skipped=summary.skipped,
    )
    return f"{said} {', '.join(counts)}: {numbers}.".strip()


def build_pool(service: Service, presence: Presence) -> PoolPanel:
    """Build the tab and the events that stay inside it.

    Args:
        service: Service with the tasks and pools.
        presence: Pages that are open.
    """
    with gr.Tab(_("Unlabeled images"), id="pool") as tab:
        how = _(
            "Improve a task with images that have no labels: it answers, and you confirm or correct those "
            "that it can learn most from."
        )
        gr.HTML(line(how, role=""))
        task = gr.Dropdown(
            label=_("Task"),
            info=_("A task that was trained in this app."),
            choices=[],
            elem_id="train-pool-task",
        )
        files = gr.File(
            label=_("Images without labels, or a zip of them"),
            file_count="multiple",
            file_types=FILE_TYPES,
            height=110,
            elem_id="train-pool-files",
        )
        status = gr.HTML(elem_id="train-pool-status")
        show = gr.Button(
            _("Show the {n} most useful", n=NEXT), variant="primary", visible=False, elem_id="train-pool-show"
        )
        review = gr.HTML(js_on_load=on_load("review.listen"), elem_id="train-review")
        with gr.Row():
            delete = gr.Button(
                _("Delete these images"), size="sm", visible=False, min_width=140, elem_id="train-pool-delete"
            )
            join = gr.Button(
                _("Add to the data"),
                variant="primary",
                visible=False,
                min_width=200,
                elem_id="train-pool-join",
            )
        collecting = gr.Checkbox(
            label=_("Keep images of requests that this task is unsure of"),
            info=_("Copies without name and metadata, for a limited time. People who use the task are told."),
            visible=False,
            elem_id="train-pool-collect",
        )
    panel = PoolPanel(tab, task, files, status, show, review, join, collecting, delete)
    _fill(service, panel)
    _look(service, panel, presence)
    _decide(service, panel)
    return panel


def _fill(service: Service, panel: PoolPanel) -> None:
    """Add the events that offer the tasks, show a pool, add images to it, and delete it."""

    def offer(chosen: str | None, request: gr.Request) -> Updates:
        tasks = trained_tasks(seen_by(service, request))
        kept = chosen if chosen in {slug for _title, slug in tasks} else None
        return {panel.task: gr.Dropdown(choices=tasks, value=kept)}

    @told
    def choose(task: str | None, request: gr.Request) -> Updates:
        return panel.shown(seen_by(service, request), task)

    @told
    def add(given: Data, request: gr.Request) -> Updates:
        files, task = uploaded([given[panel.files]]), _chosen(given[panel.task])
        actions = actions_of(service, request, uploads=files)
        actions.visitor.must("train")  # before the files are opened
        with open_images(files, actions.archive_limits) as source:
            added = actions.add_to_pool(task, source)
        parts = [ngettext("{n} image added", "{n} images added", len(added.images))]
        if added.known:
            parts.append(_("{n} were there already", n=added.known))
        if added.skipped:
            parts.append(ngettext("{n} file left out", "{n} files left out", len(added.skipped)))
        return panel.shown(seen_by(service, request), task, said=f"{', '.join(parts)}.")

    @told
    def delete(task: str | None, request: gr.Request) -> Updates:
        count = actions_of(service, request).delete_from_pool(_chosen(task))
        return panel.shown(
            seen_by(service, request), task, said=ngettext("{n} image deleted.", "{n} images deleted.", count)
        )

    @told
    def collect(task: str | None, on: bool, request: gr.Request) -> Updates:
        actions_of(service, request).collect(_chosen(task), on=on)
        return panel.decided(seen_by(service, request), _chosen(task))

    panel.tab.select(offer, panel.task, panel.task, **QUIET)
    panel.task.change(choose, panel.task, panel.outputs, **QUEUED)
    panel.files.upload(
        add,
        {panel.files, panel.task},
        panel.outputs,
        show_progress_on=[panel.status],
        concurrency_limit=2,
        concurrency_id="imports",
        api_visibility="private",
    )
    panel.delete.click(delete, panel.task, panel.outputs, **QUEUED)
    panel.collecting.input(collect, [panel.task, panel.collecting], panel.outputs, **QUEUED)


def _look(service: Service, panel: PoolPanel, presence: Presence) -> None:
    """Add the event that shows the most useful images."""

    @told
    def look(
        task: str | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio passes one only for this default
    ) -> Updates:
        is_cancelled = presence.watch(request.session_hash)

        def tell(fraction: float, text: str) -> None:
            raise_if_cancelled(is_cancelled)
            progress(fraction, desc=text)

        seen, slug = seen_by(service, request), _chosen(task)
        seen.visitor.must("train")
        dataset, version = taught_dataset(seen.registry, seen.datasets, slug)
        said = suspects_said(seen, slug)
        found = suggestions(seen.predictor, version, seen.pools, most=NEXT, progress=tell)
        review = review_html(seen, slug, dataset, found)
        return panel.shown(seen, slug, review=review, said=said)

    panel.show.click(
        look,
        panel.task,
        panel.outputs,
        show_progress_on=[panel.status],
        concurrency_limit=1,
        concurrency_id="pool",
        api_visibility="private",
    )


def _decide(service: Service, panel: PoolPanel) -> None:
    """Add the event of a decision on one image."""

    @told
    def decide(task: str | None, event: gr.SelectData, request: gr.Request) -> Updates:
        slug, (sha256, label, is_open) = _chosen(task), read_decision(str(event.value))
        actions = actions_of(service, request)
        if is_open:
            actions.reopen(slug, sha256)
        else:
            actions.confirm(slug, sha256, label)
        return panel.decided(seen_by(service, request), slug)

    panel.review.select(decide, panel.task, [panel.status, panel.join, panel.delete], **EACH, **QUEUED)


def review_html(seen: Seen, task: str, dataset: ImageDataset, found: Sequence[Suggested]) -> Markup:
    """Return the images of a pool with the classes that each may have.

    Args:
        seen: What the visitor sees.
        task: Slug of the task.
        dataset: Training data of the task, whose classes are offered.
        found: Images with the answers of the task.
    """
    shown = [(one, link) for one in found if (link := _picture_link(seen, task, one)) is not None]
    few = len(dataset.classes) <= KEYS
    images = [
        {
            "sha": one.image.sha256,
            "link": link,
            "name": one.image.path,
            "scores": dict(one.labels),
            "classes": list(dataset.classes) if few else [name for name, _score in one.labels],
            "best": one.labels[0][0] if one.labels else "",
            "why": why_text(one),
        }
        for one, link in shown
    ]
    return render("train/review", images=images, classes=dataset.classes)


def why_text(suggested: Suggested) -> str:
    """Return why an image is shown, in a few words."""
    if suggested.is_unlike:
        return _("Unlike the training images")
    return _("The task is unsure") if suggested.is_unsure else _("Unlike the other images here")


def read_decision(text: str) -> tuple[str, str | None, bool]:
    """Return the hash of an image, its class or None to skip it, and whether the decision is undone instead.

    Raises:
        UnreadableDecision: If the text has another form.
    """
    try:
        given = json.loads(text)
        label = given["label"]
        return str(given["sha"]), None if label is None else str(label), bool(given["undo"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UnreadableDecision(_("The decision cannot be read. Reload the page.")) from error


def trained_tasks(seen: Seen) -> list[tuple[str, str]]:
    """Return title and slug of the tasks that were trained here, with one label per image, by title."""
    found: dict[str, str] = {}
    for run in seen.registry.runs.list(status=["completed"], limit=_MOST_RUNS):
        if run.published is not None and run.config.get("adapter", {}).get("labels", "one") == "one":
            found.setdefault(run.slug, run.title)
    return sorted(((title, slug) for slug, title in found.items()), key=lambda one: one[0].casefold())


def _chosen(task: str | None) -> str:
    if not task:
        raise NoTaskChosen(_("No task is chosen. Choose the task that the images are for."))
    return str(task)


def _picture_link(seen: Seen, task: str, suggested: Suggested) -> str | None:
    """Return the link to a copy of an image that browsers show, or None if it cannot be read."""
    path = upload_folder() / "pools" / suggested.image.sha256[:32] / "image.webp"
    try:
        if path.exists():
            os.utime(path)  # Gradio deletes old files
        else:
            image = load_rgb(Path(seen.pools.image_path(task, suggested.image)))
            image.thumbnail((_SIDE, _SIDE))
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, encode_webp(image))
    except (ImageError, FileNotFoundError):
        return None
    return file_link(path)
