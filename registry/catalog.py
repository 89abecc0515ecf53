"""The shared catalog: adapters, their numbered versions, and what was done to them by whom."""

import re
from difflib import get_close_matches

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry import publishing
from registry.audit import newest_events, record_event
from registry.blobs import BlobStore
from registry.db import Database
from registry.errors import InvalidValue, UnknownAdapter, UnknownVersion, VersionWithdrawn
from registry.models import AdapterRow, VersionRow
from registry.records import Adapter, AuditEvent, NewVersion, Version
from registry.runs import require_held
from registry.summaries import refresh_summary
from registry.versions import find_versions, newest_not_withdrawn


class Catalog:
    """Adapters are archived, versions withdrawn; nothing that was published is ever deleted or changed."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    def publish(self, new: NewVersion, *, actor: str, worker: str | None = None) -> Version:
        """Publish the files as the adapter's next version; its number is never given to another one.

        A new slug makes a new adapter; an archived one comes back, and a title or description that isn't
        empty becomes the adapter's. Files that this adapter has already published give that version back,
        even a withdrawn one, and change nothing. Interrupted, no version is listed; just publish again.
        With a worker, only while the run is running under it; RunLost otherwise.
        """
        publishing.check(new)
        stored = publishing.store_files(self._blobs, new.files)
        with self._database.writing() as session:
            if new.run_id is not None and worker is not None:
                require_held(session, new.run_id, worker)
            version_id = publishing.publish_rows(session, new, stored, self._database.now(), actor)
            return find_versions(session, VersionRow.id == version_id)[0]

    def resolve(self, ref: str) -> Version:
        """The version that `slug@3` names, or for `slug` its newest one that isn't withdrawn.

        An archived adapter still resolves, so links to it keep working.
        UnknownAdapter, UnknownVersion or VersionWithdrawn otherwise.
        """
        slug, at, number = ref.partition("@")
        with self._database.reading() as session:
            adapter = _adapter_row(session, slug)
            if at:
                version = _find(session, adapter, number)
                if version.withdrawn_at is not None:
                    raise VersionWithdrawn(version.ref, version.withdrawn_reason or "")
                return version
            of_adapter = VersionRow.adapter_id == adapter.id
            newest = find_versions(session, newest_not_withdrawn(), of_adapter)
            if not newest:
                last = find_versions(session, of_adapter)[0]
                raise VersionWithdrawn(last.ref, last.withdrawn_reason or "")
            return newest[0]

    def adapters(self, *, include_archived: bool = False) -> list[Adapter]:
        """The adapters by slug, each with its newest version that isn't withdrawn."""
        statement = select(AdapterRow).order_by(AdapterRow.slug)
        if not include_archived:
            statement = statement.where(AdapterRow.archived_at.is_(None))
        with self._database.reading() as session:
            newest = {one.slug: one for one in find_versions(session, newest_not_withdrawn())}
            return [_adapter(row, newest.get(row.slug)) for row in session.scalars(statement)]

    def versions(self, slug: str) -> list[Version]:
        """Every version of the adapter, withdrawn ones too, newest first; or UnknownAdapter."""
        with self._database.reading() as session:
            return find_versions(session, VersionRow.adapter_id == _adapter_row(session, slug).id)

    def current(self) -> list[Version]:
        """The newest version that isn't withdrawn of each adapter that isn't archived, by slug."""
        with self._database.reading() as session:
            return find_versions(session, newest_not_withdrawn(), AdapterRow.archived_at.is_(None))

    def read_files(self, version: Version) -> dict[str, bytes]:
        """The verified bytes of each file; BlobMissing or BlobDamaged, naming the stored file."""
        return {file.path: self._blobs.read(file.sha256) for file in version.files}

    def events(self, *, limit: int = 100) -> list[AuditEvent]:
        """The last changes of the catalog, newest first."""
        with self._database.reading() as session:
            return newest_events(session, limit)

    def withdraw(self, slug: str, version: int, reason: str, *, actor: str) -> Version:
        """Take a version out of use for good; a version withdrawn before keeps its first reason."""
        if not reason.strip():
            raise InvalidValue("a withdrawal", "it needs a reason")
        with self._database.writing() as session:
            found = _find(session, _adapter_row(session, slug), str(version))
            if found.withdrawn_at is not None:
                return found
            row = session.get_one(VersionRow, found.id, with_for_update=True)
            row.withdrawn_at = self._database.now()
            row.withdrawn_reason = reason
            record_event(
                session,
                row.withdrawn_at,
                actor=actor,
                kind="withdrawn",
                entity="version",
                entity_id=found.ref,
                payload={"reason": reason},
            )
            refresh_summary(session, session.get_one(AdapterRow, row.adapter_id))
            return find_versions(session, VersionRow.id == row.id)[0]

    def archive(self, slug: str, *, actor: str) -> Adapter:
        """Take an adapter off the lists; publishing a new version brings it back."""
        with self._database.writing() as session:
            row = _adapter_row(session, slug)
            if row.archived_at is None:
                row.archived_at = self._database.now()
                record_event(
                    session,
                    row.archived_at,
                    actor=actor,
                    kind="archived",
                    entity="adapter",
                    entity_id=slug,
                    payload={},
                )
            newest = find_versions(session, newest_not_withdrawn(), VersionRow.adapter_id == row.id)
            return _adapter(row, newest[0] if newest else None)


def _adapter_row(session: Session, slug: str) -> AdapterRow:
    row = session.scalars(select(AdapterRow).filter_by(slug=slug)).one_or_none()
    if row is None:
        raise UnknownAdapter(slug, get_close_matches(slug, session.scalars(select(AdapterRow.slug)).all()))
    return row


def _find(session: Session, adapter: AdapterRow, number: str) -> Version:
    # nine digits fit every database's integers
    if re.fullmatch("[1-9][0-9]{0,8}", number):
        found = find_versions(session, VersionRow.adapter_id == adapter.id, VersionRow.version == int(number))
        if found:
            return found[0]
    newest = session.scalars(select(func.max(VersionRow.version)).filter_by(adapter_id=adapter.id)).one()
    raise UnknownVersion(adapter.slug, number, newest)


def _adapter(row: AdapterRow, newest: Version | None) -> Adapter:
    return Adapter(
        slug=row.slug,
        title=row.title,
        description=row.description,
        created_at=row.created_at,
        archived_at=row.archived_at,
        newest=newest,
    )
