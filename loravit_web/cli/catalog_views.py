"""One adapter and what happened to it, as plain documents and as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loravit_web.cli.browse_views import lineage_document, lineage_text
from loravit_web.cli.views import Document, details, table, version_document
from registry import Adapter, Alias, AliasMove, AuditEvent, Registry, Split, UsageTotal, Version

CONFUSED_SHOWN = 10


def shown_document(registry: Registry, adapter: Adapter, versions: Sequence[Version]) -> Document:
    """An adapter with these of its versions; the results by class are of the first that is in use."""
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
        "versions": [version_document(version) for version in versions],
        "lineage": {one.ref: lineage_document(registry.lineage.of(one)) for one in versions},
    }


def results_document(registry: Registry, version: Version) -> Document | None:
    """Results class by class on the test images, else on the validation images; None without any."""
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
                        "precision": one.precision,
                        "recall": one.recall,
                        "f1": one.f1,
                        "support": one.support,
                    }
                    for name, one in zip(found.class_names, found.classes, strict=True)
                ],
                "most_confused": [
                    {"true": one.true, "predicted": one.predicted, "n": one.n, "share": one.share}
                    for one in confused
                ],
            }
    return None


def shown_text(document: Document) -> str:
    """`shown_document` for people."""
    apart = ("results", "usage", "versions", "lineage")
    facts = {key: value for key, value in document.items() if key not in apart}
    facts["tags"] = ", ".join(document["tags"])
    facts["aliases"] = ", ".join(f"{name} ({ref})" for name, ref in document["aliases"].items())
    facts["archived"] = "yes" if document["archived"] else None
    columns = ["adapter", "asked", "errors", "mean_ms", "max_ms"]
    parts = [details(facts), "Usage\n" + table(document["usage"], columns, "Never asked.")]
    results = document["results"]
    if results is not None:
        columns = ["class", "precision", "recall", "f1", "support"]
        title = f"{results['adapter']} class by class, on the {results['split']} images"
        parts.append(f"{title}\n{table(results['classes'], columns, '')}")
        columns = ["true", "predicted", "n", "share"]
        parts.append(f"Most confused\n{table(results['most_confused'], columns, 'Nothing was confused.')}")
    for version in document["versions"]:
        parts.append(f"{details(version)}\n{lineage_text(document['lineage'][version['adapter']])}".rstrip())
    return "\n\n".join(parts)


def alias_document(alias: Alias) -> Document:
    """An alias and where it is."""
    return {
        "alias": alias.alias,
        "adapter": alias.ref,
        "protected": alias.protected,
        "moved_at": alias.moved_at.isoformat(timespec="seconds"),
        "moved_by": alias.moved_by,
    }


def aliases_document(registry: Registry, slug: str) -> Document:
    """The aliases of an adapter, the computed `latest`, and every move, newest first."""
    newest = registry.catalog.adapter(slug).newest
    return {
        "slug": slug,
        "latest": newest.ref if newest is not None else None,
        "aliases": [alias_document(alias) for alias in registry.aliases.list(slug)],
        "history": [_move_document(move) for move in registry.aliases.history(slug)],
    }


def aliases_text(document: Document) -> str:
    """`aliases_document` for people."""
    columns = ["alias", "adapter", "protected", "moved_at", "moved_by"]
    latest = f"latest: {document['latest'] or 'every version is withdrawn'}"
    parts = [latest, table(document["aliases"], columns, "No aliases: promote a version to make one.")]
    if document["history"]:
        columns = ["at", "alias", "kind", "from", "to", "by"]
        parts.append("History\n" + table(document["history"], columns, ""))
    return "\n\n".join(parts)


def event_document(event: AuditEvent) -> Document:
    """One change and who made it."""
    return {
        "id": event.id,
        "at": event.ts.isoformat(timespec="seconds"),
        "actor": event.actor,
        "kind": event.kind,
        "entity": event.entity,
        "what": event.entity_id,
        "payload": dict(event.payload),
    }


def _move_document(move: AliasMove) -> Document:
    return {
        "at": move.moved_at.isoformat(timespec="seconds"),
        "alias": move.alias,
        "kind": move.kind,
        "from": move.before,
        "to": move.after,
        "by": move.moved_by,
    }


def _usage(registry: Registry, slug: str) -> list[Document]:
    """What each version was asked so far, newest first."""
    totals = registry.usage.totals(slug)
    return [_usage_document(f"{slug}@{version}", totals[version]) for version in sorted(totals, reverse=True)]


def _usage_document(ref: str, total: UsageTotal) -> dict[str, Any]:
    return {
        "adapter": ref,
        "asked": total.n,
        "errors": total.errors,
        "mean_ms": total.mean_ms,
        "max_ms": total.max_ms,
    }
