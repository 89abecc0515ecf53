"""The shared catalog: adapters, their numbered versions, and what was done to them by whom."""

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
from registry.catalog.versions import find_versions, newest_in_use, newest_not_withdrawn
from registry.database.db import Database
from registry.database.models import AdapterRow, VersionFileRow, VersionRow
from registry.errors import InvalidValue
from registry.records import Adapter, Alias, AuditEvent, NewVersion, Version
from registry.runs.runs import require_held
from registry.sight import sight_of

Inspect = Callable[[Mapping[str, bytes]], object]
"""Looks at files as the store gives them back, and raises when they can't be used."""


class Catalog:
    """Adapters are archived, versions withdrawn; nothing that was published is ever deleted or changed.

    The one exception is `registry.forgetting`.
    """

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    def publish(
        self, new: NewVersion, *, actor: str, worker: str | None = None, inspect: Inspect | None = None
    ) -> Version:
        """Publish the files as the adapter's next version; its number is never given to another one.

        A new slug makes a new adapter; an archived one comes back, and a title or description that isn't
        empty becomes the adapter's. Files that this adapter has already published give that version back,
        even a withdrawn one, and only mend what is damaged or missing of it in the store.
        Interrupted, no version is listed; just publish again.

        `inspect` gets the files as the store gives them back; what it raises stops the publication.
        With a worker, only while the run is running under it; RunLost otherwise.
        """
        publishing.check(new)
        stored = publishing.store_files(self._blobs, new.files)
        stored_files = publishing.read_back(self._blobs, stored)
        if inspect is not None:
            inspect(stored_files)
        with self._database.writing() as session:
            if new.run_id is not None and worker is not None:
                require_held(session, new.run_id, worker)
            version_id = publishing.publish_rows(session, new, stored, self._database.now(), actor)
            publishing.store_missing(self._blobs, new.files, stored)
            return find_versions(session, VersionRow.id == version_id)[0]

    def resolve(self, ref: str) -> Version:
        """The version that `slug@3` or `slug@production` names, or for `slug` and `slug@latest` the newest
        one that isn't withdrawn.

        An archived adapter still resolves, so links to it keep working.
        UnknownAdapter, UnknownVersion or VersionWithdrawn otherwise.
        """
        return refuse_withdrawn(self.version(ref))

    def version(self, ref: str) -> Version:
        """As `resolve`, but a withdrawn version is handed out too: to look at, not to use."""
        with self._database.reading() as session:
            _adapter, version = find_ref(session, ref)
            return version

    def adapter(self, slug: str) -> Adapter:
        """One adapter, also an archived one; or UnknownAdapter."""
        with self._database.reading() as session:
            return _record(session, adapter_row(session, slug))

    def adapters(self, *, include_archived: bool = False) -> list[Adapter]:
        """The adapters by slug, each with its newest version that isn't withdrawn."""
        in_use = true() if include_archived else AdapterRow.archived_at.is_(None)
        with self._database.reading() as session:
            shown = and_(in_use, sight_of(session).shows(AdapterRow.owner))
            newest = {one.slug: one for one in find_versions(session, newest_not_withdrawn(), shown)}
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
        """Every version of the adapter, withdrawn ones too, newest first; or UnknownAdapter."""
        with self._database.reading() as session:
            return find_versions(session, VersionRow.adapter_id == adapter_row(session, slug).id)

    def current(self) -> list[Version]:
        """The newest version that isn't withdrawn of each adapter that isn't archived, by slug."""
        with self._database.reading() as session:
            return find_versions(session, newest_not_withdrawn(), AdapterRow.archived_at.is_(None))

    def changes_since(self, revision: int) -> CatalogChanges:
        """How `current` changed since `revision`: reads only the adapters that did; all of them for 0."""
        with self._database.reading() as session:
            return changes_since(session, revision)

    def read_files(self, version: Version) -> dict[str, bytes]:
        """The verified bytes of each file; BlobMissing or BlobDamaged, naming the stored file."""
        return {file.path: self._blobs.read(file.sha256) for file in version.files}

    def read_file(self, version: Version, path: str) -> bytes | None:
        """The verified bytes of one file, or None when the version has none of that name."""
        digest = next((file.sha256 for file in version.files if file.path == path), None)
        return self._blobs.read(digest) if digest is not None else None

    def read_blob(self, sha256: str) -> bytes:
        """The verified bytes of a stored file; BlobMissing or BlobDamaged, naming it."""
        return self._blobs.read(sha256)

    def files_named(self, path: str, versions: Mapping[str, int]) -> dict[str, str]:
        """By slug, the SHA-256 of the file of that name in these versions, where they have one.

        `versions` maps each slug to a number.
        """
        with self._database.reading() as session:
            rows = session.execute(
                # by slug alone, as no index serves pairs of columns
                select(AdapterRow.slug, VersionRow.version, VersionFileRow.sha256)
                .join(VersionRow, VersionRow.adapter_id == AdapterRow.id)
                .join(VersionFileRow, VersionFileRow.version_id == VersionRow.id)
                .where(AdapterRow.slug.in_(versions), VersionFileRow.path == path)
                .where(sight_of(session).shows(AdapterRow.owner))
            )
            return {row.slug: row.sha256 for row in rows if versions[row.slug] == row.version}

    def events(self, slug: str | None = None, *, limit: int = 100) -> list[AuditEvent]:
        """The last changes, newest first: of one adapter, its versions and aliases, or of everything."""
        with self._database.reading() as session:
            if slug is None:
                return newest_events(session, limit)
            return events_of(session, adapter_row(session, slug).slug, limit=limit)

    def withdraw(self, slug: str, version: int, reason: str, *, actor: str) -> Version:
        """Take a version out of use for good; a version withdrawn before keeps its first reason.

        VersionInUse while an alias names it.
        """
        if not reason.strip():
            raise InvalidValue("a withdrawal", "it needs a reason")
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
        """Take an adapter off the lists; `restore` or a new version brings it back."""
        with self._database.writing() as session:
            row = adapter_row(session, slug, lock=True)
            if row.archived_at is None:
                row.archived_at = self._database.now()
                self._changed(session, row, "archived", {}, actor)
            return _record(session, row)

    def restore(self, slug: str, *, actor: str) -> Adapter:
        """Put an archived adapter on the lists again."""
        with self._database.writing() as session:
            row = adapter_row(session, slug, lock=True)
            if row.archived_at is not None:
                row.archived_at = None
                self._changed(session, row, "restored", {}, actor)
            return _record(session, row)

    def tag(
        self, slug: str, *, add: Collection[str] = (), remove: Collection[str] = (), actor: str
    ) -> Adapter:
        """Add and remove tags; one that is there already, or not there, is passed over.

        UnknownAdapter, InvalidTag or InvalidValue otherwise.
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
        """Give an adapter another title or description, where None leaves what there is, and tags as `tag`
        does: all of it or nothing.

        UnknownAdapter, InvalidTag, or InvalidValue such as for an empty title or a text that is too long.
        """
        with self._database.writing() as session:
            row = adapter_row(session, slug, lock=True)
            texts = change_texts(row, title, description)
            if texts:
                self._changed(session, row, "described", texts, actor)
            tags = change_tags(session, row, add_tags, remove_tags)
            if tags:
                self._changed(session, row, "tagged", tags, actor)
            return _record(session, row)

    def _changed(
        self, session: Session, row: AdapterRow, kind: str, payload: Mapping[str, Any], actor: str
    ) -> None:
        """Put a change of an adapter on record."""
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
