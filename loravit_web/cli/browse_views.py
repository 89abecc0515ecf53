"""Entries of lists, comparisons and lineage, as plain documents and as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loravit_web.cli.views import Document, details, table
from loravit_web.runs.comparison import SHORT_DIGEST
from registry import ABSENT, AdapterEntry, Comparison, Descendants, Difference, Lineage

SHORT_ID = 8
MOST_NAMED = 10


def entry_document(entry: AdapterEntry) -> Document:
    """An adapter of a list and the most important of its newest version, as one flat row."""
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


def lineage_document(lineage: Lineage) -> Document:
    """Where a version comes from, and what else its data gave."""
    dataset = lineage.dataset
    return {
        "run": lineage.run_id,
        "same_run": list(lineage.siblings),
        "dataset": None
        if dataset is None
        else {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "images": dataset.n_images,
            "classes": dataset.n_classes,
        },
        "base": {"name": lineage.base.name, "weights_sha256": lineage.base.weights_sha256},
        "same_data": None if lineage.same_data is None else _descendants(lineage.same_data),
    }


def _descendants(found: Descendants) -> Document:
    return {
        "n_versions": found.n_versions,
        "n_runs": found.n_runs,
        "versions": list(found.versions),
        "runs": list(found.runs),
    }


def lineage_text(document: Document) -> str:
    """What `lineage_document` knows beyond the version itself, for people."""
    dataset, same = document["dataset"], document["same_data"]
    facts = {"same run": _some(document["same_run"], len(document["same_run"]))}
    if dataset is not None:
        facts["dataset name"] = f"{dataset['name']}, {dataset['images']} images, {dataset['classes']} classes"
        facts["same data"] = _some(same["versions"], same["n_versions"])
        facts["runs on it"] = _some([one[:SHORT_ID] for one in same["runs"]], same["n_runs"])
    return details(facts)


def _some(names: Sequence[str], n: int) -> str:
    more = n - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def comparison_document(comparison: Comparison, lineages: Sequence[Document | None]) -> Document:
    """What differs; a subject that doesn't have a setting or metric is missing from its ``values``."""
    names = [one.name for one in comparison.subjects]

    def rows(differences: Sequence[Difference]) -> list[Document]:
        return [
            {
                "key": row.key,
                "values": {
                    name: value for name, value in zip(names, row.values, strict=True) if value is not ABSENT
                },
            }
            for row in differences
        ]

    return {
        "compared": [
            {
                "name": one.name,
                "run": one.run.id if one.run is not None else None,
                "adapter": one.version.ref if one.version is not None else None,
                "lineage": lineage,
            }
            for one, lineage in zip(comparison.subjects, lineages, strict=True)
        ],
        "settings": rows(comparison.settings),
        "metrics": rows(comparison.metrics),
    }


def comparison_text(document: Document) -> str:
    """`comparison_document` for people; runs go by the start of their id, null is a value, - is none."""
    names = [one["name"] for one in document["compared"]]
    heads = {name: name if "@" in name else name[:SHORT_ID] for name in names}

    def lines(rows: Sequence[Document], empty: str) -> str:
        shown = [
            {
                "": row["key"],
                **{heads[name]: _shown(row["key"], value) for name, value in row["values"].items()},
            }
            for row in rows
        ]
        return table(shown, ["", *heads.values()], empty)

    return "\n\n".join(
        [
            "Settings\n" + lines(document["settings"], "No setting differs."),
            "Metrics\n" + lines(document["metrics"], "Nothing was measured."),
        ]
    )


def _shown(key: str, value: Any) -> Any:
    if value is None:
        return "null"
    if key.endswith(("sha256", "fingerprint")):
        return value[:SHORT_DIGEST]
    return ", ".join(map(str, value)) if isinstance(value, list) else value
