"""``train``: train an adapter in this process."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from loravit_web.access.rights import SHELL
from loravit_web.catalog.naming import slugified
from loravit_web.cli.choices import (
    AdapterTypeName,
    ClassesAt,
    ColumnChoices,
    NamesEncoding,
    PoolingName,
    PresetName,
    TargetName,
    classes_level,
    known_encoding,
)
from loravit_web.cli.runs import run_document, trainers
from loravit_web.cli.shell import (
    AsJson,
    CommandFailed,
    DeviceName,
    Document,
    note,
    open_service,
    output,
    table,
)
from loravit_web.util.console import progress_printer
from registry import Run, Version

if TYPE_CHECKING:
    from loravit_web.datasets import ImageDataset
    from loravit_web.datasets.layout.plan import ClassLevel
    from loravit_web.datasets.sources.csv_table.rows import Columns
    from loravit_web.service import Service
    from loravit_web.training.recipe import Recipe

SKIPPED_SHOWN = 20
"""Maximum number of skipped files that are listed."""
_PROGRESS_SECONDS = 0.5
"""Seconds between two updates of the progress."""


def train(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Folder, zip or tar with a folder per class, a table of labels, sample:NAME, or "
            "dataset:FINGERPRINT for a stored dataset.",
        ),
    ],
    name: Annotated[str, typer.Option(metavar="SLUG", help="Adapter to publish.")],
    preset: Annotated[
        PresetName, typer.Option(help="Settings to start from. The other options change them.")
    ] = "quick",
    classes_at: ClassesAt = None,
    encoding: NamesEncoding = None,
    column: ColumnChoices = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Base: embedded, a stored base, or a timm model name."),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(metavar="N", help="Side of the input image in pixels.")
    ] = None,
    blocks: Annotated[int | None, typer.Option(metavar="N", help="Adapt the last N blocks.")] = None,
    targets: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help=f"Target modules, separated by commas: {', '.join(get_args(TargetName))}."
        ),
    ] = None,
    adapter_type: Annotated[AdapterTypeName | None, typer.Option(help="Type of adapter.")] = None,
    rank: Annotated[int | None, typer.Option(metavar="N", help="Rank of the low-rank factors.")] = None,
    alpha: Annotated[
        float | None, typer.Option(metavar="A", help="Scale of the update, which is alpha / rank.")
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(
            metavar="P", help="Fraction of inputs dropped during training. Useful for small datasets."
        ),
    ] = None,
    rslora: Annotated[bool | None, typer.Option(help="Scale by alpha / sqrt(rank) instead.")] = None,
    pooling: Annotated[PoolingName | None, typer.Option(help="Tokens that the head reads.")] = None,
    readout: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Blocks that the head reads too, such as 3-8,cls@12, or auto, or none.",
        ),
    ] = None,
    prefix_length: Annotated[
        int | None, typer.Option(metavar="N", help="Learned keys and values per block, for PREFIX.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Maximum number of epochs.")] = None,
    min_steps: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Small datasets train for extra epochs until they reach this many steps."
        ),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Batch size: images per step.")] = None,
    lr: Annotated[float | None, typer.Option(metavar="F", help="Peak learning rate.")] = None,
    weight_decay: Annotated[float | None, typer.Option(metavar="F", help="Weight decay.")] = None,
    label_smoothing: Annotated[
        float | None,
        typer.Option(
            metavar="F", help="How much to distrust the labels, 0 to 0.9. Raise it if some are wrong."
        ),
    ] = None,
    max_images: Annotated[
        int | None, typer.Option(metavar="N", help="Train on a subset of this size, or 0 for all images.")
    ] = None,
    validation_fraction: Annotated[
        float | None,
        typer.Option(metavar="F", help="Fraction of the training images used for validation."),
    ] = None,
    patience: Annotated[
        int | None, typer.Option(metavar="N", help="Epochs without improvement before training stops.")
    ] = None,
    clip: Annotated[float | None, typer.Option(metavar="F", help="Maximum norm of the gradients.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of all random choices.")] = None,
    mirror: Annotated[
        bool | None, typer.Option(help="Train on mirrored images too. Not for text or digits.")
    ] = None,
    floor: Annotated[
        bool | None, typer.Option(help="Keep the probe where it is better than the trained adapter.")
    ] = None,
    average: Annotated[
        bool | None, typer.Option(help="Average the parameters over the second half of the steps.")
    ] = None,
    refit: Annotated[
        bool | None, typer.Option(help="Fit the head once more on all images, and blend both heads.")
    ] = None,
    device: DeviceName = None,
    as_json: AsJson = False,
) -> None:
    """Train an adapter in this process and publish it."""
    from loravit_web.training.command_line import recipe_from_options

    recipe = recipe_from_options(
        preset,
        image_size=image_size,
        blocks=blocks,
        targets=targets,
        adapter_type=adapter_type,
        rank=rank,
        alpha=alpha,
        dropout=dropout,
        rslora=rslora,
        pooling=pooling,
        readout=readout,
        prefix_length=prefix_length,
        epochs=epochs,
        min_steps=min_steps,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        max_images=max_images,
        validation_fraction=validation_fraction,
        patience=patience,
        clip=clip,
        seed=seed,
        mirror=mirror,
        floor=floor,
        average=average,
        refit=refit,
    )
    from loravit_web.datasets.sources.csv_table.rows import chosen_columns

    slugified(name)
    level, names = classes_level(classes_at), known_encoding(encoding)
    with open_service(base=base, device=device) as service:
        run = trained(
            service,
            data,
            name,
            recipe,
            keep_size=image_size is not None,
            classes_at=level,
            encoding=names,
            columns=chosen_columns(column or ()),
        )
        version = service.registry.catalog.resolve(run.published or run.slug)
        document = trained_document(run, version)
    output(as_json, document, lambda: trained_text(document))


def sweep(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Images, as for the command train.")],
    name: Annotated[str, typer.Option(metavar="SLUG", help="Adapter to publish.")],
    tried: Annotated[
        list[str],
        typer.Option(
            "--try",
            metavar="OPTION=VALUES",
            help="Option of the command train with its values, such as lr=0.001,0.003 or blocks=4. With "
            "--random also a range, such as rank=2..16. Repeat it for more options.",
        ),
    ],
    preset: Annotated[PresetName, typer.Option(help="Settings to start from.")] = "quick",
    draws: Annotated[
        int | None,
        typer.Option("--random", metavar="N", min=1, help="Draw N combinations instead of all of them."),
    ] = None,
    draw_seed: Annotated[int, typer.Option(metavar="N", help="Seed of the draws.")] = 0,
    keep: Annotated[
        float,
        typer.Option(
            metavar="F", min=0.01, max=1, help="Fraction of the runs that continue at each comparison."
        ),
    ] = 0.5,
    base: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Base: embedded, a stored base, or a timm model name."),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Train the runs in this process, and wait.")] = False,
    as_json: AsJson = False,
) -> None:
    """Queue runs that try several settings. The best one publishes a version."""
    from loravit_web.actions import Actions
    from loravit_web.runs.sweeps import parse_choices, tries

    slugified(name)
    choices = parse_choices(tried)
    planned = tries(preset, choices, draws=draws, seed=draw_seed)
    with open_service(base=base) as service:
        tell, actions = progress_printer(), Actions(service, SHELL)
        dataset = actions.import_dataset(data, progress=tell)
        _note_findings(dataset)
        if "image-size" not in choices:
            patch = service.base.patch_size
            planned = [replace(one, recipe=one.recipe.fitted(patch)) for one in planned]
        queued = actions.queue_sweep(dataset, name, planned, keep=keep)
        group = queued[0].group or ""
        if now:
            note(f"training {len(queued)} runs of the sweep {group[:8]}")
            _train_queue(service, tell)
        runs = [service.registry.runs.get(run.id) for run in queued]
        search, ids = service.registry.search, [run.id for run in runs]
        best = {run_id: one.maximum for run_id, one in search.run_summaries(ids, "val_accuracy").items()}
        scores = {**best, **search.published_accuracies(ids)}
        rows = [{**run_document(run), "val_accuracy": scores.get(run.id)} for run in runs]
    document = {"group": group, "runs": rows}
    columns = ["run", "status", "tries", "val_accuracy", "published", "note"]
    shown = [{**row, "run": str(row["run"])[:8], "tries": _tries_text(row)} for row in rows]
    output(as_json, document, lambda: table(shown, columns, ""))
    if not now:
        note(f"{trainers()} trains them. Watch them with python -m loravit_web runs list --group {group[:8]}")


def _train_queue(service: Service, tell: Callable[[float, str], None]) -> None:
    """Train queued runs in this process until none is left."""
    worker = service.new_worker()
    worker.add_base(*service.loaded)
    with worker.stopping_on_signals(), _shown_progress(service, worker.id, tell):
        worker.work(idle_exit=0.0)


def _tries_text(row: Document) -> str:
    from loravit_web.runs.sweeps import changed_text

    return changed_text(row["tries"] or {})


def trained(
    service: Service,
    data: str,
    name: str,
    recipe: Recipe,
    *,
    keep_size: bool,
    classes_at: ClassLevel = None,
    encoding: str | None = None,
    columns: Columns | None = None,
) -> Run:
    """Train an adapter while showing the progress on stderr, and return the completed run.

    Args:
        service: The opened data folder.
        data: Argument DATA of the command.
        name: Name of the adapter.
        recipe: Settings of the training.
        keep_size: Whether to keep the image size even if it does not fit the base.
        classes_at: Level of the class folders, or None to find it.
        encoding: Encoding of the names in a zip that do not tell it, or None to find it.
        columns: Columns of a table that were chosen, or None to find them.

    Raises:
        CommandFailed: If the run ends without a version.
    """
    from loravit_web.actions import Actions
    from loravit_web.training.estimate import cost_text

    tell, actions = progress_printer(), Actions(service, SHELL)
    dataset = actions.import_dataset(
        data, progress=tell, classes_at=classes_at, encoding=encoding, columns=columns
    )
    _note_findings(dataset)
    base = service.base  # loaded before the signal handlers are set, so that Ctrl-C stops a download
    if not keep_size:
        recipe = recipe.fitted(base.patch_size)
    note(cost_text(service.estimates.of(dataset, recipe)))
    worker = service.new_worker()
    with worker.stopping_on_signals(), _shown_progress(service, worker.id, tell):
        run = actions.train_now(dataset, name, recipe, worker)
    if run.status != "completed":
        note(f"the id of the run is {run.id}")
        raise CommandFailed(run.error or f"The run was {run.status}.")
    return run


def trained_document(run: Run, version: Version) -> Document:
    """Return the version that a run published, with its metrics, as JSON-ready values."""
    evaluations = {evaluation.split: evaluation for evaluation in version.evaluations}
    validation, test = evaluations["validation"], evaluations.get("test")
    metrics = {
        "val_accuracy": validation.accuracy,
        "val_loss": validation.loss,
        "linear_probe_accuracy": validation.linear_probe_accuracy,
    }
    if validation.several_labels:
        metrics |= {"val_map": validation.mean_average_precision, "val_micro_f1": validation.micro_f1}
    if test is not None and test.several_labels:
        metrics |= {"test_map": test.mean_average_precision, "test_micro_f1": test.micro_f1}
    if test is not None:
        metrics |= {
            "test_accuracy": test.accuracy,
            "linear_probe_test_accuracy": test.linear_probe_accuracy,
        }
    return {
        "run": run.id,
        "status": run.status,
        "adapter": version.ref,
        "metrics": metrics,
        "seconds": run.seconds,
        "note": run.note,
    }


def trained_text(document: Document) -> str:
    """Return `trained_document` as text."""
    published = f"Published {document['adapter']} after {document['seconds']:.0f} s."
    lines = [f"{published} {document['note'] or ''}".rstrip()]
    lines += [f"  {key.replace('_', ' ')}: {value:.4f}" for key, value in document["metrics"].items()]
    return "\n".join(lines)


def _note_findings(dataset: ImageDataset) -> None:
    """Print warnings about the dataset and its skipped files to stderr."""
    for sentence in (*dataset.warnings, *dataset.notes):
        note(sentence)
    if dataset.skipped:
        count = len(dataset.skipped)
        note(f"skipped {count} file{'s' if count > 1 else ''}:")
    for skipped in dataset.skipped[:SKIPPED_SHOWN]:
        print(f"  {skipped.path}: {skipped.reason}", file=sys.stderr)
    if len(dataset.skipped) > SKIPPED_SHOWN:
        print(f"  and {len(dataset.skipped) - SKIPPED_SHOWN} more", file=sys.stderr)


@contextmanager
def _shown_progress(service: Service, worker: str, tell: Callable[[float, str], None]) -> Iterator[None]:
    """Show the progress of this process's run while it trains."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_PROGRESS_SECONDS):
            for run in service.registry.runs.list(status=["running"]):
                if run.worker == worker and run.stage:
                    shows_time = run.eta_seconds and sys.stderr.isatty()
                    left = f", {run.eta_seconds:.0f} s left" if shows_time else ""
                    tell(run.progress, run.stage + left)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
