"""What changed in the catalog since somebody last looked, read from the audit events."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.audit import newest_event_id, renamed_after
from registry.catalog.versions import find_versions, newest_not_withdrawn
from registry.database.models import AdapterRow, AuditEventRow
from registry.records import Version

MOST_READ_ONE_BY_ONE = 1000
"""Of more changed adapters all are read anew, which is faster then."""


@dataclass(frozen=True, slots=True)
class CatalogChanges:
    """How to go from what was current at an earlier revision to what is current at `revision`.

    `current` holds the current version of each adapter that changed, `gone` the adapters that have none any
    more; when `whole` is true, `current` holds all there is, whatever was known before.
    """

    revision: int
    current: tuple[Version, ...]
    gone: frozenset[str]
    whole: bool

    def applied_to(self, known: Mapping[str, Version]) -> dict[str, Version]:
        """The current version of each adapter by its slug, from those at the earlier revision."""
        kept = {} if self.whole else {slug: one for slug, one in known.items() if slug not in self.gone}
        return kept | {version.slug: version for version in self.current}


def changes_since(session: Session, revision: int) -> CatalogChanges:
    """The changes after `revision`; everything from 0, and where the events can't tell what changed since."""
    present = newest_event_id(session)
    # a revision that is yet to come was seen in another database, before a backup of this one was restored
    known = 0 < revision <= present and not renamed_after(session, revision)
    slugs = _changed(session, revision) if known else None
    usable = (newest_not_withdrawn(), AdapterRow.archived_at.is_(None))
    if slugs is None:
        return CatalogChanges(present, tuple(find_versions(session, *usable)), frozenset(), whole=True)
    current = find_versions(session, *usable, AdapterRow.slug.in_(slugs))
    gone = frozenset(slugs - {version.slug for version in current})
    return CatalogChanges(present, tuple(current), gone, whole=False)


def _changed(session: Session, revision: int) -> set[str] | None:
    """The slugs that events after `revision` tell of; None when they are too many.

    The id of whatever belongs to an adapter begins with its slug, as in `pets@2`. An id of something else
    names no adapter, or makes one be read that did not change.
    """
    after = select(AuditEventRow.entity_id).where(AuditEventRow.id > revision)
    found = session.scalars(after.distinct().limit(MOST_READ_ONE_BY_ONE + 1)).all()
    return None if len(found) > MOST_READ_ONE_BY_ONE else {one.partition("@")[0] for one in found}
