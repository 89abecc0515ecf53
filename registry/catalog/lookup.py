"""Looking up adapters and versions by the names that people use."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from registry.catalog.versions import DEFAULT_ALIAS, find_versions, newest_in_use
from registry.database.models import AdapterRow, AliasRow, VersionRow
from registry.errors import UnknownAdapter, UnknownVersion, VersionWithdrawn
from registry.records import Version
from registry.visibility import visibility_of

MAX_COMPARED, PREFIX = 300, 2
LATEST = "latest"
"""The computed alias: the newest version that is not withdrawn."""


def adapter_row(session: Session, slug: str, *, lock: bool = False) -> AdapterRow:
    """Return the adapter of this name.

    Args:
        session: any session.
        slug: the name.
        lock: whether to prevent other changes of the adapter until the transaction ends.

    Raises:
        UnknownAdapter: if there is none that the reader may see.
    """
    statement = select(AdapterRow).filter_by(slug=slug).where(visibility_of(session).shows(AdapterRow.owner))
    row = session.scalars(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise UnknownAdapter(slug, get_close_matches(slug, _similar(session, slug)))
    return row


def _similar(session: Session, slug: str) -> Sequence[str]:
    """Return slugs that may be meant: those with the same first letters, then those of similar length.

    Comparing every slug of a large catalog would take a quarter of a second.
    """
    same_prefix = case((AdapterRow.slug.startswith(slug[:PREFIX], autoescape=True), 0), else_=1)
    distance = func.abs(func.length(AdapterRow.slug) - len(slug))
    slugs = select(AdapterRow.slug).where(visibility_of(session).shows(AdapterRow.owner))
    return session.scalars(slugs.order_by(same_prefix, distance, AdapterRow.slug).limit(MAX_COMPARED)).all()


def find_version(session: Session, adapter: AdapterRow, name: str) -> Version:
    """Return the version of this number or alias, even a withdrawn one.

    `latest` names a withdrawn version only if every version is withdrawn.

    Raises:
        UnknownVersion: if the adapter has no such version or alias.
    """
    of_adapter = VersionRow.adapter_id == adapter.id
    # nine digits fit every database's integers
    if re.fullmatch("[1-9][0-9]{0,8}", name):
        found = find_versions(session, of_adapter, VersionRow.version == int(name))
    elif name == LATEST:
        # if every version is withdrawn, the last one tells why
        found = find_versions(session, newest_in_use(adapter.id)) or find_versions(session, of_adapter)[:1]
    else:
        named = select(AliasRow.version_id).filter_by(adapter_id=adapter.id, alias=name)
        found = find_versions(session, VersionRow.id == named.scalar_subquery())
    if found:
        return found[0]
    last = session.scalars(select(func.max(VersionRow.version)).filter_by(adapter_id=adapter.id)).one()
    raise UnknownVersion(adapter.slug, name, last)


def find_ref(session: Session, ref: str, *, lock: bool = False) -> tuple[AdapterRow, Version]:
    """Return the adapter and the version that a reference such as `slug@3` names, even if withdrawn.

    A name without a version means the version of the alias `default`, or without this alias the newest.
    """
    slug, at, name = ref.partition("@")
    adapter = adapter_row(session, slug, lock=lock)
    if not at:
        name = LATEST if session.get(AliasRow, (adapter.id, DEFAULT_ALIAS)) is None else DEFAULT_ALIAS
    return adapter, find_version(session, adapter, name)


def refuse_withdrawn(version: Version) -> Version:
    """Return the version unchanged, or raise VersionWithdrawn."""
    if version.withdrawn_at is not None:
        raise VersionWithdrawn(version.ref, version.withdrawn_reason or "")
    return version
