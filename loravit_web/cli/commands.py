"""What each command of the shell does; `cli` says how it is called."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from loravit_web.access.rights import SHELL
from loravit_web.cli.shell import open_registry as _registry
from loravit_web.cli.shell import open_runs as _runs_registry
from loravit_web.cli.shell import output as _output
from loravit_web.errors import LoraVitError
from loravit_web.settings.environment import Settings
from loravit_web.util.console import progress_printer
from loravit_web.util.files import write_atomic

SKIPPED_SHOWN = 20


class CommandFailed(LoraVitError):
    """A command that ran to its end without doing what was asked."""


def train(options: argparse.Namespace, settings: Settings) -> int:
    from dataclasses import replace

    from loravit_web.catalog.naming import slugified
    from loravit_web.training.command_line import recipe_from_options
    from loravit_web.training.estimate import cost_text

    recipe = recipe_from_options(options)
    slugified(options.name)
    if options.base:
        settings = replace(settings, base=options.base)
    with _service(settings) as service:
        tell = progress_printer()
        dataset = service.import_dataset(options.data, progress=tell)
        _tell_findings(dataset)
        base = service.base  # fetched before signals are taken over, so that Ctrl-C ends a download
        if options.image_size is None:
            recipe = recipe.fitted(base.patch_size)
        print(f"note: {cost_text(service.estimate(dataset, recipe))}", file=sys.stderr)
        worker = service.new_worker()
        with worker.stopping_on_signals(), _watching(service, worker.name, tell):
            run = service.train_now(dataset, options.name, recipe, worker, actor=SHELL.name)
        if run.status != "completed":
            print(f"note: this was run {run.id}", file=sys.stderr)
            raise CommandFailed(run.error or f"The run was {run.status}.")
        version = service.registry.catalog.resolve(run.published or run.slug)
        document = _trained(run, version)
        _output(options, document, lambda: _trained_text(run, document))
    return 0


def _tell_findings(dataset: Any) -> None:
    """What the data has that training leaves out or should be known, on stderr."""
    for warning in dataset.warnings:
        print(f"note: {warning}", file=sys.stderr)
    if dataset.skipped:
        print(f"note: {len(dataset.skipped)} files skipped:", file=sys.stderr)
    for one in dataset.skipped[:SKIPPED_SHOWN]:
        print(f"  {one.path}: {one.reason}", file=sys.stderr)
    if len(dataset.skipped) > SKIPPED_SHOWN:
        print(f"  and {len(dataset.skipped) - SKIPPED_SHOWN} more", file=sys.stderr)


def _trained(run: Any, version: Any) -> dict[str, Any]:
    validation, test = version.evaluation("validation"), version.evaluation("test")
    metrics = {
        "val_accuracy": validation.accuracy,
        "val_loss": validation.loss,
        "linear_probe_accuracy": validation.linear_probe_accuracy,
    }
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
        "seconds": round((run.ended_at - run.started_at).total_seconds(), 1),
        "note": run.note,
    }


def _trained_text(run: Any, document: dict[str, Any]) -> str:
    lines = [f"{document['adapter']} in {document['seconds']:.0f} s. {run.note or ''}".rstrip()]
    lines += [f"  {key.replace('_', ' ')}: {value:.4f}" for key, value in document["metrics"].items()]
    return "\n".join(lines)


def predict(options: argparse.Namespace, settings: Settings) -> int:
    from loravit_web.images.loading import load_rgb

    with _service(settings) as service:
        predictor = service.predictor
        predictor.refresh(load=False)
        answers, failures = [], []
        for path in options.images:
            picture = load_rgb(path, max_pixels=settings.limits.pixels)
            answer = predictor.classify(picture, options.tasks, top_k=options.top_k)
            failures += [result.error for result in answer.results if result.error]
            answers.append((str(path), answer))
    if failures:
        raise CommandFailed(failures[0])
    if options.csv:
        from loravit_web.serving.table import Row, as_csv

        table = as_csv([Row(name, answer.results, None) for name, answer in answers])
        _write(options.csv, table.encode())
        print(f"{len(answers)} images in {options.csv}.", file=sys.stderr)
    else:
        documents = [
            {"image": name, "results": _results(answer.as_json()["results"])} for name, answer in answers
        ]
        _output(options, documents, lambda: _predicted_text(documents))
    return 0


def _results(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"task": result["task"], "labels": result["labels"]} for result in results]


def _predicted_text(documents: list[dict[str, Any]]) -> str:
    lines = []
    for document in documents:
        lines.append(document["image"])
        for result in document["results"]:
            labels = ", ".join(f"{one['label']} {one['score']:.3f}" for one in result["labels"])
            lines.append(f"  {result['task']}: {labels}")
    return "\n".join(lines)


def _actions(service: Any) -> Any:
    from loravit_web.actions import Actions

    return Actions(service, SHELL)


def adapters_export(options: argparse.Namespace, settings: Settings) -> int:
    with _service(settings) as service:
        version = service.registry.catalog.resolve(options.ref)
        _name, data = service.export(options.ref)
        _write(options.file, data)
    document = {"adapter": version.ref, "file": str(options.file), "bytes": len(data)}
    _output(options, document, lambda: f"{version.ref} in {options.file} ({len(data) / 1e6:.2f} MB).")
    return 0


def adapters_import(options: argparse.Namespace, settings: Settings) -> int:
    with _service(settings) as service:
        version = _actions(service).import_bundle(options.file)
    _output(options, {"adapter": version.ref}, lambda: f"Imported as {version.ref}.")
    return 0


def adapters_push(options: argparse.Namespace, settings: Settings) -> int:
    with _service(settings) as service:
        version = service.registry.catalog.resolve(options.ref)
        pushed = _actions(service).push(
            version.ref, options.repo, private=options.private, revision=options.revision
        )
        shows = service.thumbnail(version) is not None
    document = {"adapter": version.ref, "repo": pushed.repo, "commit": pushed.commit, "url": pushed.url}
    note = " Its thumbnail shows training images." if shows else ""
    _output(options, document, lambda: f"{version.ref} is at {pushed.url}.{note}")
    return 0


def adapters_pull(options: argparse.Namespace, settings: Settings) -> int:
    repo, _at, revision = options.repo.partition("@")
    with _service(settings) as service:
        version = _actions(service).pull(repo, revision=revision or None, name=options.name)
    _output(options, {"adapter": version.ref}, lambda: f"Published as {version.ref}.")
    return 0


def runs_show(options: argparse.Namespace, settings: Settings) -> int:
    from loravit_web.cli.views import details, run_document

    with _runs_registry(settings) as registry:
        run = registry.runs.get(options.run)
        series = registry.runs.metrics(run.id, max_points=options.points or None)
        queue = registry.runs.queue()
    document = run_document(run, queue)
    document["config"] = dict(run.config)
    document["environment"] = dict(run.environment)
    document["metrics"] = {key: [[p.step, p.value] for p in points] for key, points in series.items()}
    _output(options, document, lambda: details(document))
    return 0


def runs_cancel(options: argparse.Namespace, settings: Settings) -> int:
    with _runs_registry(settings) as registry:
        request = "keep" if options.keep else "cancel"
        run = registry.runs.request_stop(registry.runs.get(options.run).id, request)
    text = (
        f"Run {run.id} is cancelled." if run.status == "cancelled" else f"Run {run.id} ends at its next step."
    )
    _output(options, {"run": run.id, "status": run.status}, lambda: text)
    return 0


def runs_resume(options: argparse.Namespace, settings: Settings) -> int:
    with _runs_registry(settings) as registry:
        run = registry.runs.requeue(registry.runs.get(options.run).id)
        document = _queued(registry, run)
    text = f"Run {run.id} is queued again: a running app, or python -m loravit_web worker, takes it up."
    _output(options, document, lambda: text)
    return 0


def runs_retry(options: argparse.Namespace, settings: Settings) -> int:
    from loravit_web.worker.reaper import reap_once

    with _service(settings) as service:
        reap_once(service.registry)
        run = _actions(service).retry(options.run, batch_size=options.batch_size)
        document = _queued(service.registry, run) | {
            "retry_of": run.environment["retry_of"],
            "batch_size": run.config["batch_size"],
        }
    text = (
        f"Run {run.id} is queued with {run.config['batch_size']} images per step: a running app, or "
        "python -m loravit_web worker, takes it up."
    )
    _output(options, document, lambda: text)
    return 0


def _queued(registry: Any, run: Any) -> dict[str, Any]:
    position = registry.runs.queue_position(run.id)
    return {"run": run.id, "status": run.status, "queue_position": position}


def serve(options: argparse.Namespace, settings: Settings) -> int:
    from loravit_web.ui.launch import serve

    serve(settings, host=options.host, port=options.port)
    return 0


def worker(options: argparse.Namespace, settings: Settings) -> int:
    with _service(settings) as service:
        worker = service.new_worker()
        if options.idle_exit is not None and hasattr(os, "nice"):
            os.nice(5)  # started by the app: answers on the page come first
        with worker.stopping_on_signals():
            worker.work(idle_exit=options.idle_exit)
    return 0


def doctor(options: argparse.Namespace, settings: Settings) -> int:
    from loravit_web.doctor import examine

    report = examine(settings, mend=options.mend)
    _output(options, report.as_json(), report.as_text)
    return 0 if report.healthy else 1


def backup(options: argparse.Namespace, settings: Settings) -> int:
    with _registry(settings) as registry:
        written = registry.backup(options.file.absolute())
    for lack in written.lacking:
        print(f"note: not in the backup: {lack}", file=sys.stderr)
    document = {
        "file": str(options.file),
        "bytes": written.size,
        **_counts(written.contents),
        "lacking": written.lacking,
    }
    text = f"{written.contents} in {options.file} ({written.size / 1e6:.2f} MB)."
    _output(options, document, lambda: text)
    return 0


def restore(options: argparse.Namespace, settings: Settings) -> int:
    with _registry(settings) as registry:
        done = registry.restore(
            options.file.absolute(), replace=options.replace, keep_in=settings.backups, actor="shell"
        )
    lines = [f"{done.contents} are restored, as they were at {done.taken_at:%Y-%m-%d %H:%M:%S} UTC."]
    if done.replaced is not None:
        lines.append(f"They took the place of {done.replaced}, which are kept in {done.kept}.")
    if done.interrupted:
        lines.append(f"{done.interrupted} runs that were going at that time are interrupted; resume them.")
    for digest in done.lacking:
        print(f"note: the backup was made without the file {digest}", file=sys.stderr)
    document = {
        "taken_at": done.taken_at.isoformat(),
        **_counts(done.contents),
        "replaced": _counts(done.replaced) if done.replaced is not None else None,
        "kept": str(done.kept) if done.kept is not None else None,
        "interrupted": done.interrupted,
        "lacking": done.lacking,
    }
    _output(options, document, lambda: "\n".join(lines))
    return 0


def _counts(contents: Any) -> dict[str, int]:
    return {"adapters": contents.adapters, "versions": contents.versions, "runs": contents.runs}


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomic(path, data)
    except OSError as error:
        raise CommandFailed(f"{path} can't be written ({error.strerror or error}).") from error


def _service(settings: Settings) -> Any:
    from loravit_web.service import Service

    return contextlib.closing(Service(settings, progress=progress_printer()))


@contextlib.contextmanager
def _watching(service: Any, worker: str, tell: Callable[[float, str], None]) -> Iterator[None]:
    """Show the progress of this process's run while it trains."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            for run in service.registry.runs.list(status=["running"]):
                if run.worker == worker and run.stage:
                    left = (
                        f", {run.eta_seconds:.0f} s left" if run.eta_seconds and sys.stderr.isatty() else ""
                    )
                    tell(run.progress, run.stage + left)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
