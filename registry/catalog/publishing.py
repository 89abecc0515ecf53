"""A publication: files are stored, read back and inspected, then all rows are added in one transaction.

If the process is killed before the transaction commits, only unreferenced blobs are left. The catalog never
lists a version with missing files.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.audit import record_event
from registry.bases_and_datasets import require_base, require_dataset
from registry.blobs.store import BlobStore
from registry.catalog.curation import validate_tag
from registry.catalog.evaluations import add_evaluation, check_evaluation
from registry.catalog.summaries import refresh_summary
from registry.database.canonical import canonical_json, plain_json
from registry.database.db import insert_into
from registry.database.models import AdapterRow, AdapterTagRow, BlobRow, RunRow, VersionFileRow, VersionRow
from registry.errors import InvalidValue, UnknownRun
from registry.records import BlobInfo, NewVersion
from registry.slugs import validate_slug

MEDIA_TYPES = {".json": "application/json", ".md": "text/markdown", ".webp": "image/webp"}
OTHER_MEDIA_TYPE = "application/octet-stream"


def check(new: NewVersion) -> None:
    """Raise InvalidSlug, InvalidTag or InvalidValue for anything that must not be published."""
    validate_slug(new.slug)
    if new.weights_file not in new.files:
        raise InvalidValue(f"a version of {new.slug}", f"the file {new.weights_file} is missing. Add it")
    for path, content in new.files.items():
        check_path(path)
        if isinstance(content, Path) and not content.is_file():
            raise InvalidValue(f"the file {path!r}", f"there is no file {content}. Give an existing one")
    if len(set(new.class_names)) != len(new.class_names):
        raise InvalidValue(
            f"a version of {new.slug}", "two of its classes have the same name. Rename one of them"
        )
    plain_json("the class names of a version", new.class_names)
    plain_json("the config of a version", new.config)
    for tag in new.tags:
        validate_tag(tag)
    splits = [evaluation.split for evaluation in new.evaluations]
    if len(set(splits)) != len(splits):
        raise InvalidValue(
            f"a version of {new.slug}", "two of its evaluations are on the same split. Remove one of them"
        )
    for evaluation in new.evaluations:
        check_evaluation(evaluation, len(new.class_names))


def store_files(blobs: BlobStore, files: Mapping[str, bytes | Path]) -> dict[str, BlobInfo]:
    """Store every file. Storing the same files again replaces damaged or missing copies."""
    return {path: _store(blobs, content) for path, content in sorted(files.items())}


def read_back(blobs: BlobStore, stored: Mapping[str, BlobInfo]) -> dict[str, bytes]:
    """Return the verified bytes of each file, as the store returns them now.

    Raises:
        BlobMissing: if a file is not in the store.
        BlobDamaged: if its content has changed.
    """
    return {path: blobs.read(blob.sha256, fresh=True) for path, blob in stored.items()}


def store_missing(
    blobs: BlobStore, files: Mapping[str, bytes | Path], stored: Mapping[str, BlobInfo]
) -> None:
    """Store files again that were removed as unreferenced in the meantime.

    Part of the publishing transaction: its rows are locked, and maintenance locks rows before it removes
    files, so from here on nothing of it is removed.
    """
    for path, blob in stored.items():
        if not blobs.has(blob.sha256):
            _store(blobs, files[path])


def _store(blobs: BlobStore, content: bytes | Path) -> BlobInfo:
    return blobs.put_file(content) if isinstance(content, Path) else blobs.put_bytes(content)


def manifest_sha256(digests: Mapping[str, str]) -> str:
    """Return the identity of a set of files: the SHA-256 of the canonical JSON of {path: sha256}."""
    return hashlib.sha256(canonical_json(dict(digests)).encode()).hexdigest()


def publish_rows(
    session: Session, new: NewVersion, stored: Mapping[str, BlobInfo], now: datetime, actor: str
) -> int:
    """Add a version with everything that belongs to it, and return its id.

    If the adapter already has a version of these files, nothing changes and its id is returned.
    """
    manifest = manifest_sha256({path: blob.sha256 for path, blob in stored.items()})
    adapter = session.scalars(select(AdapterRow).filter_by(slug=new.slug).with_for_update()).one_or_none()
    if adapter is None:
        adapter = AdapterRow(
            slug=new.slug, title=new.title, description=new.description, created_at=now, owner=actor
        )
        session.add(adapter)
        session.flush()
    present = session.scalars(
        select(VersionRow.id).filter_by(adapter_id=adapter.id, manifest_sha256=manifest)
    ).one_or_none()
    if present is not None:
        return present
    _check_references(session, new)
    # an adapter that gets a new version is in use again
    adapter.archived_at = None
    adapter.title = new.title or adapter.title
    adapter.description = new.description or adapter.description
    for path, blob in stored.items():
        add_blob(session, path, blob, now)
    row = _version_row(adapter, new, stored, manifest, now, actor)
    adapter.next_version += 1
    session.add(row)
    session.flush()
    _add_parts(session, row.id, new, stored, now)
    for tag in new.tags:
        values = {"adapter_id": adapter.id, "tag": tag}
        session.execute(insert_into(AdapterTagRow).values(values).on_conflict_do_nothing())
    refresh_summary(session, adapter)
    record_event(
        session,
        now,
        actor=actor,
        kind="published",
        entity="version",
        entity_id=f"{new.slug}@{row.version}",
        payload={
            "title": adapter.title,
            "run_id": new.run_id,
            "manifest_sha256": manifest,
            "tags": sorted(new.tags),
            "files": {path: blob.sha256 for path, blob in stored.items()},
        },
    )
    return row.id


def check_path(path: str) -> None:
    """Raise InvalidValue unless the path is relative and stays inside its folder."""
    parts = PurePosixPath(path).parts
    if (
        not parts
        or path != "/".join(parts)
        or path.startswith("/")
        or ".." in parts
        or set(path) & set("\\:\0")
    ):
        raise InvalidValue(
            f"the file {path!r}", "its path is not valid. Use a relative path with / between plain names"
        )


def _check_references(session: Session, new: NewVersion) -> None:
    require_base(session, new.base_id)
    if new.dataset_id is not None:
        require_dataset(session, new.dataset_id)
    if new.run_id is not None and session.get(RunRow, new.run_id) is None:
        raise UnknownRun(new.run_id)


def add_blob(session: Session, path: str, blob: BlobInfo, now: datetime) -> None:
    """Add the row of a stored file, with the media type of its suffix."""
    media_type = MEDIA_TYPES.get(PurePosixPath(path).suffix, OTHER_MEDIA_TYPE)
    session.execute(
        insert_into(BlobRow)
        .values(sha256=blob.sha256, size=blob.size, media_type=media_type, created_at=now)
        # an update, even to the same value, locks the row against maintenance in another transaction
        .on_conflict_do_update(index_elements=["sha256"], set_={"size": blob.size})
    )


def _version_row(
    adapter: AdapterRow,
    new: NewVersion,
    stored: Mapping[str, BlobInfo],
    manifest: str,
    now: datetime,
    actor: str,
) -> VersionRow:
    return VersionRow(
        adapter_id=adapter.id,
        version=adapter.next_version,
        run_id=new.run_id,
        base_id=new.base_id,
        dataset_id=new.dataset_id,
        manifest_sha256=manifest,
        weights_sha256=stored[new.weights_file].sha256,
        adapter_type=new.adapter_type,
        n_params=new.n_params,
        size_bytes=sum(blob.size for blob in stored.values()),
        image_size=new.image_size,
        class_names=list(new.class_names),
        config=plain_json("the config of a version", new.config),
        created_at=now,
        created_by=actor,
    )


def _add_parts(
    session: Session, version_id: int, new: NewVersion, stored: Mapping[str, BlobInfo], now: datetime
) -> None:
    session.add_all(
        VersionFileRow(version_id=version_id, path=path, sha256=blob.sha256) for path, blob in stored.items()
    )
    for evaluation in new.evaluations:
        add_evaluation(session, version_id, evaluation, now)
