"""What the registry holds, as plain documents and as text for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from registry import Run, Version

Document = dict[str, Any]


def version_document(version: Version) -> Document:
    """A version as JSON-ready values."""
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
    }


def run_document(run: Run, queue: Sequence[str] = ()) -> Document:
    """A run as one flat row.

    Args:
        queue: ids of the queued runs, the next one first.
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
    }


def json_text(document: Any) -> str:
    """One JSON document; NaN and infinity become their names, which JSON can't hold as numbers."""
    return json.dumps(_plain(document), ensure_ascii=False, indent=2)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> str:
    """Rows as aligned text."""
    if not rows:
        return empty
    cells = [list(columns)] + [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def details(document: Mapping[str, Any]) -> str:
    """A document as lines of ``name: value``."""
    lines = []
    for key, value in document.items():
        if value is None or value == "":
            continue
        shown = (
            json.dumps(_plain(value), ensure_ascii=False) if isinstance(value, dict | list) else _cell(value)
        )
        lines.append(f"{key.replace('_', ' ')}: {shown}")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
