"""The shared catalog: adapters, their numbered versions, and the record of changes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, select, true
from sqlalchemy.orm import Session

from registry.audit import events_of, newest_events, record_event
from registry.blobs.store import BlobStore
from registry.catalog import publishing
from registry.catalog.aliases import aliases_of, naming
from registry.catalog.changes import CatalogChanges, changes_since
from registry.catalog.curation import change_tags, change_texts, tags_of
from registry.catalog.errors import VersionInUse
from registry.catalog.lookup import adapter_row, find_ref, refuse_withdrawn
from registry.catalog.summaries import refresh_summary
from registry.catalog.versions import find_versions, named_by_slug, newest_in_use, newest_not_withdrawn
from registry.database.db import Database
from registry.database.models import AdapterRow, VersionFileRow, VersionRow
from registry.errors import InvalidValue
from registry.records import Adapter, Alias, AuditEvent, NewVersion, Version
from registry.run_records import Lease
from registry.runs.leases import require_held
from registry.visibility import visibility_of

Inspect = Callable[[Mapping[str, bytes]], object]
"""Inspects files as the store returns them, and raises if they cannot be used."""


class Catalog:
    """The adapters and their versions.

    Adapters are archived and versions withdrawn; nothing published is ever changed. What may be
    deleted is in `registry.deletion` and `registry.chosen_deletion`.
    """

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    def publish(
        self, new: NewVersion, *, actor: str, lease: Lease | None = None, inspect: Inspect | None = None
    ) -> Version:
        """Publish files as the next version of an adapter. A version number is never used twice.

        A new slug creates an adapter, and an archived adapter becomes active again. If the adapter already
        has a version of the same files, even a withdrawn one, that version is returned, and damaged or
        missing copies in the store are replaced. If the process is killed, no version is listed, and the same
        call can be repeated.

        Args:
            new: the files and their description.
            actor: the author of the version.
            lease: if given, its run must be running under it.
            inspect: gets the files as the store returns them. What it raises stops the publication.

        Raises:
            InvalidSlug: if the slug is not a valid adapter name.
            InvalidTag: if a tag breaks the rule for tags.
            InvalidValue: if anything else cannot be published.
            RunLost: if the run is no longer running under the lease.
            BlobNotStored: if the store refuses a file.
        """
        publishing.check(new)
        stored = publishing.store_files(self._blobs, new.files)
        stored_files = publishing.read_back(self._blobs, stored)
        if inspect is not None:
            inspect(stored_files)
        with self._database.writing() as session:
            if lease is not None:
                require_held(session, lease)
            version_id = publishing.publish_rows(session, new, stored, self._database.now(), actor)
            publishing.store_missing(self._blobs, new.files, stored)
            return find_versions(session, VersionRow.id == version_id)[0]

    def resolve(self, ref: str) -> Version:
        """Return the version that a reference names.

        An archived adapter still resolves, so that links to it keep working.

        Args:
            ref: `slug@3` or `slug@production`; `slug@latest` means the newest version that is not withdrawn,
                and so does `slug` if there is no alias `default`.

        Raises:
            UnknownAdapter: if there is no such adapter.
            UnknownVersion: if the adapter has no such version or alias.
            VersionWithdrawn: if the version is withdrawn.
        """
        return refuse_withdrawn(self.version(ref))

    def version(self, ref: str) -> Version:
        """Return the version that a reference names, even a withdrawn one; otherwise as `resolve`."""
        with self._database.reading() as session:
            _adapter, version = find_ref(session, ref)
            return version

    def adapter(self, slug: str) -> Adapter:
        """Return an adapter, even an archived one.

        Raises:
            UnknownAdapter: if there is no such adapter.
        """
        with self._database.reading() as session:
            return _record(session, adapter_row(session, slug))

    def adapters(self, *, include_archived: bool = False) -> list[Adapter]:
        """Return the adapters, sorted by slug, each with its newest version that is not withdrawn."""
        in_use = true() if include_archived else AdapterRow.archived_at.is_(None)
        with self._database.reading() as session:
            shown = and_(in_use, visibility_of(session).shows(AdapterRow.owner))
            newest = {found.slug: found for found in find_versions(session, newest_not_withdrawn(), shown)}
            tags = tags_of(session, shown)
            aliases: dict[str, list[Alias]] = {}
            for alias in aliases_of(session, shown):
                aliases.setdefault(alias.slug, []).append(alias)
            rows = session.scalars(select(AdapterRow).where(shown).order_by(AdapterRow.slug))
            return [
                _adapter(row, tags.get(row.id, ()), aliases.get(row.slug, ()), newest.get(row.slug))
                for row in rows
            ]

    def versions(self, slug: str) -> list[Version]:
        """Return every version of an adapter, even withdrawn ones, newest first.

        Raises:
            UnknownAdapter: if there is no such adapter.
        """
        with self._database.reading() as session:
            return find_versions(session, VersionRow.adapter_id == adapter_row(session, slug).id)

    def current(self) -> list[Version]:
        """Return the version that the name of each adapter means, without archived adapters, by slug."""
        with self._database.reading() as session:
            return find_versions(session, named_by_slug(), AdapterRow.archived_at.is_(None))

    def changes_since(self, revision: int) -> CatalogChanges:
        """Return how `current` changed since a revision; everything for 0. Reads only changed adapters."""
        with self._database.reading() as session:
            return changes_since(session, revision)

    def read_files(self, version: Version) -> dict[str, bytes]:
        """Return the verified bytes of each file of a version, by path.

        Raises:
            BlobMissing: if a file is not in the store.
            BlobDamaged: if the content of a file has changed.
        """
        return {file.path: self._blobs.read(file.sha256) for file in version.files}

    def read_file(self, version: Version, path: str) -> bytes | None:
        """Return the verified bytes of a file of a version, or None if the version has no such file."""
        digest = next((file.sha256 for file in version.files if file.path == path), None)
        return self._blobs.read(digest) if digest is not None else None

    def read_blob(self, sha256: str) -> bytes:
        """Return the verified bytes of a stored file.

        Raises:
            BlobMissing: if the file is not in the store.
            BlobDamaged: if its content has changed.
        """
        return self._blobs.read(sha256)

    def files_named(self, path: str, versions: Mapping[str, int]) -> dict[str, str]:
        """Return the SHA-256 of the file of this path in each version that has one, by slug.

        Args:
            path: the path within the versions.
            versions: the number of a version, by slug.
        """
        with self._database.reading() as session:
            rows = session.execute(
                # filtered by slug alone, because no index covers pairs of slug and version
                select(AdapterRow.slug, VersionRow.version, VersionFileRow.sha256)
                .join(VersionRow, VersionRow.adapter_id == AdapterRow.id)
                .join(VersionFileRow, VersionFileRow.version_id == VersionRow.id)
                .where(AdapterRow.slug.in_(versions), VersionFileRow.path == path)
                .where(visibility_of(session).shows(AdapterRow.owner))
            )
            return {row.slug: row.sha256 for row in rows if versions[row.slug] == row.version}

    def events(self, slug: str | None = None, *, limit: int = 100) -> list[AuditEvent]:
        """Return the last changes, newest first; if `slug` is given, only those of this adapter."""
        with self._database.reading() as session:
            if slug is None:
                return newest_events(session, limit)
            return events_of(session, adapter_row(session, slug).slug, limit=limit)

    def withdraw(self, slug: str, version: int, reason: str, *, actor: str) -> Version:
        """Withdraw a version permanently. A version that is already withdrawn keeps its first reason.

        Raises:
            VersionInUse: if an alias names the version.
            InvalidValue: if the reason is empty.
        """
        if not reason.strip():
            raise InvalidValue("a withdrawal", "it has no reason. Say why the version must not be used")
        with self._database.writing() as session:
            adapter, found = find_ref(session, f"{slug}@{version}", lock=True)
            if found.withdrawn_at is not None:
                return found
            aliases = naming(session, found.id)
            if aliases:
                raise VersionInUse(found.ref, aliases)
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
            refresh_summary(session, adapter)
            return find_versions(session, VersionRow.id == row.id)[0]

    def archive(self, slug: str, *, actor: str) -> Adapter:
        """Archive an adapter, which hides it from lists. `restore` or a new version brings it back."""
        with self._database.writing() as session:
            row = adapter_row(session, slug, lock=True)
            if row.archived_at is None:
                row.archived_at = self._database.now()
                self._record_change(session, row, "archived", {}, actor)
            return _record(session, row)

    def restore(self, slug: str, *, actor: str) -> Adapter:
        """Bring an archived adapter back to the lists."""
        with self._database.writing() as session:
            row = adapter_row(session, slug, lock=True)
            if row.archived_at is not None:
                row.archived_at = None
                self._record_change(session, row, "restored", {}, actor)
            return _record(session, row)

    def tag(
        self, slug: str, *, add: Collection[str] = (), remove: Collection[str] = (), actor: str
    ) -> Adapter:
        """Add and remove tags. Tags that the adapter already has, or does not have, are ignored.

        Raises:
            UnknownAdapter: if there is no such adapter.
            InvalidTag: if a tag to add breaks the rule for tags.
            InvalidValue: if the adapter would get too many tags, or one is to be both added and removed.
        """
        return self.describe(slug, add_tags=add, remove_tags=remove, actor=actor)

    def describe(
        self,
        slug: str,
        *,
        title: str | None = None,
        description: str | None = None,
        add_tags: Collection[str] = (),
        remove_tags: Collection[str] = (),
        actor: str,
    ) -> Adapter:
        """Change the title, the description and the tags of an adapter, in one transaction.

        Args:
            slug: the adapter.
            title: the new title; None leaves it unchanged.
            description: the new description; None leaves it unchanged.
            add_tags: as for `tag`.
            remove_tags: as for `tag`.
            actor: the author of the change.

        Raises:
            UnknownAdapter: if there is no such adapter.
            InvalidTag: if a tag to add breaks the rule for tags.
            InvalidValue: if the title is empty, or a text is too long.
        """
        with self._database.writing() as session:
            row = adapter_row(session, slug, lock=True)
            texts = change_texts(row, title, description)
            if texts:
                self._record_change(session, row, "described", texts, actor)
            tags = change_tags(session, row, add_tags, remove_tags)
            if tags:
                self._record_change(session, row, "tagged", tags, actor)
            return _record(session, row)

    def _record_change(
        self, session: Session, row: AdapterRow, kind: str, payload: Mapping[str, Any], actor: str
    ) -> None:
        """Record a change of an adapter, and update its summary."""
        refresh_summary(session, row)
        record_event(
            session,
            self._database.now(),
            actor=actor,
            kind=kind,
            entity="adapter",
            entity_id=row.slug,
            payload=payload,
        )


def _record(session: Session, row: AdapterRow) -> Adapter:
    of_adapter = AdapterRow.id == row.id
    newest = find_versions(session, newest_in_use(row.id))
    return _adapter(
        row,
        tags_of(session, of_adapter).get(row.id, ()),
        aliases_of(session, of_adapter),
        newest[0] if newest else None,
    )


def _adapter(
    row: AdapterRow, tags: Sequence[str], aliases: Sequence[Alias], newest: Version | None
) -> Adapter:
    return Adapter(
        slug=row.slug,
        title=row.title,
        description=row.description,
        owner=row.owner,
        tags=tuple(tags),
        aliases=tuple(aliases),
        created_at=row.created_at,
        archived_at=row.archived_at,
        newest=newest,
    )
