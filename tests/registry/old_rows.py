"""Rows of older schemas, written by hand, because the programs of that time are gone.

A new migration needs rows of the schema before it.
"""

from typing import Any

Rows = dict[str, list[dict[str, Any]]]

RUN, FAILED = "a" * 32, "b" * 32
BLOB = "c" * 64


def day(number: int, second: int = 0) -> str:
    return f"2026-01-{number:02}T00:00:{second:02}.000+00:00"


def _run(id_: str, **changes: Any) -> dict[str, Any]:
    row = {"id": id_, "slug": "pets", "title": "Pets", "status": "completed", "base_id": 1, "dataset_id": 1}
    row |= {"seed": 7, "config": '{"r":8}', "environment": "{}", "created_at": day(1), "progress": 1.0}
    return {**row, "resumed": 0, "error": None, **changes}


def _version(id_: int, adapter_id: int, version: int, **changes: Any) -> dict[str, Any]:
    row = {"id": id_, "adapter_id": adapter_id, "version": version, "run_id": None, "base_id": 1}
    row |= {"dataset_id": 1, "manifest_sha256": f"m{id_}", "weights_sha256": BLOB, "adapter_type": "LORA"}
    row |= {"n_params": 5, "size_bytes": 9, "image_size": 112, "class_names": '["cat","Dog"]', "config": "{}"}
    return {**row, "created_at": day(id_, 1), "withdrawn_at": None, "withdrawn_reason": None, **changes}


def _evaluation(version_id: int, split: str, accuracy: float) -> dict[str, Any]:
    row = {"version_id": version_id, "split": split, "n": 4, "accuracy": accuracy, "loss": 0.5}
    return {**row, "macro_f1": 0.5, "linear_probe_accuracy": None, "created_at": day(1)}


def _event(uid: str, actor: str, kind: str, entity_id: str) -> dict[str, Any]:
    row = {"event_uid": uid, "ts": day(1), "actor": actor, "kind": kind}
    return {**row, "entity": "version", "entity_id": entity_id, "payload": "{}"}


FIRST_SCHEMA: Rows = {
    "bases": [
        {"name": "vit", "weights_sha256": "a" * 64, "architecture": "vit_small", "embed_dim": 384}
        | {"depth": 12, "created_at": day(1)}
    ],
    "datasets": [
        {"fingerprint": "f" * 64, "name": "pets", "n_images": 16, "n_classes": 2, "source_kind": "zip"}
        | {"created_at": day(1)}
    ],
    "dataset_classes": [
        {"dataset_id": 1, "idx": 0, "name": "cat", "n_train": 6, "n_val": 2, "n_test": 1},
        {"dataset_id": 1, "idx": 1, "name": "Dog", "n_train": 5, "n_val": 2, "n_test": 0},
    ],
    "runs": [_run(RUN), _run(FAILED, status="failed", error="The loss became NaN.", progress=0.5)],
    "run_params": [{"run_id": RUN, "key": "r", "value": "8"}],
    "run_metrics": [
        {"run_id": RUN, "key": "loss", "step": 0, "value": 1.5, "nonfinite": None, "ts": day(1)},
        {"run_id": RUN, "key": "loss", "step": 1, "value": None, "nonfinite": "nan", "ts": day(1)},
        {"run_id": RUN, "key": "loss", "step": 2, "value": 0.5, "nonfinite": None, "ts": day(1)},
    ],
    "run_summary": [
        {"run_id": RUN, "key": "loss", "last": 0.5, "last_step": 2}
        | {"minimum": 0.5, "min_step": 2, "maximum": 1.5, "max_step": 0}
    ],
    "blobs": [{"sha256": BLOB, "size": 9, "media_type": "application/json", "created_at": day(1)}],
    "adapters": [
        {"slug": "pets", "title": "Pets", "description": "Cats & dogs", "next_version": 3}
        | {"archived_at": None, "created_at": day(1)},
        {"slug": "flowers", "title": "Blümen", "description": "", "next_version": 2}
        | {"archived_at": None, "created_at": day(3)},
    ],
    "adapter_versions": [
        _version(1, 1, 1, run_id=RUN),
        _version(2, 1, 2, withdrawn_at=day(3), withdrawn_reason="mislabelled"),
        _version(3, 2, 1, adapter_type="LINEAR", class_names='["Rose"]', dataset_id=None),
    ],
    "version_files": [{"version_id": 1, "path": "adapter_model.safetensors", "sha256": BLOB}],
    "evaluations": [
        _evaluation(1, "validation", 0.75),
        _evaluation(1, "test", 0.5),
        _evaluation(2, "validation", 1.0),
    ],
    # flowers@1 was added by hand, without an event
    "audit_events": [
        _event("u1", "ann", "published", "pets@1"),
        _event("u2", "bob", "published", "pets@2"),
        _event("u3", "eve", "withdrawn", "pets@2"),
    ],
}

SECOND_SCHEMA: Rows = {
    **FIRST_SCHEMA,
    "users": [
        {"provider": "hub", "subject": "17", "username": "ann", "role": "admin", "created_at": day(1)},
        {"provider": "password", "subject": "bob", "username": "bob", "role": "viewer", "created_at": day(2)},
    ],
    "adapter_summaries": [
        {"adapter_id": 1, "document": "pets\npets\ncats & dogs\ncat\ndog", "versions": 2, "newest_id": 1}
        | {"base_id": 1, "adapter_type": "LORA", "accuracy": 0.5, "published_at": day(1, 1)},
        {"adapter_id": 2, "document": "flowers\nblümen\n\nrose", "versions": 1, "newest_id": 3}
        | {"base_id": 1, "adapter_type": "LINEAR", "accuracy": None, "published_at": day(3, 1)},
    ],
    "adapter_tags": [{"adapter_id": 1, "tag": "fur"}],
    "adapter_aliases": [
        {"adapter_id": 1, "alias": "production", "version_id": 1, "protected": 1}
        | {"moved_at": day(2), "moved_by": "ann"}
    ],
}

THIRD_SCHEMA: Rows = {
    **SECOND_SCHEMA,
    "user_passwords": [{"user_id": 2, "hash": "scrypt$1", "set_at": day(2)}],
}

FOURTH_SCHEMA: Rows = {
    **THIRD_SCHEMA,
    "base_files": [{"base_id": 1, "path": "model.safetensors", "sha256": BLOB}],
}

FIFTH_SCHEMA: Rows = {
    **FOURTH_SCHEMA,
    "evaluations": [
        {**row, "mean_average_precision": None, "micro_f1": None} for row in FOURTH_SCHEMA["evaluations"]
    ],
}

SIXTH_SCHEMA: Rows = {
    **FIFTH_SCHEMA,
    "version_thresholds": [{"version_id": 1, "unlike": 2.5, "unsure": None}],
}

SEVENTH_SCHEMA: Rows = {
    **SIXTH_SCHEMA,
    "runs": [{**row, "dataset_name": "our pets"} for row in SIXTH_SCHEMA["runs"]],
}

EIGHTH_SCHEMA: Rows = {
    **SEVENTH_SCHEMA,
    "version_class_titles": [{"version_id": 1, "titles": '{"cat":"Cats"}'}],
}

NINTH_SCHEMA: Rows = {
    **EIGHTH_SCHEMA,
    "nodes": [{"id": "n1", "name": "forge", "slots": 2, "started_at": day(2), "seen_at": day(2)}],
}

ROWS: dict[str, Rows] = {
    "0001": FIRST_SCHEMA,
    "0002": SECOND_SCHEMA,
    "0003": THIRD_SCHEMA,
    "0004": FOURTH_SCHEMA,
    "0005": FIFTH_SCHEMA,
    "0006": SIXTH_SCHEMA,
    "0007": SEVENTH_SCHEMA,
    "0008": EIGHTH_SCHEMA,
    "0009": NINTH_SCHEMA,
}
