"""Changes of the catalog since an earlier revision, read from the audit events."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.audit import newest_event_id, renamed_after
from registry.catalog.versions import find_versions, named_by_slug
from registry.database.models import AdapterRow, AuditEventRow
from registry.records import Version

MAX_CHANGED = 1000
"""If more adapters have changed, all are read, which is faster then."""


@dataclass(frozen=True, slots=True)
class CatalogChanges:
    """The difference between the current versions at an earlier revision and at `revision`.

    The current version of an adapter is the one that its name means.

    Attributes:
        current: the current version of each adapter that changed.
        gone: the slugs of adapters that have no current version any more.
        is_complete: whether `current` holds all current versions, whatever was known before.
    """

    revision: int
    current: tuple[Version, ...]
    gone: frozenset[str]
    is_complete: bool

    def applied_to(self, known: Mapping[str, Version]) -> dict[str, Version]:
        """Return the current version of each adapter by slug, given those at the earlier revision."""
        unchanged: dict[str, Version] = {}
        if not self.is_complete:
            unchanged = {slug: version for slug, version in known.items() if slug not in self.gone}
        return unchanged | {version.slug: version for version in self.current}


def changes_since(session: Session, revision: int) -> CatalogChanges:
    """Return the changes after a revision; everything for 0, and if the events cannot tell what changed."""
    present = newest_event_id(session)
    # a revision from the future was seen in another database, before a backup was restored into this one
    known = 0 < revision <= present and not renamed_after(session, revision)
    slugs = _changed(session, revision) if known else None
    usable = (named_by_slug(), AdapterRow.archived_at.is_(None))
    if slugs is None:
        return CatalogChanges(present, tuple(find_versions(session, *usable)), frozenset(), is_complete=True)
    current = find_versions(session, *usable, AdapterRow.slug.in_(slugs))
    gone = frozenset(slugs - {version.slug for version in current})
    return CatalogChanges(present, tuple(current), gone, is_complete=False)


def _changed(session: Session, revision: int) -> set[str] | None:
    """Return the slugs that events after a revision mention, or None if there are too many.

    The id of everything that belongs to an adapter starts with its slug, as in `pets@2`. The id of another
    thing names no adapter, or only causes an unchanged adapter to be read.
    """
    after = select(AuditEventRow.entity_id).where(AuditEventRow.id > revision)
    found = session.scalars(after.distinct().limit(MAX_CHANGED + 1)).all()
    return None if len(found) > MAX_CHANGED else {entity_id.partition("@")[0] for entity_id in found}
