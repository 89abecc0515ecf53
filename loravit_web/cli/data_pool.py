"""``data pool``: images without labels, of which the most useful ones are confirmed and join the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loravit_web.access.rights import SHELL
from loravit_web.cli.data_change import revision_document
from loravit_web.cli.shell import (
    AsJson,
    Document,
    current_settings,
    note,
    open_registry,
    open_service,
    output,
    refuse_together,
    table,
)
from loravit_web.util.console import progress_printer
from loravit_web.util.text import plural

if TYPE_CHECKING:
    from loravit_web.datasets import DatasetStore
    from loravit_web.datasets.pool.record import PoolImage, PoolSummary
    from loravit_web.datasets.pool.store import PoolStore
    from loravit_web.runs.pool_actions import PoolActions
    from loravit_web.runs.suspects import Doubted
    from loravit_web.serving.pool_ranking import Suggested
    from registry import Registry

NEXT = 20
"""Number of images that are shown by default."""
Task = Annotated[str, typer.Argument(metavar="SLUG", help="The task.")]
Image = Annotated[
    str, typer.Argument(metavar="IMAGE", help="Beginning of the hash of an image, or its path in the pool.")
]

app = typer.Typer(
    help="Show which images without labels a task should learn next, and confirm their classes."
)


@app.command("list")
def list_pools(as_json: AsJson = False) -> None:
    """List the pools of all tasks."""
    pools = _pools()
    documents = [_summary_document(pools.summary(task)) for task in pools.tasks()]
    columns = ["task", "images", "open", "confirmed", "skipped", "from_use", "collecting"]
    output(as_json, documents, lambda: table(documents, columns, "No pools. Add images with data pool add."))


@app.command("add")
def add_images(
    task: Task,
    paths: Annotated[list[Path], typer.Argument(metavar="DATA...", help="Images, folders, zips and tars.")],
    as_json: AsJson = False,
) -> None:
    """Add images without labels to the pool of a task."""
    from loravit_web.datasets.pool.source import open_images
    from loravit_web.datasets.sources.archives import archive_limits

    limits = archive_limits(current_settings().limits)
    with (
        _changing() as (actions, pools),
        open_images([path.expanduser() for path in paths], limits) as source,
    ):
        added = actions.add_to_pool(task, source, progress=progress_printer())
        summary = pools.summary(task.partition("@")[0])
    document = _summary_document(summary) | {
        "added": len(added.images),
        "known": added.known,
        "not_added": [{"path": entry.path, "reason": entry.reason} for entry in added.skipped],
    }
    told = [f"{plural(len(added.images), 'image')} added. The pool of {task} has {summary.images}."]
    told += [f"  {entry.path}: {entry.reason}" for entry in added.skipped]
    output(as_json, document, lambda: "\n".join(told))


@app.command("next")
def next_images(
    task: Annotated[str, typer.Argument(metavar="SLUG[@V|@ALIAS]", help="The version that answers.")],
    most: Annotated[int, typer.Option("--most", min=1, help="Maximum number of images.")] = NEXT,
    as_json: AsJson = False,
) -> None:
    """Show the images of a pool that are most useful to a task, and labels of its data that look wrong."""
    from loravit_web.serving.pool_ranking import suggestions

    with open_service() as service:
        version = service.registry.catalog.resolve(task)
        found = suggestions(service.predictor, version, service.pools, most=most, progress=progress_printer())
        doubted = _doubted(service.registry, service.datasets.imported_by(SHELL.name), task)
        files = {one.image.sha256: str(service.pools.image_path(version.slug, one.image)) for one in found}
    documents = [_suggested_document(one) | {"file": files[one.image.sha256]} for one in found]
    rows = [row | {"sha256": row["sha256"][:12], "answer": _answer_text(row)} for row in documents]
    columns = ["sha256", "path", "answer", "unsure", "unlike", "doubt"]
    shown = table(rows, columns, "No image waits. Add some with data pool add.")
    output(as_json, documents, lambda: "\n".join([shown, *_doubted_lines(doubted[:most], len(doubted))]))


@app.command("confirm")
def confirm_image(
    task: Task,
    image: Image,
    class_name: Annotated[
        str | None, typer.Argument(metavar="[CLASS]", help="Class of the image, which may be new.")
    ] = None,
    skip: Annotated[
        bool, typer.Option("--skip", help="Give the image no class, and show it no more.")
    ] = False,
    reopen: Annotated[bool, typer.Option("--reopen", help="Undo the decision, and show it again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Confirm the class of an image of a pool, skip the image, or undo either."""
    if sum([class_name is not None, skip, reopen]) != 1:
        refuse_together("CLASS", "--skip", "--reopen")
    with _changing() as (actions, _pools):
        decided = actions.reopen(task, image) if reopen else actions.confirm(task, image, class_name)
    output(as_json, _image_document(decided), lambda: _decided_text(decided))


@app.command("join")
def join_pool(task: Task, as_json: AsJson = False) -> None:
    """Add the confirmed images of a pool to the training data of its task, as the next revision."""
    from loravit_web.runs.pool_actions import joined_text

    with _changing() as (actions, _pools):
        joined = actions.join_pool(task)
    document = revision_document(joined.dataset) | {"task": joined.task, "joined": joined.images}
    hint = f"Train it: python -m loravit_web train dataset:{joined.dataset.fingerprint[:12]} --name {task}"
    output(as_json, document, lambda: f"{joined_text(joined)}\n{hint}")


@app.command("delete")
def delete_images(
    task: Task,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IMAGE...]", help="Images to delete; without any, the pool."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Delete images of a pool, or the whole pool with all of them."""
    with _changing() as (actions, _pools):
        count = actions.delete_from_pool(task, images or None)
    output(as_json, {"task": task, "deleted": count}, lambda: f"{plural(count, 'image')} deleted.")


@app.command("collect")
def collect(
    task: Task,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Keep images of requests, or stop.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show or change whether images whose answer is unsure or unlike are kept in the pool of a task."""
    with _changing() as (actions, pools):
        if on is not None:
            actions.collect(task, on=on)
        summary = pools.summary(task.partition("@")[0])
    state = "are kept" if summary.is_collecting else "are not kept"
    output(as_json, _summary_document(summary), lambda: f"Images of unsure and unlike answers {state}.")


def _pools() -> PoolStore:
    from loravit_web.datasets.pool.store import PoolStore

    return PoolStore.of(current_settings())


@contextmanager
def _changing() -> Iterator[tuple[PoolActions, PoolStore]]:
    from loravit_web.datasets import DatasetStore
    from loravit_web.runs.pool_actions import PoolActions

    pools = _pools()
    stored = DatasetStore.of(current_settings()).imported_by(SHELL.name)
    with open_registry() as registry:
        yield PoolActions(registry, SHELL, pools, stored), pools


def _doubted(registry: Registry, stored: DatasetStore, task: str) -> list[Doubted]:
    """Return the suspects in the training data of a task; none if the data is not here.

    A note tells if they cannot be read, because the images of the pool are shown anyway.
    """
    from loravit_web.datasets.errors import DatasetDamaged, DatasetNotFound
    from loravit_web.runs.suspects import doubted_of_task
    from loravit_web.runs.taught import NotTrainedHere
    from loravit_web.training.files.suspects import SuspectsDamaged
    from registry import RegistryError

    try:
        return doubted_of_task(registry, stored, task)
    except (NotTrainedHere, DatasetNotFound):
        return []
    except (SuspectsDamaged, DatasetDamaged, RegistryError) as error:
        note(error.in_public)
        return []


def _doubted_lines(doubted: Sequence[Doubted], count: int) -> list[str]:
    """Return lines that name the suspects; ``count`` also counts those that are not named."""
    if not count:
        return []
    found = f"{plural(count, 'label')} of the training data {'looks' if count == 1 else 'look'} wrong"
    rows = [
        f"  {one.item.path}: “{one.label}”, probably “{one.suggested}” ({one.probability:.0%})"
        for one in doubted
    ]
    return [f"{found}. Look at the images first:", *rows]


def _summary_document(summary: PoolSummary) -> Document:
    return {
        "task": summary.task,
        "images": summary.images,
        "open": summary.open,
        "confirmed": summary.confirmed,
        "skipped": summary.skipped,
        "from_use": summary.from_use,
        "collecting": summary.is_collecting,
    }


def _image_document(image: PoolImage) -> Document:
    return {
        "sha256": image.sha256,
        "path": image.path,
        "origin": image.origin,
        "label": image.label,
        "confirmed_by": image.confirmed_by,
        "skipped": image.is_skipped,
    }


def _suggested_document(suggested: Suggested) -> Document:
    return {
        "sha256": suggested.image.sha256,
        "path": suggested.image.path,
        "labels": [{"label": label, "score": score} for label, score in suggested.labels],
        "unsure": suggested.is_unsure,
        "unlike": suggested.is_unlike,
        "doubt": suggested.doubt,
    }


def _answer_text(document: Document) -> str:
    return ", ".join(f"{one['label']} {one['score']:.0%}" for one in document["labels"][:2])


def _decided_text(image: PoolImage) -> str:
    if image.label is not None:
        return f"{image.path} is confirmed as “{image.label}”."
    return f"{image.path} is {'skipped' if image.is_skipped else 'open again'}."
