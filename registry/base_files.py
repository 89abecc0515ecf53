"""Bases whose weights are in the artifact store, so that no model hub is needed to load them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.audit import record_event
from registry.bases_and_datasets import base_record, ensure_base
from registry.blobs.store import BlobStore
from registry.catalog.publishing import add_blob, store_files, store_missing
from registry.database.canonical import number, plain_json
from registry.database.db import Database, insert_into
from registry.database.models import BaseFileRow, BaseRow, BlobRow
from registry.errors import InvalidValue, NotFound, RegistryError
from registry.records import BlobInfo, NewStoredBase, StoredBase, Triple

WEIGHTS, CARD = "model.safetensors", "README.md"
MOST_TEXT = 100_000
"""Characters of a card."""
MOST_LICENSE = 100
"""Characters of the name of a license."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class BaseNotStored(NotFound):
    """A name under which the artifact store has no base."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"The artifact store has no base {self.name!r}. List the bases to see their names."


class BaseNameTaken(RegistryError):
    """The name of a stored base that has other weights or another normalization."""

    def __init__(self, name: str, weights_sha256: str) -> None:
        super().__init__(name, weights_sha256)
        self.name, self.weights_sha256 = name, weights_sha256

    def __str__(self) -> str:
        return (
            f"The artifact store has another base {self.name!r} (weights {self.weights_sha256[:12]}), with "
            "other weights or another mean or std. Choose another name."
        )


class BaseFiles:
    """The bases in the artifact store. A name always stands for the same weights."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database, self._blobs = database, blobs

    def add(self, new: NewStoredBase, *, actor: str) -> StoredBase:
        """Store a base. Adding the same one again stores damaged or missing files again.

        A license and a card that are given then replace the old ones.

        Args:
            new: the base and its files.
            actor: the author of the event that is recorded.

        Raises:
            InvalidValue: if the name or a fact cannot be stored.
            BaseNameTaken: if the store has another base of this name.
            BlobNotStored: if the store refuses a file.
        """
        details = _checked_details(new)
        _check_name(self.find(new.base.name), new)  # before anything is stored
        files: dict[str, bytes | Path] = {WEIGHTS: new.weights}
        if new.card:
            files[CARD] = new.card.encode()
        stored = store_files(self._blobs, files)
        with self._database.writing() as session:
            before = _stored(session, new.base.name)
            _check_name(before, new)
            now = self._database.now()
            row = ensure_base(session, new.base, now)
            # adding rows locks the blobs against maintenance, so that files stay once they are checked
            for path, blob in stored.items():
                add_blob(session, path, blob, now)
            store_missing(self._blobs, files, stored)
            if before is not None:
                details |= {"license": new.license or before.license, "added_by": before.added_by}
            row.details = {"added_by": actor, **details}
            _put_files(session, row.id, stored)
            session.flush()
            after = _required(session, new.base.name)
            if after != before:
                facts = {"weights_sha256": new.base.weights_sha256, "license": after.license}
                record_event(
                    session,
                    now,
                    actor=actor,
                    kind="added",
                    entity="base",
                    entity_id=new.base.name,
                    payload=facts,
                )
            return after

    def get(self, name: str) -> StoredBase:
        """Return the stored base of this name.

        Raises:
            BaseNotStored: if there is none.
        """
        with self._database.reading() as session:
            return _required(session, name)

    def find(self, name: str) -> StoredBase | None:
        """Return the stored base of this name, or None if there is none."""
        with self._database.reading() as session:
            return _stored(session, name)

    def list(self) -> list[StoredBase]:
        """Return all stored bases, sorted by name."""
        with self._database.reading() as session:
            of_stored = select(BaseRow).join(BaseFileRow).where(BaseFileRow.path == WEIGHTS)
            return [_record(session, row) for row in session.scalars(of_stored.order_by(BaseRow.name))]

    def weights(self, base: StoredBase) -> bytes:
        """Return the verified bytes of the file of the weights.

        Raises:
            BlobMissing: if the file is not in the store.
            BlobDamaged: if its content has changed.
            BlobStoreUnreachable: if the store does not answer.
        """
        return self._blobs.read(base.weights.sha256)

    def card(self, base: StoredBase) -> str:
        """Return the card, or an empty text if the base has none.

        Raises:
            BlobMissing, BlobDamaged, BlobStoreUnreachable: as for `weights`.
        """
        return "" if base.card is None else self._blobs.read(base.card.sha256).decode()


def _checked_details(new: NewStoredBase) -> dict[str, Any]:
    """Return what `bases.details` holds of a stored base.

    Raises:
        InvalidValue: if something cannot be stored.
    """
    name = new.base.name
    if _NAME.fullmatch(name) is None:
        raise InvalidValue(
            f"a base named {name!r}",
            "the name needs 1 to 128 letters, digits, dots, hyphens and underscores, starting with a letter "
            "or digit. Choose another name",
        )
    field = f"the base {name}"
    if len(new.license) > MOST_LICENSE:
        raise InvalidValue(field, f"its license has a longer name than {MOST_LICENSE} characters. Shorten it")
    if len(new.card) > MOST_TEXT:
        raise InvalidValue(field, f"its card is longer than {MOST_TEXT:,} characters. Shorten it")
    plain_json(f"the card of {name}", new.card)
    details: dict[str, Any] = {
        "license": new.license,
        "mean": [number(f"the mean of {name}", value, low=0, high=1) for value in new.mean],
        "std": [number(f"the std of {name}", value, low=1e-6, high=1) for value in new.std],
        "patch_size": new.patch_size,
        "parameters": new.parameters,
    }
    return dict(plain_json(field, details))


def _check_name(found: StoredBase | None, new: NewStoredBase) -> None:
    """Raise BaseNameTaken if a stored base of the same name answers differently."""
    if found is None:
        return
    same_weights = found.base.weights_sha256 == new.base.weights_sha256
    if not same_weights or (found.mean, found.std) != (new.mean, new.std):
        raise BaseNameTaken(found.base.name, found.base.weights_sha256)


def _put_files(session: Session, base_id: int, stored: Mapping[str, BlobInfo]) -> None:
    for path, blob in stored.items():
        session.execute(
            insert_into(BaseFileRow)
            .values(base_id=base_id, path=path, sha256=blob.sha256)
            .on_conflict_do_update(index_elements=["base_id", "path"], set_={"sha256": blob.sha256})
        )


def _required(session: Session, name: str) -> StoredBase:
    found = _stored(session, name)
    if found is None:
        raise BaseNotStored(name)
    return found


def _stored(session: Session, name: str) -> StoredBase | None:
    of_name = select(BaseRow).join(BaseFileRow).where(BaseFileRow.path == WEIGHTS, BaseRow.name == name)
    row = session.scalars(of_name).one_or_none()
    return None if row is None else _record(session, row)


def _record(session: Session, row: BaseRow) -> StoredBase:
    files = session.execute(
        select(BaseFileRow.path, BlobRow.sha256, BlobRow.size)
        .join(BlobRow, BlobRow.sha256 == BaseFileRow.sha256)
        .where(BaseFileRow.base_id == row.id)
    )
    stored = {path: BlobInfo(sha256, size) for path, sha256, size in files}
    details = row.details
    return StoredBase(
        base=base_record(row),
        weights=stored[WEIGHTS],
        card=stored.get(CARD),
        license=details["license"],
        mean=_triple(details["mean"]),
        std=_triple(details["std"]),
        patch_size=details["patch_size"],
        parameters=details["parameters"],
        added_by=details["added_by"],
    )


def _triple(values: list[float]) -> Triple:
    red, green, blue = values
    return red, green, blue
