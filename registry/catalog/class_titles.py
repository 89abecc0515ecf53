"""Titles of classes, which a version shows instead of the names that it was trained with.

They are stored beside the version, whose files and row never change.
"""

from sqlalchemy.orm import Session

from registry.audit import record_event
from registry.catalog.errors import UnknownClass
from registry.catalog.lookup import find_ref, refuse_withdrawn
from registry.catalog.versions import find_versions
from registry.database.canonical import plain_json
from registry.database.db import Database
from registry.database.models import VersionClassTitlesRow, VersionRow
from registry.errors import InvalidValue
from registry.records import Version

MAX_TITLE = 80
"""The maximum length of a title in characters."""


class ClassTitles:
    """The titles of the classes of all versions. Every change is recorded with its author."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, ref: str, class_name: str, title: str, *, actor: str) -> Version:
        """Give a class of a version a title. A change without effect is not recorded.

        Args:
            ref: the version, such as `slug@3`.
            class_name: the class, by its title or by the name of the training.
            title: the title; an empty one, or the name of the training, removes the title.
            actor: the author of the change.

        Raises:
            UnknownAdapter: if there is no such adapter.
            UnknownVersion: if the adapter has no such version.
            UnknownClass: if the version has no such class.
            VersionWithdrawn: if the version is withdrawn.
            InvalidValue: if the title is too long, or another class of the version has it.
        """
        title = " ".join(title.split())
        plain_json("the title of a class", title)
        with self._database.writing() as session:
            _adapter, version = find_ref(session, ref, lock=True)
            refuse_withdrawn(version)
            name = _trained_name(version, class_name)
            others = {one for one in version.class_names if one != name}
            titles = {one: shown for one, shown in version.class_titles.items() if one != name}
            _check(title, {titles.get(one, one) for one in others})
            if title and title != name:
                titles[name] = title
            if titles == dict(version.class_titles):
                return version
            _write(session, version.id, titles)
            record_event(
                session,
                self._database.now(),
                actor=actor,
                kind="titled",
                entity="version",
                entity_id=version.ref,
                payload={"class": name, "title": titles.get(name)},
            )
            session.flush()
            return find_versions(session, VersionRow.id == version.id)[0]


def _trained_name(version: Version, text: str) -> str:
    by_title = dict(zip(version.shown_classes, version.class_names, strict=True))
    if text in by_title:
        return by_title[text]
    if text not in version.class_names:
        raise UnknownClass(version.ref, text)
    return text


def _check(title: str, others: set[str]) -> None:
    if len(title) > MAX_TITLE:
        raise InvalidValue("the title of a class", f"it has more than {MAX_TITLE} characters. Shorten it")
    if title in others:
        raise InvalidValue("the title of a class", f"another class is called {title!r}. Use another title")


def _write(session: Session, version_id: int, titles: dict[str, str]) -> None:
    row = session.get(VersionClassTitlesRow, version_id)
    if row is None:
        row = VersionClassTitlesRow(version_id=version_id, titles=titles)
        session.add(row)
    elif titles:
        row.titles = titles
    else:
        session.delete(row)
