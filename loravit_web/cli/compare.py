"""``compare``: adapters, versions and runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from loravit_web.cli.documents import SHORT_ID, lineage_document
from loravit_web.cli.shell import AsJson, Document, open_registry, output, table
from loravit_web.runs.comparison import SHORT_DIGEST
from registry import ABSENT, Comparison, Difference


def compare(
    refs: Annotated[
        list[str],
        typer.Argument(
            metavar="REF", help="SLUG, SLUG@V, the id of a run, or the first characters of the id."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show the settings that differ, and the metrics side by side."""
    with open_registry() as registry:
        comparison = registry.comparer.compare(refs)
        lineages = [
            None if subject.version is None else lineage_document(registry.lineage.of(subject.version))
            for subject in comparison.subjects
        ]
    document = comparison_document(comparison, lineages)
    output(as_json, document, lambda: comparison_text(document))


def comparison_document(comparison: Comparison, lineages: Sequence[Document | None]) -> Document:
    """Return a comparison as JSON-ready values.

    The ``values`` of a row lack the subjects without this setting or metric.

    Args:
        comparison: Subjects and their differences.
        lineages: Lineage of each subject's version, or None, in the same order.
    """
    names = [subject.name for subject in comparison.subjects]

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
                "name": subject.name,
                "run": subject.run.id if subject.run is not None else None,
                "adapter": subject.version.ref if subject.version is not None else None,
                "lineage": lineage,
            }
            for subject, lineage in zip(comparison.subjects, lineages, strict=True)
        ],
        "settings": rows(comparison.settings),
        "metrics": rows(comparison.metrics),
    }


def comparison_text(document: Document) -> str:
    """Return `comparison_document` as text.

    Runs are named by the beginning of their ids. ``null`` is a value, and ``-`` is a missing value.
    """
    names = [subject["name"] for subject in document["compared"]]
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
            "Metrics\n" + lines(document["metrics"], "No metrics are recorded."),
        ]
    )


def _shown(key: str, value: Any) -> Any:
    if value is None:
        return "null"
    if key.endswith(("sha256", "fingerprint")):
        return value[:SHORT_DIGEST]
    return ", ".join(map(str, value)) if isinstance(value, list) else value
