"""From the names that people use to the rows and versions that they mean."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from registry.catalog.versions import find_versions, newest_in_use
from registry.database.models import AdapterRow, AliasRow, VersionRow
from registry.errors import UnknownAdapter, UnknownVersion, VersionWithdrawn
from registry.records import Version
from registry.sight import sight_of

MOST_COMPARED, BEGINNING = 300, 2
LATEST = "latest"
"""The alias that nobody sets: the newest version that isn't withdrawn."""


def adapter_row(session: Session, slug: str, *, lock: bool = False) -> AdapterRow:
    """The adapter of this name, or UnknownAdapter.

    Args:
        lock: keep others from changing the adapter until the transaction ends.
    """
    statement = select(AdapterRow).filter_by(slug=slug).where(sight_of(session).shows(AdapterRow.owner))
    row = session.scalars(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise UnknownAdapter(slug, get_close_matches(slug, _alike(session, slug)))
    return row


def _alike(session: Session, slug: str) -> Sequence[str]:
    """Slugs that may be meant: of about the same length, those that begin alike first.

    To compare every slug of a large catalog would take a quarter of a second.
    """
    begins = case((AdapterRow.slug.startswith(slug[:BEGINNING], autoescape=True), 0), else_=1)
    apart = func.abs(func.length(AdapterRow.slug) - len(slug))
    nearest = select(AdapterRow.slug).where(sight_of(session).shows(AdapterRow.owner))
    return session.scalars(nearest.order_by(begins, apart, AdapterRow.slug).limit(MOST_COMPARED)).all()


def find_version(session: Session, adapter: AdapterRow, name: str) -> Version:
    """The version of this number or alias, even a withdrawn one; or UnknownVersion.

    `latest` is withdrawn only when every version is.
    """
    of_adapter = VersionRow.adapter_id == adapter.id
    # nine digits fit every database's integers
    if re.fullmatch("[1-9][0-9]{0,8}", name):
        found = find_versions(session, of_adapter, VersionRow.version == int(name))
    elif name == LATEST:
        # when every version is withdrawn, the last one says why
        found = find_versions(session, newest_in_use(adapter.id)) or find_versions(session, of_adapter)[:1]
    else:
        named = select(AliasRow.version_id).filter_by(adapter_id=adapter.id, alias=name)
        found = find_versions(session, VersionRow.id == named.scalar_subquery())
    if found:
        return found[0]
    last = session.scalars(select(func.max(VersionRow.version)).filter_by(adapter_id=adapter.id)).one()
    raise UnknownVersion(adapter.slug, name, last)


def find_ref(session: Session, ref: str, *, lock: bool = False) -> tuple[AdapterRow, Version]:
    """The adapter and the version that `slug@3`, `slug@production` or `slug` names, even a withdrawn one."""
    slug, at, name = ref.partition("@")
    adapter = adapter_row(session, slug, lock=lock)
    return adapter, find_version(session, adapter, name if at else LATEST)


def refuse_withdrawn(version: Version) -> Version:
    """The version, or VersionWithdrawn."""
    if version.withdrawn_at is not None:
        raise VersionWithdrawn(version.ref, version.withdrawn_reason or "")
    return version
