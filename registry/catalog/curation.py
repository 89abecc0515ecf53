"""The title, description and tags of an adapter."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from registry.database.canonical import plain_json
from registry.database.models import AdapterRow, AdapterTagRow
from registry.errors import InvalidTag, InvalidValue
from registry.visibility import visibility_of

TAG_RULE = "[a-z0-9][a-z0-9-]{0,31}"
MAX_TAGS = 32
MAX_TITLE = 120
MAX_DESCRIPTION = 10_000


def validate_tag(tag: str) -> str:
    """Return `tag` unchanged if it is a valid tag.

    Raises:
        InvalidTag: if it breaks `TAG_RULE`.
    """
    if re.fullmatch(TAG_RULE, tag) is None:
        raise InvalidTag(tag)
    return tag


def tags_of(session: Session, *conditions: ColumnElement[bool]) -> dict[int, list[str]]:
    """Return the sorted tags of the adapters that meet the conditions on AdapterRow, by row id."""
    rows = session.execute(
        select(AdapterTagRow.adapter_id, AdapterTagRow.tag)
        .join(AdapterRow, AdapterRow.id == AdapterTagRow.adapter_id)
        .where(*conditions, visibility_of(session).shows(AdapterRow.owner))
        .order_by(AdapterTagRow.tag)
    )
    found: dict[int, list[str]] = {}
    for adapter_id, tag in rows:
        found.setdefault(adapter_id, []).append(tag)
    return found


def change_tags(
    session: Session, adapter: AdapterRow, add: Collection[str], remove: Collection[str]
) -> dict[str, list[str]]:
    """Add and remove tags of an adapter.

    Returns:
        The tags that were actually `added` and `removed`; empty if none was.

    Raises:
        InvalidTag: if a tag to add breaks the rule for tags.
        InvalidValue: if the adapter would get too many tags, or one is to be both added and removed.
    """
    both = sorted(set(add) & set(remove))
    if both:
        raise InvalidValue(
            f"the tags of {adapter.slug}", f"{both[0]} is both added and removed. Do only one of these"
        )
    present = set(tags_of(session, AdapterRow.id == adapter.id).get(adapter.id, []))
    added = sorted({validate_tag(tag) for tag in add} - present)
    removed = sorted(set(remove) & present)
    count = len(present) + len(added) - len(removed)
    if added and count > MAX_TAGS:
        raise InvalidValue(f"the tags of {adapter.slug}", f"there are {count}. Use at most {MAX_TAGS}")
    session.add_all(AdapterTagRow(adapter_id=adapter.id, tag=tag) for tag in added)
    session.execute(
        delete(AdapterTagRow).where(AdapterTagRow.adapter_id == adapter.id, AdapterTagRow.tag.in_(removed))
    )
    return {"added": added, "removed": removed} if added or removed else {}


def change_texts(
    adapter: AdapterRow, title: str | None, description: str | None
) -> dict[str, Mapping[str, Any]]:
    """Change the title and the description of an adapter, where they are not None.

    Returns:
        The old values under `from` and the new ones under `to`, of the texts that actually changed; empty if
            none
        did.

    Raises:
        InvalidValue: if the title is empty, or a text is too long.
    """
    changed = {}
    if title is not None:
        changed["title"] = (adapter.title, _title(adapter.slug, title))
    if description is not None:
        changed["description"] = (adapter.description, _description(adapter.slug, description))
    changed = {field: (old, new) for field, (old, new) in changed.items() if old != new}
    for field, (_old, new) in changed.items():
        setattr(adapter, field, new)
    if not changed:
        return {}
    return {
        "from": {field: old for field, (old, _new) in changed.items()},
        "to": {field: new for field, (_old, new) in changed.items()},
    }


def _title(slug: str, title: str) -> str:
    field, title = f"the title of {slug}", " ".join(title.split())
    if not 1 <= len(title) <= MAX_TITLE:
        raise InvalidValue(field, f"it has {len(title)} characters. Use 1 to {MAX_TITLE}")
    return str(plain_json(field, title))


def _description(slug: str, description: str) -> str:
    field, description = f"the description of {slug}", description.strip()
    if len(description) > MAX_DESCRIPTION:
        raise InvalidValue(field, f"it has {len(description):,} characters. Use at most {MAX_DESCRIPTION:,}")
    if "\0" in description:
        raise InvalidValue(field, "it contains a NUL character. Remove it")
    return str(plain_json(field, description))
