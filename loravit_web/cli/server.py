"""The app and its data folder: ``serve``, workers and clusters, ``doctor``, ``backup``, ``restore``."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Annotated

import typer

from loravit_web.access.rights import SHELL
from loravit_web.cli.shell import (
    AsJson,
    CommandFailed,
    DeviceName,
    Document,
    current_settings,
    note,
    open_registry,
    output,
    table,
)
from loravit_web.settings.environment import Settings
from loravit_web.util.heap import pause_collection, resume_collection
from registry import Backup, Contents, Node, Restored

NO_NODES = "No node has reported within a day. Start one with python -m loravit_web worker --slots N."
WORKER_NICENESS = 5
"""Niceness of a worker that the app started, because answers on the page have priority."""

BackupFile = Annotated[Path, typer.Argument(metavar="FILE", help="Backup file.")]


def serve(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on, by default 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", help="Port to listen on, by default the first free one from 7860."),
    ] = None,
    device: DeviceName = None,
) -> None:
    """Start the web app, like python app.py."""
    pause_collection()
    from loravit_web import opening

    opening.serve(current_settings(device=device), host=host, port=port)


def worker(
    idle_exit: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Exit after this time without a run.")
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Be a node that trains up to N runs at once."),
    ] = None,
    worker_id: Annotated[str | None, typer.Option("--id", hidden=True, help="ID of this worker.")] = None,
    node: Annotated[str | None, typer.Option(hidden=True, help="ID of the node that started it.")] = None,
    device: DeviceName = None,
) -> None:
    """Train queued runs in this process, or with --slots in processes of their own."""
    settings = current_settings(device=device)
    if slots is not None:
        _serve_slots(settings, slots)
        return
    pause_collection()
    from loravit_web.worker.worker import opened_worker

    resume_collection()
    with opened_worker(settings, worker_id=worker_id, node=node) as trainer:
        if idle_exit is not None and hasattr(os, "nice"):
            os.nice(WORKER_NICENESS)
        with trainer.stopping_on_signals():
            trainer.work(idle_exit=idle_exit)


def workers(as_json: AsJson = False) -> None:
    """List the nodes that train runs, their slots, and what they train."""
    with open_registry() as registry:
        documents = [node_document(node) for node in registry.nodes.list()]
    columns = ["node", "name", "slots", "busy", "silent_seconds", "runs"]
    shown = [{**one, "runs": ", ".join(run["slug"] for run in one["runs"]) or None} for one in documents]
    output(as_json, documents, lambda: table(shown, columns, NO_NODES))


def doctor(
    mend: Annotated[bool, typer.Option("--mend", help="Repair what can be repaired safely.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the installation and the data folder for problems."""
    from loravit_web.doctor import examine

    report = examine(current_settings(), mend=mend)
    output(as_json, report.as_json(), report.as_text)
    if not report.healthy:
        raise typer.Exit(1)


def backup(file: BackupFile, as_json: AsJson = False) -> None:
    """Write the whole registry to one file."""
    with open_registry() as registry:
        written = registry.backup(file.absolute())
    for missing in written.missing:
        note(f"not in the backup: {missing}")
    text = f"Wrote {written.contents} to {file} ({written.size / 1e6:.2f} MB)."
    output(as_json, backup_document(file, written), lambda: text)


def restore(
    file: BackupFile,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace a registry that is not empty, and keep it as a backup."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Restore a backup."""
    with open_registry() as registry:
        done = registry.restore(
            file.absolute(), replace=replace, keep_in=current_settings().backups, actor=SHELL.name
        )
    for digest in done.missing:
        note(f"the backup was written without the file {digest}")
    output(as_json, restored_document(done), lambda: restored_text(done))


cluster = typer.Typer(help="Train and answer on a Ray cluster (RAY_ADDRESS, or one of this machine).")


@cluster.command("start")
def start_cluster(
    trainers: Annotated[int, typer.Option(metavar="N", min=0, help="Trainings at once.")] = 1,
    replicas: Annotated[
        int, typer.Option(metavar="N", min=0, help="Replicas that answer, or the fewest.")
    ] = 0,
    max_replicas: Annotated[
        int, typer.Option(metavar="N", min=0, help="Most replicas, by the length of their queue.")
    ] = 0,
    cpus: Annotated[float, typer.Option(metavar="N", min=0, help="CPU cores for each.")] = 1.0,
    gpus: Annotated[float, typer.Option(metavar="N", min=0, help="GPUs for each.")] = 0.0,
    memory_gib: Annotated[
        float, typer.Option(metavar="N", min=0.1, help="Memory that Ray reserves for each, in GiB.")
    ] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Start trainers and replicas. Without RAY_ADDRESS, start a cluster here and hold it until Ctrl-C."""
    from loravit_web.cluster.cluster import Place, connected
    from loravit_web.cluster.serving import deploy
    from loravit_web.worker.stopping import stop_on_signals

    settings, address = current_settings().ensure_home(), os.environ.get("RAY_ADDRESS") or None
    ended = threading.Event()
    with connected(address) as ray_cluster:
        place = Place(cpus, gpus, memory_gib)
        names = ray_cluster.start(settings, trainers, place) if trainers else []
        if replicas:
            deploy(ray_cluster, settings, replicas, max(replicas, max_replicas), place)
        document = {"address": ray_cluster.address, "trainers": names, "replicas": replicas}
        started = _counted(len(names), replicas)
        output(as_json, document, lambda: f"Started {started} on {document['address']}.")
        if address is None:
            note("Ctrl-C ends this cluster. Its runs wait for another worker, or for its next start.")
            with stop_on_signals(ended, lambda: os._exit(1), grace=60.0):
                ended.wait()
                ray_cluster.stop()


@cluster.command("status")
def cluster_status(as_json: AsJson = False) -> None:
    """List the trainers on the cluster, what they train, and the replicas."""
    from loravit_web.cluster.cluster import connected
    from loravit_web.cluster.serving import replica_states

    with connected(os.environ.get("RAY_ADDRESS") or "auto") as ray_cluster:
        listed, states = ray_cluster.trainers(), replica_states()
    with open_registry() as registry:
        nodes = {node.id: node for node in registry.nodes.list()}
    trainers: list[Document] = []
    for one in listed:
        node = None if one.state is None else nodes.get(one.state.node)
        trainers.append(
            {
                "trainer": one.name,
                "state": "not answering" if one.state is None else one.state.problem or "ready",
                "machine": None if one.state is None else one.state.machine,
                "runs": [] if node is None else [run.slug for run in node.runs],
            }
        )
    columns = ["trainer", "state", "machine", "runs"]
    shown = [{**one, "runs": ", ".join(one["runs"]) or None} for one in trainers]
    empty = "No trainers. Start some with python -m loravit_web cluster start."
    replicas = ", ".join(f"{count} {state.lower()}" for state, count in states.items()) or "none"
    document = {"trainers": trainers, "replicas": states}
    output(as_json, document, lambda: f"{table(shown, columns, empty)}\nReplicas: {replicas}")


@cluster.command("stop")
def stop_cluster(as_json: AsJson = False) -> None:
    """Stop the trainers and replicas. Runs are queued again. The cluster itself goes on."""
    from loravit_web.cluster.cluster import connected
    from loravit_web.cluster.serving import stop_replicas

    with connected(os.environ.get("RAY_ADDRESS") or "auto") as ray_cluster:
        trainers, replicas = ray_cluster.stop(), stop_replicas()
    document = {"trainers": trainers, "replicas": replicas}
    output(as_json, document, lambda: f"Stopped {_counted(trainers, replicas)}.")


def _counted(trainers: int, replicas: int) -> str:
    return (
        f"{trainers} trainer{'' if trainers == 1 else 's'} and "
        f"{replicas} replica{'' if replicas == 1 else 's'}"
    )


def node_document(node: Node) -> Document:
    """Return a node and the runs that it trains as JSON-ready values."""
    return {
        "node": node.id[:8],
        "name": node.name,
        "slots": node.slots,
        "busy": node.busy,
        "started_at": node.started_at.isoformat(timespec="seconds"),
        "silent_seconds": round(node.silent.total_seconds(), 1),
        "runs": [
            {"run": run.id, "slug": run.slug, "stage": run.stage, "progress": run.progress}
            for run in node.runs
        ],
    }


def _serve_slots(settings: Settings, slots: int) -> None:
    """Start workers for queued runs until the process is told to end."""
    if settings.executor == "local":
        raise CommandFailed(
            "LORAVIT_EXECUTOR is local, so the app trains all runs. Set it to workers for this command and "
            "for the app."
        )
    from loravit_web.worker.stopping import stop_on_signals
    from loravit_web.worker.supervisor import SHUTDOWN_SECONDS, Supervisor

    ended = threading.Event()
    with open_registry() as registry:
        supervisor = Supervisor(settings.ensure_home(), registry, slots=slots)
        with stop_on_signals(ended, lambda: os._exit(1), grace=SHUTDOWN_SECONDS + 5):
            supervisor.start()
            note(f"this node has {slots} slot{'s' if slots > 1 else ''} for training. Ctrl-C ends it.")
            ended.wait()
            supervisor.stop()


def backup_document(file: Path, written: Backup) -> Document:
    """Return a backup and its contents as JSON-ready values."""
    return {
        "file": str(file),
        "bytes": written.size,
        **_counts(written.contents),
        "lacking": written.missing,
    }


def restored_document(done: Restored) -> Document:
    """Return what was restored and replaced as JSON-ready values."""
    return {
        "taken_at": done.taken_at.isoformat(),
        **_counts(done.contents),
        "replaced": _counts(done.replaced) if done.replaced is not None else None,
        "kept": str(done.kept) if done.kept is not None else None,
        "interrupted": done.interrupted,
        "lacking": done.missing,
    }


def restored_text(done: Restored) -> str:
    """Return `restored_document` as text."""
    lines = [f"Restored {done.contents}, as of {done.taken_at:%Y-%m-%d %H:%M:%S} UTC."]
    if done.replaced is not None:
        lines.append(f"They replaced {done.replaced}, which are kept in {done.kept}.")
    if done.interrupted:
        lines.append(f"{done.interrupted} runs were in progress and are now interrupted. Resume them.")
    return "\n".join(lines)


def _counts(contents: Contents) -> dict[str, int]:
    return {"adapters": contents.adapters, "versions": contents.versions, "runs": contents.runs}
