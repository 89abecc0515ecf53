"""Lineage of a version, as a document and as text, for several commands."""

from __future__ import annotations

from collections.abc import Sequence

from loravit_web.cli.shell import Document, details
from registry import Descendants, Lineage

SHORT_ID = 8
"""Number of characters of a run's id that are shown."""
MAX_LISTED = 10
"""Maximum number of names that are listed."""


def lineage_document(lineage: Lineage) -> Document:
    """Return the run, dataset and base of a version, and what else was trained on its data."""
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
            "revision": lineage.dataset_revision,
        },
        "base": {"name": lineage.base.name, "weights_sha256": lineage.base.weights_sha256},
        "same_data": None if lineage.same_data is None else _descendants(lineage.same_data),
    }


def lineage_text(document: Document) -> str:
    """Return the parts of `lineage_document` that the version's own document lacks, as text."""
    dataset, same = document["dataset"], document["same_data"]
    facts = {"same run": _listed(document["same_run"], len(document["same_run"]))}
    if dataset is not None:
        facts["dataset name"] = f"{dataset['name']}, {dataset['images']} images, {dataset['classes']} classes"
        facts["same data"] = _listed(same["versions"], same["n_versions"])
        facts["runs on it"] = _listed([run_id[:SHORT_ID] for run_id in same["runs"]], same["n_runs"])
    return details(facts)


def _descendants(found: Descendants) -> Document:
    return {
        "n_versions": found.n_versions,
        "n_runs": found.n_runs,
        "versions": list(found.versions),
        "runs": list(found.runs),
    }


def _listed(names: Sequence[str], count: int) -> str:
    more = count - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
