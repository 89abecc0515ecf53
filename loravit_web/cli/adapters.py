"""``adapters``: list and show adapters. `adapters_change` and `adapters_exchange` hold the other commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from loravit_web.catalog.reliability import reliability_of_version
from loravit_web.cli import adapters_change, adapters_exchange
from loravit_web.cli.adapters_exchange import export_text, exported_folder
from loravit_web.cli.choices import AdapterTypeName
from loravit_web.cli.documents import lineage_document, lineage_text
from loravit_web.cli.shell import AsJson, Document, details, note_page, open_registry, output, table
from registry import (
    Adapter,
    AdapterEntry,
    AdapterQuery,
    AdapterSort,
    AdapterStatus,
    AuditEvent,
    Registry,
    Split,
    UsageTotal,
    Version,
)

CONFUSED_SHOWN = 10
"""Maximum number of confused pairs of classes that are shown."""

app = typer.Typer(help="List, show, change and exchange the adapters of the catalog.")
app.add_typer(adapters_exchange.app)
app.add_typer(adapters_change.app)


@app.command("list")
def list_adapters(
    base: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this base: its name, or the SHA-256 of its weights."),
    ] = None,
    adapter_type: Annotated[
        AdapterTypeName | None, typer.Option("--type", help="Only this type of adapter.")
    ] = None,
    status: Annotated[
        Literal[AdapterStatus, "any"],
        typer.Option(help="Only this status. All versions of a withdrawn adapter are withdrawn."),
    ] = "active",
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="TAG", help="Only with this tag. Repeat it to require several."),
    ] = None,
    alias: Annotated[str | None, typer.Option(metavar="ALIAS", help="Only with this alias.")] = None,
    owner: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this owner.")] = None,
    min_accuracy: Annotated[
        float | None, typer.Option(metavar="F", help="Minimum accuracy of the newest version, 0 to 1.")
    ] = None,
    sort: Annotated[AdapterSort, typer.Option(help="Order of the list.")] = "name",
    search: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="Words to find in names, titles, descriptions, tags and classes.",
            show_default=False,
        ),
    ] = "",
    page: Annotated[int, typer.Option(metavar="N", help="Page of the list.")] = 1,
    limit: Annotated[int, typer.Option(metavar="N", help="Adapters on a page.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List adapters."""
    query = AdapterQuery(
        text=search,
        base=base,
        adapter_type=adapter_type,
        status=None if status == "any" else status,
        alias=alias,
        tags=tuple(tag or ()),
        owner=owner,
        min_accuracy=min_accuracy,
        sort=sort,
        page=page,
        limit=limit,
    )
    with open_registry() as registry:
        found = registry.search.adapters(query)
        has_any = found.total or registry.search.adapters(AdapterQuery(status=None, limit=1)).total
    documents = [entry_document(entry) for entry in found.entries]
    columns = ["slug", "title", "version", "base", "classes", "val_accuracy", "test_accuracy", "created_at"]
    empty = "No adapters match." if has_any else "No adapters yet. Train one first."
    output(as_json, documents, lambda: table(documents, columns, empty))
    note_page(found.page, found.pages, found.total, "adapters")


@app.command()
def show(
    ref: Annotated[
        str,
        typer.Argument(
            metavar="SLUG[@V|@ALIAS]|FOLDER", help="Adapter, one of its versions, or an exported folder."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show an adapter and its versions, or what an exported folder holds."""
    exported = exported_folder(ref)
    if exported is not None:
        output(as_json, exported, lambda: export_text(exported))
        return
    slug, at, _name = ref.partition("@")
    with open_registry() as registry:
        adapter = registry.catalog.adapter(slug)
        versions = [registry.catalog.version(ref)] if at else registry.catalog.versions(slug)
        document = adapter_document(registry, adapter, versions)
    output(as_json, document, lambda: adapter_text(document))


@app.command()
def events(
    slug: Annotated[
        str | None, typer.Argument(metavar="SLUG", help="Only the changes of this adapter.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="Number of changes to list.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the changes of the catalog and who made them, newest first."""
    with open_registry() as registry:
        documents = [event_document(event) for event in registry.catalog.events(slug, limit=limit)]
    columns = ["at", "actor", "kind", "what", "payload"]
    output(as_json, documents, lambda: table(documents, columns, "No changes yet."))


def entry_document(entry: AdapterEntry) -> Document:
    """Return an adapter of a list as one flat row, with the main facts of its newest version."""
    row: Document = {
        "slug": entry.slug,
        "title": entry.title,
        "status": entry.status,
        "owner": entry.owner,
        "tags": list(entry.tags),
        "aliases": {alias: f"{entry.slug}@{version}" for alias, version in entry.aliases.items()},
        "versions": entry.versions,
    }
    newest = entry.newest
    if newest is None:
        return row
    return row | {
        "version": newest.version,
        "adapter_type": newest.adapter_type,
        "base": newest.base,
        "base_sha256": newest.base_sha256,
        "classes": newest.n_classes,
        "class_names": list(newest.class_names),
        "val_accuracy": newest.validation_accuracy,
        "test_accuracy": newest.test_accuracy,
        "linear_probe_accuracy": newest.linear_probe_accuracy,
        "image_size": newest.image_size,
        "parameters": newest.n_params,
        "bytes": newest.size_bytes,
        "created_at": newest.published_at.isoformat(timespec="seconds"),
    }


def adapter_document(registry: Registry, adapter: Adapter, versions: Sequence[Version]) -> Document:
    """Return an adapter as JSON-ready values.

    Args:
        registry: Registry with the adapter.
        adapter: The adapter.
        versions: Versions to include. The first one that is not withdrawn has its results per class.
    """
    document = {
        "slug": adapter.slug,
        "title": adapter.title,
        "description": adapter.description,
        "owner": adapter.owner,
        "tags": list(adapter.tags),
        "aliases": {alias.alias: alias.ref for alias in adapter.aliases},
        "created_at": adapter.created_at.isoformat(timespec="seconds"),
        "archived": adapter.archived_at is not None,
        "usage": _usage(registry, adapter.slug),
    }
    in_use = next((version for version in versions if version.withdrawn_at is None), versions[0])
    return document | {
        "results": results_document(registry, in_use),
        "reliability": adapters_change.reliability_document(reliability_of_version(registry, in_use)),
        "versions": [version_document(version) for version in versions],
        "lineage": {version.ref: lineage_document(registry.lineage.of(version)) for version in versions},
    }


def version_document(version: Version) -> Document:
    """Return a version as JSON-ready values."""
    return {
        "adapter": version.ref,
        "slug": version.slug,
        "title": version.title,
        "description": version.description,
        "version": version.version,
        "adapter_type": version.adapter_type,
        "base": version.base.name,
        "base_sha256": version.base.weights_sha256,
        "class_names": list(version.class_names),
        "class_titles": dict(version.class_titles),
        "image_size": version.image_size,
        "parameters": version.n_params,
        "bytes": version.size_bytes,
        "evaluations": {
            evaluation.split: {
                "n": evaluation.n,
                "accuracy": evaluation.accuracy,
                "loss": evaluation.loss,
                "macro_f1": evaluation.macro_f1,
                "linear_probe_accuracy": evaluation.linear_probe_accuracy,
                "top5_accuracy": evaluation.top5_accuracy,
                "calibration_error": evaluation.calibration_error,
                **(
                    {
                        "mean_average_precision": evaluation.mean_average_precision,
                        "micro_f1": evaluation.micro_f1,
                    }
                    if evaluation.several_labels
                    else {}
                ),
            }
            for evaluation in version.evaluations
        },
        "config": dict(version.config),
        "run": version.run_id,
        "dataset": version.dataset_fingerprint,
        "weights_sha256": version.weights_sha256,
        "files": [file.path for file in version.files],
        "created_at": version.created_at.isoformat(timespec="seconds"),
        "created_by": version.created_by,
        "withdrawn": version.withdrawn_reason,
        "thresholds": {name: value for name, value in asdict(version.thresholds).items() if value is not None}
        or None,
    }


def results_document(registry: Registry, version: Version) -> Document | None:
    """Return the results per class on the test split, else on the validation split, or None."""
    splits: tuple[Split, ...] = ("test", "validation")
    for split in splits:
        found = registry.evaluations.details(version, split)
        if found is not None and found.classes:
            confused = registry.evaluations.most_confused(version, split, limit=CONFUSED_SHOWN)
            return {
                "adapter": version.ref,
                "split": split,
                "classes": [
                    {
                        "class": name,
                        "precision": metric.precision,
                        "recall": metric.recall,
                        "f1": metric.f1,
                        "support": metric.support,
                        **(
                            {"average_precision": metric.average_precision}
                            if metric.average_precision is not None
                            else {}
                        ),
                    }
                    for name, metric in zip(found.class_names, found.classes, strict=True)
                ],
                "most_confused": [
                    {"true": pair.true, "predicted": pair.predicted, "n": pair.n, "share": pair.share}
                    for pair in confused
                ],
            }
    return None


def adapter_text(document: Document) -> str:
    """Return `adapter_document` as text."""
    separate = ("results", "reliability", "usage", "versions", "lineage")
    facts = {key: value for key, value in document.items() if key not in separate}
    facts["tags"] = ", ".join(document["tags"])
    facts["aliases"] = ", ".join(f"{name} ({ref})" for name, ref in document["aliases"].items())
    facts["archived"] = "yes" if document["archived"] else None
    columns = ["adapter", "asked", "errors", "mean_ms", "max_ms"]
    parts = [details(facts), "Usage\n" + table(document["usage"], columns, "No requests yet.")]
    results = document["results"]
    if results is not None:
        columns = ["class", "precision", "recall", "f1", "support"]
        title = f"{results['adapter']} per class, on the {results['split']} split"
        parts.append(f"{title}\n{table(results['classes'], columns, '')}")
        columns = ["true", "predicted", "n", "share"]
        confused = table(results["most_confused"], columns, "No class is confused with another.")
        parts.append(f"Most confused\n{confused}")
    if document["reliability"] is not None:
        parts.append("\n".join(document["reliability"]["sentences"]))
    for version in document["versions"]:
        parts.append(f"{details(version)}\n{lineage_text(document['lineage'][version['adapter']])}".rstrip())
    return "\n\n".join(parts)


def event_document(event: AuditEvent) -> Document:
    """Return one change as JSON-ready values."""
    return {
        "id": event.id,
        "at": event.ts.isoformat(timespec="seconds"),
        "actor": event.actor,
        "kind": event.kind,
        "entity": event.entity,
        "what": event.entity_id,
        "payload": dict(event.payload),
    }


def _usage(registry: Registry, slug: str) -> list[Document]:
    """Return the requests that each version answered, newest version first."""
    totals = registry.usage.totals(slug)
    return [_usage_document(f"{slug}@{version}", totals[version]) for version in sorted(totals, reverse=True)]


def _usage_document(ref: str, total: UsageTotal) -> Document:
    return {
        "adapter": ref,
        "asked": total.n,
        "errors": total.errors,
        "mean_ms": total.mean_ms,
        "max_ms": total.max_ms,
    }
