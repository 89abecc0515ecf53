"""``runs``: the queue and the history of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, get_args

import typer

from loravit_web.access.rights import SHELL
from loravit_web.cli.shell import (
    AsJson,
    Document,
    current_settings,
    details,
    not_yet,
    note,
    note_page,
    open_runs,
    output,
    table,
)
from loravit_web.runs.actions import RunActions
from loravit_web.runs.suspects import suspects_of_run
from registry import Registry, Run, RunQuery, RunStatus

_TRAINERS = {
    "local": "A running app, or python -m loravit_web worker,",
    "workers": "A node with a free slot (python -m loravit_web worker --slots N)",
    "ray": "A trainer of the Ray cluster (python -m loravit_web cluster start)",
}
"""What trains queued runs, by executor."""
STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)
RunId = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of the run, or the first characters of the id.")
]

app = typer.Typer(help="List, show, stop and repeat runs.")


@app.command("list")
def list_runs(
    status: Annotated[
        list[str] | None,
        typer.Option(metavar=f"<{'|'.join(STATUSES)}>", help="Only this status. Repeat it to allow several."),
    ] = None,
    slug: Annotated[str | None, typer.Option(metavar="SLUG", help="Only runs of this adapter.")] = None,
    search: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="Words in ids, names, titles, sweeps and datasets.",
            show_default=False,
        ),
    ] = "",
    group: Annotated[
        str | None, typer.Option(metavar="ID", help="Only runs of this sweep, or the beginning of its id.")
    ] = None,
    page: Annotated[int, typer.Option(metavar="N", help="Page of the list.")] = 1,
    limit: Annotated[int, typer.Option(metavar="N", help="Runs on a page.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    query = RunQuery(
        text=search,
        statuses=tuple(map(_status, status or ())),
        slug=slug,
        group=group,
        page=page,
        limit=limit,
    )
    with open_runs() as registry:
        found, queue = registry.search.runs(query), registry.runs.queue()
        has_any = found.total or registry.search.runs(RunQuery(limit=1)).total
    documents = [run_document(run, queue) for run in found.runs]
    columns = ["run", "status", "slug", "queue_position", "stage", "dataset", "created_at", "published"]
    empty = "No runs match." if has_any else "No runs yet. Train an adapter first."
    output(as_json, documents, lambda: table(documents, columns, empty))
    note_page(found.page, found.pages, found.total, "runs")


@app.command()
def show(
    run_id: RunId,
    points: Annotated[int, typer.Option(metavar="N", help="Maximum points per curve, or 0 for all.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Show a run, its metrics and the images whose label looks wrong."""
    with open_runs() as registry:
        run = registry.runs.get(run_id)
        series = registry.runs.metrics(run.id, max_points=points or None)
        queue, suspects = registry.runs.queue(), suspects_document(registry, run)
    document = run_document(run, queue) | {
        "config": dict(run.config),
        "environment": dict(run.environment),
        "metrics": {key: [[point.step, point.value] for point in curve] for key, curve in series.items()},
        "suspects": suspects,
    }
    output(as_json, document, lambda: details(document))


@app.command()
def cancel(
    run_id: RunId,
    keep: Annotated[bool, typer.Option("--keep", help="Publish the best epoch so far.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop a run without publishing it."""
    with open_runs() as registry:
        run = RunActions(registry, SHELL, current_settings()).stop(run_id, keep=keep)
    ended = run.status == "cancelled"
    text = f"Run {run.id} is cancelled." if ended else f"Run {run.id} will end after its current step."
    output(as_json, {"run": run.id, "status": run.status}, lambda: text)


@app.command()
def resume(run_id: RunId, as_json: AsJson = False) -> None:
    """Queue an unfinished run again. It continues from its last epoch."""
    with open_runs() as registry:
        run = RunActions(registry, SHELL, current_settings()).resume(run_id)
        document = queued_document(registry, run)
    text = f"Run {run.id} is queued again. {trainers()} continues it."
    output(as_json, document, lambda: text)


@app.command()
def retry(
    run_id: RunId,
    batch_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Batch size, by default half that of the ended run."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Queue a copy of an ended run with a smaller batch size."""
    with open_runs() as registry:
        run = RunActions(registry, SHELL, current_settings()).retry(run_id, batch_size=batch_size)
        used_batch_size = run.config["batch_size"]
        document = queued_document(registry, run) | {
            "retry_of": run.environment["retry_of"],
            "batch_size": used_batch_size,
        }
    text = f"Run {run.id} is queued with batch size {used_batch_size}. {trainers()} starts it."
    output(as_json, document, lambda: text)


@app.command()
def delete(
    run_id: RunId,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete it. Without this, only show what would happen.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete an ended run for good, with its curves, files, checkpoint and log."""
    from loravit_web.runs.deletion import deletion_of

    with open_runs() as registry:
        plan = deletion_of(registry, registry.runs.get(run_id).id)
        if yes:
            RunActions(registry, SHELL, current_settings()).delete_run(plan.run_id)
    document = {"run": plan.run_id, "deleted": yes, "consequences": list(plan.consequences)}
    text = f"Run {plan.run_id} is deleted."
    output(as_json, document, lambda: text if yes else not_yet(plan.consequences))


def run_document(run: Run, queue: Sequence[str] = ()) -> Document:
    """Return a run as one flat row.

    Args:
        run: The run.
        queue: Ids of the queued runs, the next one first.
    """
    return {
        "run": run.id,
        "slug": run.slug,
        "status": run.status,
        "queue_position": queue.index(run.id) + 1 if run.id in queue else None,
        "stage": run.stage,
        "progress": run.progress,
        "dataset": run.dataset.name,
        "images": run.dataset.n_images,
        "base": run.base.name,
        "preset": run.config.get("preset"),
        "created_at": run.created_at.isoformat(timespec="seconds"),
        "created_by": run.created_by,
        "seconds": run.seconds,
        "published": run.published,
        "note": run.note,
        "error": run.error,
        "error_kind": run.error_kind,
        "retry_of": run.environment.get("retry_of"),
        "group": run.group,
        "tries": run.environment.get("sweep", {}).get("tries"),
    }


def suspects_document(registry: Registry, run: Run) -> list[Document] | None:
    """Return the images of a run whose label looks wrong, the most suspicious first.

    Returns:
        The images, each with the name of its file at the user's side, which is None if the images of the
        run are no longer stored; None for a run without such a list.
    """
    suspects = suspects_of_run(registry, run.id)
    if suspects is None or not suspects.found:
        return None if suspects is None else []
    names = [one.name for one in registry.datasets.get(run.dataset.fingerprint).classes]
    files = _files_of(run)
    return [
        {
            "file": files.get((suspect.sha256, suspect.label)),
            "label": names[suspect.label],
            "suggested": names[suspect.suggested],
            "probability": suspect.probability,
        }
        for suspect in suspects.found
    ]


def queued_document(registry: Registry, run: Run) -> Document:
    """Return a queued run and its position in the queue."""
    return {"run": run.id, "status": run.status, "queue_position": registry.runs.queue_position(run.id)}


def _files_of(run: Run) -> Mapping[tuple[str, int], str]:
    """Return the names of a run's images by hash and class."""
    from loravit_web.datasets import DatasetNotFound, DatasetStore

    try:
        datasets = DatasetStore.of(current_settings()).imported_by(run.created_by)
        dataset = datasets.load(run.dataset.fingerprint)
    except DatasetNotFound:
        note("the images of this run are no longer stored, so its suspects have no file names.")
        return {}
    return {(item.sha256, item.label): item.path for item in dataset.items}


def trainers() -> str:
    """Return what trains queued runs here, as the subject of a sentence."""
    return _TRAINERS[current_settings().executor]


def _status(word: str) -> RunStatus:
    for status in STATUSES:
        if status == word:
            return status
    raise typer.BadParameter(f"{word!r} is not one of {', '.join(STATUSES)}.", param_hint="'--status'")
